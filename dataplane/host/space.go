package host

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"router/intf"
	"router/intf/kernel"
)

// A space is an open namespace in which TAPs stand, or which is pinned.
type space struct {
	name  string
	ns    *kernel.Namespace
	conn  *kernel.Conn
	watch *kernel.Watch
	port  uint32 // of conn

	number uint32 // says when it is its turn to be looked at

	rules  map[uint32][]kernel.Rule // by table; nil until read, for one pass of repair
	graves map[string]chan struct{} // by name: closed when a TAP of ours is really gone

	mu    sync.Mutex
	taps  map[int]*tap
	dirty map[int]bool // link indexes of TAPs that events told of
	all   bool         // every TAP is suspect
}

// space is the open space with a name. Where the namespace is absent it is
// made, unless it was someone else's and has been removed: then its owner is
// about to make it again, and would fail if we did.
func (m *Manager) space(name string) (*space, error) {
	if s := m.spaces[name]; s != nil {
		if s.ns != nil {
			return s, nil
		}
		return s, m.reopen(s)
	}
	s, err := m.newSpace(name)
	if err != nil {
		return nil, err
	}
	m.spaces[name] = s
	return s, nil
}

// newSpace opens a space that nobody has. It may run for several names at once.
func (m *Manager) newSpace(name string) (*space, error) {
	ns, err := m.ensureNamespace(name)
	if err != nil {
		return nil, err
	}
	s := &space{name: name, number: m.opened.Add(1)}
	if err := m.open(s, ns); err != nil {
		return nil, err
	}
	return s, nil
}

func (m *Manager) ensureNamespace(name string) (ns *kernel.Namespace, err error) {
	if name != "" {
		return m.names.Ensure(name)
	}
	// The thread that runs us may be anyone's: ask for the daemon's own.
	err = m.own.Do(func() (err error) {
		ns, err = kernel.Own()
		return err
	})
	return ns, err
}

// reopen opens a space again whose namespace went away.
func (m *Manager) reopen(s *space) error {
	open := m.names.Open
	if m.names.WasMade(s.name) {
		open = m.names.Ensure
	}
	ns, err := open(s.name)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("network namespace %q was removed: make it again, or commit another host-namespace", s.name)
	}
	if err != nil {
		return err
	}
	return m.open(s, ns)
}

// open makes the space's sockets, and removes what an earlier life of this
// router left in the namespace.
func (m *Manager) open(s *space, ns *kernel.Namespace) error {
	conn, err := ns.Dial()
	if err != nil {
		return errors.Join(err, ns.Close())
	}
	watch, err := ns.Watch(true)
	if err == nil {
		err = m.sweep(conn)
	}
	if err != nil {
		conn.Close()
		if watch != nil {
			watch.Close()
		}
		return errors.Join(err, ns.Close())
	}
	s.ns, s.conn, s.watch, s.port = ns, conn, watch, conn.Port()
	s.taps, s.dirty, s.graves = map[int]*tap{}, map[int]bool{}, map[string]chan struct{}{}
	m.events.Add(1)
	go func() {
		defer m.events.Done()
		m.receive(s, watch)
	}()
	return nil
}

// sweep removes the links of an earlier life of this router, and the rules of
// TAPs that are no more, whosever they were. Nothing there can be adopted: a
// TAP goes with its process, and its routes and addresses with it.
func (m *Manager) sweep(conn *kernel.Conn) error {
	links, err := conn.Links()
	if err != nil {
		return err
	}
	others := map[uint32]bool{} // tables of TAPs that other routers have
	var errs []error
	for _, l := range links {
		mark, ok := kernel.ParseMark(l.Alias)
		switch {
		case !ok || l.Kind != "tun":
		case mark.Router == m.cfg.RouterID:
			errs = append(errs, conn.DeleteLink(l.Index))
		default:
			others[tableBase+uint32(l.Index)] = true
		}
	}
	for _, family := range intf.Families {
		list, err := conn.Rules(family)
		errs = append(errs, err)
		for _, r := range list {
			if r.Table&^indexMask == tableBase && !others[r.Table] {
				errs = append(errs, conn.DeleteRule(r))
			}
		}
	}
	return errors.Join(errs...)
}

// shut closes the space's descriptors; its TAPs must be gone.
func (s *space) shut() {
	if s.ns == nil {
		return
	}
	s.watch.Close()
	s.conn.Close()
	_ = s.ns.Close()
	s.ns, s.conn, s.watch = nil, nil, nil
}

// letGo closes the space with a name unless something still wants it.
func (m *Manager) letGo(name string) {
	s := m.spaces[name]
	if m.users[name] == 0 {
		delete(m.users, name)
	}
	if s == nil || m.pinned[name] || m.users[name] > 0 {
		return
	}
	s.shut()
	delete(m.spaces, name)
}

func (s *space) add(t *tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taps[t.link] = t
}

func (s *space) drop(link int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taps, link)
}

func (s *space) tap(link int) *tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taps[link]
}

// rulesOf lists the rules that lead to a table; one reading serves a pass.
func (s *space) rulesOf(table uint32) ([]kernel.Rule, error) {
	if s.rules == nil {
		rules := map[uint32][]kernel.Rule{}
		for _, family := range intf.Families {
			list, err := s.conn.Rules(family)
			if err != nil {
				return nil, err
			}
			for _, r := range list {
				rules[r.Table] = append(rules[r.Table], r)
			}
		}
		s.rules = rules
	}
	return s.rules[table], nil
}

// receive marks the TAPs that events tell of, until the watch is closed.
func (m *Manager) receive(s *space, watch *kernel.Watch) {
	for {
		events, err := watch.Next()
		if err != nil && !errors.Is(err, kernel.ErrOverrun) {
			if !errors.Is(err, os.ErrClosed) {
				m.log.Error("events of a namespace ended; drift is found by the audit only", "namespace", s.name, "err", err)
			}
			return
		}
		if s.note(events, err != nil) {
			m.nudge()
		}
	}
}

// note reports whether the events concern a TAP of the space.
func (s *space) note(events []kernel.Event, overrun bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if overrun {
		s.all = true
	}
	for _, e := range events {
		if e.Port == s.port {
			continue // we did it ourselves
		}
		link := e.Index
		if e.Kind == kernel.RuleEvent {
			link = int(e.Table) - tableBase
		}
		if s.taps[link] != nil {
			s.dirty[link] = true
		}
	}
	return s.all || len(s.dirty) > 0
}

// suspects are the TAPs to be looked at; what was noted is forgotten.
func (s *space) suspects() map[*tap]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.all && len(s.dirty) == 0 {
		return nil
	}
	list := map[*tap]bool{}
	for link, t := range s.taps {
		if s.all || s.dirty[link] {
			list[t] = true
		}
	}
	s.all = false
	clear(s.dirty)
	return list
}

const (
	settle       = 20 * time.Millisecond  // events of one change come together
	pause        = 100 * time.Millisecond // between repairs, should someone fight us
	retry        = 500 * time.Millisecond // look at namespaces and at what failed
	auditEvery   = 60                     // retries between full audits
	maxDriftText = 20                     // drifts told of one unit at a time
)

func (m *Manager) nudge() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// watchDrift repairs what events and audits find, until stop.
func (m *Manager) watchDrift() {
	defer close(m.done)
	tick := time.NewTicker(retry)
	defer tick.Stop()
	wait := func(d time.Duration) bool {
		select {
		case <-m.stop:
			return false
		case <-time.After(d):
			return true
		}
	}
	for n := 1; ; {
		select {
		case <-m.stop:
			return
		case <-m.kick:
			if !wait(settle) {
				return
			}
			m.repair(suspect, false)
			if !wait(pause) {
				return
			}
		case <-tick.C:
			if n++; n%auditEvery == 0 {
				m.repair(audit, true)
			} else {
				m.repair(settled, false)
			}
		}
	}
}

// Audit compares everything with the kernel now and repairs it, instead of
// when an event or the next periodic audit (every 30 s) says so. It returns
// what could not be repaired.
func (m *Manager) Audit() error {
	return m.repair(audit, true)
}

// repair looks at the units whose TAPs are suspect, and at those that are not
// in place; at every unit where all is set.
func (m *Manager) repair(look depth, all bool) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	var errs []error
	suspects := map[*tap]bool{}
	isDue := m.dueSpaces(all)
	for _, s := range m.spaces {
		s.rules = nil
		if isDue(s) {
			m.checkNamespace(s)
		}
		for t := range s.suspects() {
			suspects[t] = true
		}
	}
	for ifindex, u := range m.units {
		due, depth := all, look
		for _, t := range u.taps {
			if suspects[t] {
				due, depth = true, max(depth, suspect)
			}
			due = due || t.reason != "" || t.dev == nil || t.dev.dead.Load()
		}
		if !due {
			continue
		}
		before := map[*tap]string{}
		for _, t := range u.taps {
			before[t] = t.reason
		}
		if depth == settled {
			depth = suspect // what failed may have been half done
		}
		fixed, err := m.place(u, depth)
		errs = append(errs, err)
		for i, what := range fixed {
			if i == maxDriftText {
				break
			}
			m.drifts = append(m.drifts, drift{ifindex, u.spec.Name, what})
		}
		for _, t := range u.taps {
			switch reason := before[t]; {
			case t.reason == reason:
			case t.reason == "":
				m.drifts = append(m.drifts, drift{ifindex, u.spec.Name, "in place again"})
			default:
				m.drifts = append(m.drifts, drift{ifindex, u.spec.Name, t.reason})
			}
		}
	}
	for _, s := range m.spaces {
		s.rules = nil
	}
	drifts := m.drifts
	m.drifts = nil
	m.mu.Unlock()
	if m.cfg.OnDrift != nil {
		for _, d := range drifts {
			m.cfg.OnDrift(d.ifindex, d.unit, d.what)
		}
	}
	return errors.Join(errs...)
}

// spacesAtOnce is how many namespaces a repair looks at where none is known to have
// changed. A look takes some 20 µs, and there may be thousands.
const spacesAtOnce = 64

// dueSpaces says which spaces have to be compared with what their names stand for: all of them
// at an audit and after a name has come or gone, else some in turn, since what a name stands
// for can be exchanged under it, and those whose namespace is away.
func (m *Manager) dueSpaces(all bool) func(*space) bool {
	changed, err := kernel.NamesChanged()
	// A second change may follow within the grain of the clock.
	if all || err != nil || !changed.Equal(m.namesAt) || time.Since(changed) < 2*retry {
		m.namesAt = changed
		return func(*space) bool { return true }
	}
	m.turn++
	turns := uint32(len(m.spaces)/spacesAtOnce + 1)
	return func(s *space) bool { return s.ns == nil || s.number%turns == m.turn%turns }
}

// checkNamespace closes a space whose name no longer stands for its
// namespace; what was in it becomes due, and is placed anew when the name is
// there again.
func (m *Manager) checkNamespace(s *space) {
	if s.ns != nil {
		if s.ns.Current() {
			return
		}
		for _, u := range m.units {
			if t := u.taps[s.name]; t != nil && t.dev != nil {
				if err := t.abandon(); err != nil {
					m.log.Warn("host interface of a removed namespace", "ifl", u.spec.Name, "err", err)
				}
				t.reason = fmt.Sprintf("network namespace %q was removed", s.name)
				u.publish()
			}
		}
		s.shut()
	}
	if m.pinned[s.name] && m.reopen(s) == nil {
		m.log.Info("network namespace is there again", "namespace", s.name)
	}
}
