package vrf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"router/intf"
	"router/routing"
)

// A familyKey names a family of a unit.
type familyKey struct {
	ifindex intf.Index
	family  intf.Family
}

// A family is what a family of a unit adds to its instance.
type family struct {
	key       familyKey
	instance  *instance
	up        bool
	addresses map[netip.Prefix]intf.AddressSpec
	neighbors map[netip.Addr]struct{}
	// routes are what the addresses call for, up or not, and how many of them
	// call for each: two addresses of one subnet share its destination route.
	routes map[routing.Key]*claim
	// subnets counts the destination routes among them by prefix length.
	subnets map[int]int
}

// A claim is an interface route and the number of addresses that call for it.
type claim struct {
	route  routing.Route
	count  int
	ignore int // of these, the addresses that would have it ignored
}

// wanted is the route as it is to be in the RIB.
func (c *claim) wanted() routing.Route {
	r := c.route
	r.Ignored = c.ignore == c.count
	return r
}

// SetFamily puts a family of a unit into an instance, or changes its instance or
// state. Of a family that is down only the local addresses are recognised.
func (m *Manager) SetFamily(ifindex intf.Index, f intf.Family, instance string, up bool) error {
	ri, err := m.instance(instance)
	if err != nil {
		return fmt.Errorf("unit %d family %v: %w", ifindex, f, err)
	}
	key := familyKey{ifindex, f}
	iff := m.families[key]
	if iff == nil {
		iff = &family{
			key: key, instance: ri,
			addresses: map[netip.Prefix]intf.AddressSpec{},
			neighbors: map[netip.Addr]struct{}{},
			routes:    map[routing.Key]*claim{},
			subnets:   map[int]int{},
		}
		m.families[key] = iff
		ri.used++
	}
	if iff.instance == ri && iff.up == up {
		return nil
	}
	return m.store.Batch(func() error {
		errs := []error{iff.withdraw()}
		if iff.instance != ri {
			iff.instance.used--
			ri.used++
			iff.instance = ri
		}
		iff.up = up
		errs = append(errs, m.store.SetLink(ifindex, f, up), iff.announce())
		return errors.Join(errs...)
	})
}

// RemoveFamily takes a family of a unit out of its instance, with its addresses
// and neighbours. Removing what is absent is no error.
func (m *Manager) RemoveFamily(ifindex intf.Index, f intf.Family) error {
	key := familyKey{ifindex, f}
	iff := m.families[key]
	if iff == nil {
		return nil
	}
	delete(m.families, key)
	iff.instance.used--
	return m.store.Batch(func() error {
		return errors.Join(iff.withdraw(), m.store.SetLink(ifindex, f, false))
	})
}

// AddAddress adds an address to its family on a unit, or changes its far end.
// The address must be usable: duplicate address detection is the caller's.
func (m *Manager) AddAddress(ifindex intf.Index, a intf.AddressSpec) error {
	iff, err := m.family(ifindex, a.Prefix.Addr())
	if err != nil {
		return fmt.Errorf("address %v: %w", a.Prefix, err)
	}
	old, had := iff.addresses[a.Prefix]
	if had && old.Peer == a.Peer && old.Ignore == a.Ignore {
		iff.addresses[a.Prefix] = a
		return nil
	}
	return m.store.Batch(func() error {
		iff.addresses[a.Prefix] = a
		// The new claims come first, so that a shared one is never let go.
		var errs []error
		routes := addressRoutes(ifindex, a)
		for _, r := range routes {
			errs = append(errs, iff.claim(r, ignored(a, r)))
		}
		if had {
			gone := addressRoutes(ifindex, old)
			for _, r := range gone {
				errs = append(errs, iff.release(r.Key, ignored(old, r)))
			}
			routes = append(routes, gone...)
		}
		if len(routes) > 0 {
			errs = append(errs, iff.syncNeighbors(routes...))
		}
		return errors.Join(errs...)
	})
}

// RemoveAddress removes an address from its family on a unit. Removing what is
// absent is no error.
func (m *Manager) RemoveAddress(ifindex intf.Index, prefix netip.Prefix) error {
	iff := m.families[familyKey{ifindex, intf.FamilyOf(prefix.Addr())}]
	if iff == nil {
		return nil
	}
	a, ok := iff.addresses[prefix]
	if !ok {
		return nil
	}
	return m.store.Batch(func() error {
		delete(iff.addresses, prefix)
		var errs []error
		routes := addressRoutes(ifindex, a)
		for _, r := range routes {
			errs = append(errs, iff.release(r.Key, ignored(a, r)))
		}
		if len(routes) > 0 {
			errs = append(errs, iff.syncNeighbors(routes...))
		}
		return errors.Join(errs...)
	})
}

// AddNeighbor adds the host route of a neighbour that is resolved. It stands
// below the destination route of an address of the unit, and only as long as
// there is one: a neighbour can't claim an address that isn't on its link.
// Link-local neighbours have no route.
func (m *Manager) AddNeighbor(ifindex intf.Index, addr netip.Addr) error {
	addr = addr.WithZone("")
	iff, err := m.family(ifindex, addr)
	if err != nil {
		return fmt.Errorf("neighbour %v: %w", addr, err)
	}
	if _, ok := iff.neighbors[addr]; ok || linkLocal6(addr) {
		return nil
	}
	iff.neighbors[addr] = struct{}{}
	return iff.syncNeighbor(addr)
}

// RemoveNeighbor removes a neighbour's host route. Removing what is absent is
// no error.
func (m *Manager) RemoveNeighbor(ifindex intf.Index, addr netip.Addr) error {
	addr = addr.WithZone("")
	iff := m.families[familyKey{ifindex, intf.FamilyOf(addr)}]
	if iff == nil {
		return nil
	}
	if _, ok := iff.neighbors[addr]; !ok {
		return nil
	}
	delete(iff.neighbors, addr)
	return iff.instance.rib.Delete(neighborRoute(ifindex, addr).Key)
}

// family is the family of a unit that an address belongs to, or an error.
func (m *Manager) family(ifindex intf.Index, a netip.Addr) (*family, error) {
	if !a.IsValid() {
		return nil, errors.New("not an address")
	}
	f := intf.FamilyOf(a)
	if iff := m.families[familyKey{ifindex, f}]; iff != nil {
		return iff, nil
	}
	return nil, fmt.Errorf("unit %d has no family %v: set the family first", ifindex, f)
}

// shown reports whether a route of the family's addresses is to be in the RIB.
func (iff *family) shown(r *routing.Route) bool {
	return iff.up || r.Source == routing.InterfaceLocal
}

// claim counts one more address that calls for r, or would have it ignored.
func (iff *family) claim(r routing.Route, ignore bool) error {
	c := iff.routes[r.Key]
	if c == nil {
		c = &claim{route: r}
		iff.routes[r.Key] = c
		if r.Source == routing.InterfaceDestination {
			iff.subnets[r.Prefix.Bits()]++
		}
	}
	c.count++
	if ignore {
		c.ignore++
	}
	if iff.shown(&r) {
		return iff.instance.rib.Set(c.wanted())
	}
	return nil
}

// release counts one address less that calls for the route k, or would have it
// ignored.
func (iff *family) release(k routing.Key, ignore bool) error {
	c := iff.routes[k]
	if c == nil {
		return nil
	}
	if ignore {
		c.ignore--
	}
	if c.count--; c.count > 0 {
		if iff.shown(&c.route) {
			return iff.instance.rib.Set(c.wanted())
		}
		return nil
	}
	delete(iff.routes, k)
	if k.Source == routing.InterfaceDestination {
		if iff.subnets[k.Prefix.Bits()]--; iff.subnets[k.Prefix.Bits()] == 0 {
			delete(iff.subnets, k.Prefix.Bits())
		}
	}
	return iff.instance.rib.Delete(k)
}

// announce puts into the RIB what the family's state allows.
func (iff *family) announce() error {
	var errs []error
	for _, c := range iff.routes {
		if iff.shown(&c.route) {
			errs = append(errs, iff.instance.rib.Set(c.wanted()))
		}
	}
	return errors.Join(append(errs, iff.syncNeighbors())...)
}

// withdraw takes everything of the family out of the RIB.
func (iff *family) withdraw() error {
	var errs []error
	for k := range iff.routes {
		errs = append(errs, iff.instance.rib.Delete(k))
	}
	for a := range iff.neighbors {
		errs = append(errs, iff.instance.rib.Delete(neighborRoute(iff.key.ifindex, a).Key))
	}
	return errors.Join(errs...)
}

// syncNeighbors adds and removes host routes after the subnets in changed, or
// all if there are none, have come or gone.
func (iff *family) syncNeighbors(changed ...routing.Route) error {
	all := len(changed) == 0
	changed = slices.DeleteFunc(changed, func(r routing.Route) bool { return r.Source != routing.InterfaceDestination })
	touched := func(a netip.Addr) bool {
		return all || slices.ContainsFunc(changed, func(r routing.Route) bool { return r.Prefix.Contains(a) })
	}
	if !all && len(changed) == 0 {
		return nil
	}
	var errs []error
	for a := range iff.neighbors {
		if touched(a) {
			errs = append(errs, iff.syncNeighbor(a))
		}
	}
	return errors.Join(errs...)
}

// syncNeighbor adds or removes the host route of a neighbour.
func (iff *family) syncNeighbor(a netip.Addr) error {
	r := neighborRoute(iff.key.ifindex, a)
	on, ignored := iff.onLink(a)
	if !iff.up || !on {
		return iff.instance.rib.Delete(r.Key)
	}
	r.Ignored = ignored
	return iff.instance.rib.Set(r)
}

// onLink reports whether a is in a destination prefix of the family, and
// whether all such prefixes are ignored.
func (iff *family) onLink(a netip.Addr) (on, ignored bool) {
	ignored = true
	for bits := range iff.subnets {
		p, _ := a.Prefix(bits) // no longer than the family's addresses
		if c := iff.routes[destination(iff.key.ifindex, p)]; c != nil {
			on, ignored = true, ignored && c.wanted().Ignored
		}
	}
	return on, on && ignored
}
