package host

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"router/intf/kernel"
)

// A depth says how much of a TAP is read back from the kernel. Links and
// addresses always are; the rest is dearer.
type depth uint8

const (
	settled depth = iota // routes and rules stand as we left them
	suspect              // something was changed: read routes and rules too
	audit                // and the sysctls, which have no events
)

// A tap is one TAP and what we put around it. Guarded by Manager.mu.
type tap struct {
	manager *Manager
	want    placement
	reason  string // why it is not in place; "" when it is

	space   *space
	dev     *device
	link    int // the kernel's index of the TAP
	applied struct {
		addresses []kernel.Address
		routes    []kernel.DefaultRoute
		rules     []kernel.Rule
	}
	wasUp   bool           // as we left it
	foreign []netip.Prefix // addresses that others gave to the TAP; left alone
}

// converge brings the TAP to what is wanted and says what it found changed by
// others. It may be called again after any error.
func (t *tap) converge(s *space, look depth) (fixed []string, err error) {
	if t.dev != nil && (t.space != s || t.dev.dead.Load()) {
		err := t.abandon()
		fixed = append(fixed, "the TAP was removed")
		if err != nil {
			return fixed, err
		}
	}
	var l kernel.Link
	if t.dev != nil {
		l, err = s.conn.LinkByIndex(t.link)
		if errors.Is(err, kernel.ErrNotFound) {
			fixed = append(fixed, "the TAP was removed")
			err = t.abandon()
		}
		if err != nil {
			return fixed, err
		}
	}
	fresh := t.dev == nil
	if fresh {
		// Nothing of it exists yet, so there is nothing to read back.
		look = settled
		if l, err = t.open(s); err != nil {
			return fixed, err
		}
	}
	did, err := t.convergeLink(l, fresh, look)
	fixed = append(fixed, did...)
	if err != nil {
		return fixed, err
	}
	did, err = t.convergeAddresses(look)
	return append(fixed, did...), err
}

// open makes the TAP under the first of its names that is free.
func (t *tap) open(s *space) (kernel.Link, error) {
	list := names(t.want.unit)
	for _, name := range list {
		dev, err := t.openAs(s, name)
		if errors.Is(err, errBusy) {
			continue
		}
		if err != nil {
			return kernel.Link{}, err
		}
		l, err := s.conn.LinkByName(name)
		if err != nil {
			_ = dev.file.Close()
			return kernel.Link{}, fmt.Errorf("new TAP: %w", err)
		}
		t.space, t.dev, t.link = s, dev, l.Index
		t.applied.addresses, t.applied.routes, t.applied.rules = nil, nil, nil
		s.add(t)
		t.show()
		m := t.manager
		m.events.Add(1)
		go func() {
			defer m.events.Done()
			dev.read(m.cfg.Inject)
			m.nudge()
		}()
		if name != t.want.unit {
			m.log.Info("host interface has another name than its unit", "ifl", t.want.unit, "link", name)
		}
		return l, nil
	}
	return kernel.Link{}, fmt.Errorf("the names %q are all taken by other links in namespace %q: rename one", list, t.want.namespace())
}

// patience is how long a TAP of a predecessor that is being torn down by the
// kernel may keep its name.
const patience = 500 * time.Millisecond

func (t *tap) openAs(s *space, name string) (dev *device, err error) {
	if gone := s.graves[name]; gone != nil {
		<-gone
		delete(s.graves, name)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err = s.ns.Do(func() (err error) {
			dev, err = openDevice(name)
			return err
		})
		if !errors.Is(err, errBusy) {
			return dev, err
		}
		l, lookErr := s.conn.LinkByName(name)
		mark, ours := kernel.ParseMark(l.Alias)
		ours = ours && mark.Router == t.manager.cfg.RouterID && s.tap(l.Index) == nil
		if lookErr == nil && !ours || time.Now().After(end) {
			return nil, err
		}
	}
}

// show publishes what the packet functions need to know.
func (t *tap) show() {
	v := &view{ifindex: t.want.ifindex, mac: t.want.mac, mtu: t.want.mtu, broadcasts: t.want.broadcasts()}
	for _, f := range t.want.families {
		if f != nil {
			v.families[f.Family] = true
			v.instances[f.Family] = f.Instance
		}
	}
	t.dev.setView(v)
}

// namespace is the one that all families of a placement share.
func (p placement) namespace() string {
	for _, f := range p.families {
		if f != nil {
			return f.Namespace
		}
	}
	return ""
}

// convergeLink sets what belongs to the link itself: first its properties, then
// the sysctls, and last the flag that lets packets through.
func (t *tap) convergeLink(l kernel.Link, fresh bool, look depth) (fixed []string, err error) {
	conn := t.space.conn
	before := t.dev.view.Load()
	t.show()
	var ch kernel.LinkChange
	changed := false
	// A difference from what we asked for last was made by someone else.
	differs := func(what string, ours bool) {
		changed = true
		if ours && !fresh {
			fixed = append(fixed, what)
		}
	}
	if alias := (kernel.Mark{Router: t.manager.cfg.RouterID, Object: t.want.unit}).Alias(); l.Alias != alias {
		ch.Alias = alias
		differs("the alias was "+strconv.Quote(l.Alias), true)
	}
	if l.MAC != t.want.mac {
		ch.MAC = t.want.mac
		differs("the MAC address was "+l.MAC.String(), before.mac == t.want.mac)
	}
	if l.MTU != t.want.mtu {
		ch.MTU = t.want.mtu
		differs(fmt.Sprintf("the MTU was %d", l.MTU), before.mtu == t.want.mtu)
	}
	if !l.NoARP {
		yes := true
		ch.NoARP = &yes
		differs("ARP was on", true)
	}
	if l.Name != t.dev.name {
		ch.Name = t.dev.name
		differs("the name was "+l.Name, true)
	}
	renewed := l.MTU < minMTU6 && t.want.mtu >= minMTU6
	if renewed && l.AdminUp {
		// IPv6 comes back to the link with the kernel's defaults: it must not
		// act on them before the sysctls are set.
		down := false
		if err := conn.SetLink(t.link, kernel.LinkChange{Up: &down}); err != nil {
			return fixed, fmt.Errorf("TAP %s: set down to raise the MTU: %w", t.dev.name, err)
		}
		l.AdminUp, t.wasUp = false, false
	}
	if changed {
		if err := conn.SetLink(t.link, ch); err != nil {
			return fixed, fmt.Errorf("TAP %s: %w", t.dev.name, err)
		}
	}
	if fresh || renewed || look == audit || before.families != t.dev.view.Load().families {
		if err := t.sysctls(); err != nil {
			return fixed, err
		}
	}
	if err := t.setMTU6(); err != nil {
		return fixed, err
	}
	if l.AdminUp != t.want.up {
		if t.wasUp == t.want.up && !fresh {
			fixed = append(fixed, map[bool]string{true: "the link was set up", false: "the link was set down"}[l.AdminUp])
		}
		if err := conn.SetLink(t.link, kernel.LinkChange{Up: &t.want.up}); err != nil {
			return fixed, fmt.Errorf("TAP %s: set up %t: %w", t.dev.name, t.want.up, err)
		}
		// The kernel dropped the routes when the link went down.
		t.applied.routes = nil
	}
	t.wasUp = t.want.up
	return fixed, nil
}

// abandon takes the TAP away, wherever it is now. What draws packets to it is
// removed at once; the link itself follows a little later, as the kernel takes
// tens of milliseconds for each.
func (t *tap) abandon() error {
	if t.dev == nil {
		return nil
	}
	c := t.space.conn
	var errs []error
	for _, r := range t.applied.rules {
		errs = append(errs, c.DeleteRule(r))
	}
	for _, r := range t.applied.routes {
		errs = append(errs, c.DeleteDefault(r))
	}
	for _, a := range t.applied.addresses {
		errs = append(errs, c.DeleteAddress(a))
	}
	t.space.drop(t.link)
	t.manager.bury(t.space, t.dev)
	t.dev, t.space, t.link = nil, nil, 0
	t.applied.addresses, t.applied.routes, t.applied.rules = nil, nil, nil
	t.foreign, t.wasUp = nil, false
	return errors.Join(errs...)
}

// maxGraves is when those that are long closed are forgotten.
const maxGraves = 256

// bury closes a TAP in the background, a few at a time.
func (m *Manager) bury(s *space, dev *device) {
	if len(s.graves) >= maxGraves {
		for name, gone := range s.graves {
			select {
			case <-gone:
				delete(s.graves, name)
			default:
			}
		}
	}
	gone := make(chan struct{})
	s.graves[dev.name] = gone
	m.events.Add(1)
	go func() {
		defer m.events.Done()
		m.diggers <- struct{}{}
		if err := dev.file.Close(); err != nil {
			m.log.Warn("TAP could not be closed", "link", dev.name, "err", err)
		}
		<-m.diggers
		close(gone)
	}()
}
