package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"router/intf"
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
	t.dev.view.Store(v)
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

// convergeAddresses sets addresses, routes and rules: first everything new, then
// away with the old.
func (t *tap) convergeAddresses(look depth) (fixed []string, err error) {
	c := t.space.conn
	want := t.want.addresses(t.link)
	have, err := c.Addresses(t.link)
	if err != nil {
		return nil, err
	}
	fixed, err = t.addAddresses(have, want)
	if err != nil {
		return fixed, err
	}

	did, oldRoutes, err := t.addRoutes(want, look)
	fixed = append(fixed, did...)
	if err != nil {
		return fixed, err
	}
	did, oldRules, err := t.addRules(want, look)
	fixed = append(fixed, did...)
	if err != nil {
		return fixed, err
	}

	var errs []error
	for _, r := range oldRules {
		errs = append(errs, c.DeleteRule(r))
	}
	for _, r := range oldRoutes {
		errs = append(errs, c.DeleteDefault(r))
	}
	old := t.applied.addresses
	t.applied.addresses = want
	t.foreign = t.foreign[:0]
	for _, a := range have {
		same := func(b kernel.Address) bool { return sameAddress(a, b) }
		switch {
		case slices.ContainsFunc(want, same):
		case slices.ContainsFunc(old, same):
			if err := c.DeleteAddress(a); err != nil {
				errs = append(errs, err)
				t.applied.addresses = append(slices.Clone(t.applied.addresses), a) // try again
			}
		default:
			t.foreign = append(t.foreign, a.Prefix)
		}
	}
	return fixed, errors.Join(errs...)
}

func sameAddress(a, b kernel.Address) bool { return a.Prefix == b.Prefix && a.Peer == b.Peer }

func (t *tap) addAddresses(have, want []kernel.Address) (fixed []string, err error) {
	c := t.space.conn
	for _, a := range want {
		i := slices.IndexFunc(have, func(b kernel.Address) bool { return sameAddress(a, b) })
		if i >= 0 && have[i].Deprecated == a.Deprecated {
			continue
		}
		if i < 0 && slices.ContainsFunc(t.applied.addresses, func(b kernel.Address) bool { return sameAddress(a, b) }) {
			fixed = append(fixed, fmt.Sprintf("address %s was removed", a.Prefix))
		}
		// IPv6 knows an address once, whatever its length.
		if j := slices.IndexFunc(have, func(b kernel.Address) bool {
			return !a.Prefix.Addr().Is4() && a.Prefix.Addr() == b.Prefix.Addr() && !sameAddress(a, b)
		}); j >= 0 {
			if err := c.DeleteAddress(have[j]); err != nil {
				return fixed, err
			}
		}
		if err := c.PutAddress(a); err != nil {
			return fixed, err
		}
	}
	return fixed, t.promote(want)
}

// promote makes the first wanted address of each IPv4 subnet the kernel's
// primary, by taking those before it away for a moment.
func (t *tap) promote(want []kernel.Address) error {
	c := t.space.conn
	seen := map[netip.Prefix]bool{}
	for _, a := range want {
		subnet := a.Prefix.Masked()
		if !a.Prefix.Addr().Is4() || a.Peer.IsValid() || seen[subnet] {
			continue
		}
		seen[subnet] = true
		for range want {
			have, err := c.Addresses(t.link)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(have, func(b kernel.Address) bool { return sameAddress(a, b) })
			if i < 0 || !have[i].Secondary {
				break
			}
			first := slices.IndexFunc(have, func(b kernel.Address) bool {
				return !b.Secondary && b.Prefix.Masked() == subnet
			})
			if first < 0 {
				break
			}
			if err := errors.Join(c.DeleteAddress(have[first]), c.PutAddress(have[first])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tap) addRoutes(addresses []kernel.Address, look depth) (fixed []string, old []kernel.DefaultRoute, err error) {
	c := t.space.conn
	want := t.want.routes(t.link, addresses)
	have := t.applied.routes
	if look >= suspect {
		have = nil
		for _, family := range intf.Families {
			list, err := c.Defaults(family, t.link)
			if err != nil {
				return nil, nil, err
			}
			have = append(have, list...)
		}
	}
	for _, r := range want {
		if slices.Contains(have, r) {
			continue
		}
		if slices.Contains(t.applied.routes, r) {
			fixed = append(fixed, fmt.Sprintf("default route of %s in table %d was removed", r.Family, r.Table))
		}
		if err := c.ReplaceDefault(r); err != nil {
			return fixed, nil, err
		}
	}
	t.applied.routes = want
	place := func(r kernel.DefaultRoute) [3]uint32 { return [3]uint32{uint32(r.Family), r.Table, r.Metric} }
	for _, r := range have {
		// One that was replaced in its place is gone already.
		if !slices.ContainsFunc(want, func(w kernel.DefaultRoute) bool { return place(w) == place(r) }) {
			old = append(old, r)
		}
	}
	return fixed, old, nil
}

func (t *tap) addRules(addresses []kernel.Address, look depth) (fixed []string, old []kernel.Rule, err error) {
	want := rules(t.link, addresses)
	have := t.applied.rules
	if look >= suspect {
		if have, err = t.space.rulesOf(tableBase + uint32(t.link)); err != nil {
			return nil, nil, err
		}
	}
	for _, r := range want {
		if slices.Contains(have, r) {
			continue
		}
		if slices.Contains(t.applied.rules, r) {
			fixed = append(fixed, fmt.Sprintf("rule from %s was removed", r.Source))
		}
		if err := t.space.conn.AddRule(r); err != nil {
			return fixed, nil, err
		}
	}
	t.applied.rules = want
	for _, r := range have {
		if !slices.Contains(want, r) {
			old = append(old, r)
		}
	}
	return fixed, old, nil
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

// sysctls sets what has no other interface. rp_filter is off, or loose where
// the whole namespace filters, as an answer may leave by another unit than the
// question came in by. The kernel must not forward between TAPs: the router
// does, by its own FIB. IPv6 forwarding is one switch for the namespace; where
// its owner has set it, it is left.
func (t *tap) sysctls() error {
	v4, v6 := "ipv4/conf/"+t.dev.name+"/", "ipv6/conf/"+t.dev.name+"/"
	return t.space.ns.Do(func() error {
		set := func(key, value string) error {
			_, err := kernel.SetSysctl(key, value)
			return err
		}
		rpFilter := "0"
		if all, err := kernel.Sysctl("ipv4/conf/all/rp_filter"); err != nil {
			return err
		} else if all != "0" {
			rpFilter = "2"
		}
		for _, kv := range [][2]string{
			{"forwarding", "0"}, {"rp_filter", rpFilter}, {"accept_redirects", "0"}, {"send_redirects", "0"},
			{"promote_secondaries", "1"},
		} {
			if err := set(v4+kv[0], kv[1]); err != nil {
				return err
			}
		}
		if t.want.families[intf.Inet6] == nil {
			err := set(v6+"disable_ipv6", "1")
			if errors.Is(err, os.ErrNotExist) {
				return nil // there is no IPv6 to disable
			}
			return err
		}
		for _, kv := range [][2]string{
			{"addr_gen_mode", "1"}, {"accept_ra", "0"}, {"autoconf", "0"}, {"accept_redirects", "0"},
			{"router_solicitations", "0"}, {"accept_dad", "0"}, {"dad_transmits", "0"},
			{"keep_addr_on_down", "1"}, {"disable_ipv6", "0"},
		} {
			if err := set(v6+kv[0], kv[1]); err != nil {
				return fmt.Errorf("%w; family inet6 needs a kernel with IPv6", err)
			}
		}
		if all, err := kernel.Sysctl("ipv6/conf/all/forwarding"); err != nil || all != "0" {
			return err
		}
		return set(v6+"forwarding", "0")
	})
}

// setMTU6 gives IPv6 its own MTU where the TAP's, made for IPv4, is larger.
func (t *tap) setMTU6() error {
	f := t.want.families[intf.Inet6]
	if f == nil {
		return nil
	}
	key := "ipv6/conf/" + t.dev.name + "/mtu"
	return t.space.ns.Do(func() error {
		_, err := kernel.SetSysctl(key, strconv.Itoa(int(f.MTU)))
		return err
	})
}
