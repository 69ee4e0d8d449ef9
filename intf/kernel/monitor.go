package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// auditInterval is how often Monitor reads everything again, whether or not
// there were events.
const auditInterval = 30 * time.Second

// A Monitor follows the links of one namespace and their addresses. Links that
// a router made itself (see Mark) are left out.
type Monitor struct {
	ns     *Namespace
	log    *slog.Logger
	conn   *Conn
	eth    *ethtool
	watch  *Watch
	audits time.Duration

	mu    sync.Mutex
	links map[string]Link
	dirty map[int]bool // link indexes that events told of
	lost  bool         // and events that were lost
}

// NewMonitor reads the links of the namespace and subscribes to their events.
// Run must follow; Close releases it.
func NewMonitor(ns *Namespace, log *slog.Logger) (*Monitor, error) {
	m := &Monitor{ns: ns, log: log, audits: auditInterval, links: map[string]Link{}, dirty: map[int]bool{}}
	var err error
	// Subscribed before reading, so that no change falls between the two.
	if m.watch, err = ns.Watch(false); err != nil {
		return nil, err
	}
	if m.conn, err = ns.Dial(); err == nil {
		err = ns.Do(func() (err error) {
			m.eth, err = dialEthtool()
			return err
		})
	}
	if err == nil {
		_, err = m.read(true)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close ends Run and releases the sockets. It is to be called once.
func (m *Monitor) Close() {
	m.watch.Close()
	if m.conn != nil {
		m.conn.Close()
	}
	if m.eth != nil {
		m.eth.close()
	}
}

// Get is the link with a name as it was last seen. A link that is not there
// has Present false; its Reason says so.
func (m *Monitor) Get(name string) Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.links[name]; ok {
		return l
	}
	return Link{Name: name}
}

// Named is the name of the link with that index as it was last seen, "" when it is
// not there.
func (m *Monitor) Named(index int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, l := range m.links {
		if l.Index == index {
			return name
		}
	}
	return ""
}

// Links are all links as they were last seen, ordered by index.
func (m *Monitor) Links() []Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Link, 0, len(m.links))
	for _, l := range m.links {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Link) int { return a.Index - b.Index })
	return list
}

// Run calls changed for each link that appears, changes or, with Present
// false, goes away, until ctx ends or Close is called; then it returns nil.
// changed is called from one goroutine. A link that went and came back between
// two looks is seen by its new Index.
func (m *Monitor) Run(ctx context.Context, changed func(Link)) error {
	wake := make(chan struct{}, 1)
	errs := make(chan error, 1)
	go func() { errs <- m.receive(wake) }()
	defer func() {
		m.watch.Close()
		<-errs
	}()
	tick := time.NewTicker(m.audits)
	defer tick.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
			return nil
		case err := <-errs:
			errs <- nil // for the deferred wait
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		case <-wake:
		case <-tick.C:
			all = true
		}
		list, err := m.read(all)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			m.log.Warn("links could not be read; retried by the next audit", "err", err)
			continue
		}
		for _, l := range list {
			changed(l)
		}
	}
}

// receive turns any number of events into one wake-up: what counts is what
// stands when it is read.
func (m *Monitor) receive(wake chan<- struct{}) error {
	for {
		events, err := m.watch.Next()
		if errors.Is(err, ErrOverrun) {
			m.log.Warn("link events were lost; all links are read again")
		} else if err != nil {
			return err
		} else if len(events) == 0 {
			continue
		}
		m.mu.Lock()
		m.lost = m.lost || err != nil
		for _, e := range events {
			m.dirty[e.Index] = true
		}
		m.mu.Unlock()
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// read looks at the links that events told of, or at all of them, and returns
// what is different from the last time.
func (m *Monitor) read(all bool) ([]Link, error) {
	m.mu.Lock()
	all = all || m.lost
	dirty, old := m.dirty, m.links
	m.dirty, m.lost = map[int]bool{}, false
	m.mu.Unlock()

	var now map[string]Link
	var err error
	if all {
		now, err = m.readAll()
	} else {
		now, err = m.readSome(old, dirty)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.lost = true // whatever the reason, the next look is a full one
		return nil, err
	}
	m.links = now
	return diffLinks(old, now), nil
}

func (m *Monitor) readAll() (map[string]Link, error) {
	list, err := m.conn.Links()
	if err != nil {
		return nil, err
	}
	addresses, err := m.conn.Addresses(0)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	own := map[int][]netip.Prefix{}
	for _, a := range addresses {
		own[a.Index] = append(own[a.Index], a.Prefix)
	}
	now := make(map[string]Link, len(list))
	for _, l := range list {
		m.enter(now, l, own[l.Index])
	}
	return now, nil
}

// readSome is old with the links of the given indexes read anew. Its cost
// follows their number, so that ten thousand TAPs that come up one by one are
// not ten thousand dumps.
func (m *Monitor) readSome(old map[string]Link, dirty map[int]bool) (map[string]Link, error) {
	now := maps.Clone(old)
	maps.DeleteFunc(now, func(_ string, l Link) bool { return dirty[l.Index] })
	for index := range dirty {
		l, err := m.conn.LinkByIndex(index)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, ours := ParseMark(l.Alias); ours {
			continue
		}
		if l.master != 0 {
			l.Master, l.MasterKind = fmt.Sprintf("link %d", l.master), "master"
			if master, err := m.conn.LinkByIndex(l.master); err == nil {
				l.Master, l.MasterKind = master.Name, master.Kind
			}
		}
		addresses, err := m.conn.Addresses(index)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var own []netip.Prefix
		for _, a := range addresses {
			own = append(own, a.Prefix)
		}
		m.enter(now, l, own)
	}
	return now, nil
}

// enter completes a link and stores it, unless a router made it.
func (m *Monitor) enter(now map[string]Link, l Link, own []netip.Prefix) {
	if _, ours := ParseMark(l.Alias); ours {
		return
	}
	slices.SortFunc(own, netip.Prefix.Compare)
	l.Addresses = own
	if l.Kind != "tun" { // its channels are its queues, its speed a fiction
		if rx, tx := m.eth.channels(l.Name); rx > 0 && tx > 0 {
			l.RxQueues, l.TxQueues = rx, tx
		}
		l.Speed = m.eth.speed(l.Name)
	}
	now[l.Name] = l
}

// diffLinks lists what changed from old to now, those that are gone first,
// each group by name.
func diffLinks(old, now map[string]Link) []Link {
	var absent, present []Link
	for name := range old {
		if _, ok := now[name]; !ok {
			absent = append(absent, Link{Name: name})
		}
	}
	for name, l := range now {
		if before, ok := old[name]; !ok || !l.equal(before) {
			present = append(present, l)
		}
	}
	byName := func(a, b Link) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(absent, byName)
	slices.SortFunc(present, byName)
	return append(absent, present...)
}
