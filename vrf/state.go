package vrf

import (
	"net/netip"

	"router/intf"
	"router/routing"
)

// Routes visits all the routes of a family in an instance with their state, in
// the order of the prefixes, the preferred one of each first, until visit
// answers false. visit must not change routes.
func (m *Manager) Routes(instance string, f intf.Family, visit func(routing.Entry) bool) {
	if ri := m.byName[instance]; ri != nil {
		ri.rib.Walk(f, visit)
	}
}

// Counts are the numbers of a family's routes in an instance, by source.
func (m *Manager) Counts(instance string, f intf.Family) routing.Counts {
	if ri := m.byName[instance]; ri != nil {
		return ri.rib.Counts(f)
	}
	return routing.Counts{}
}

// NextHop is the next hop that id names, and what it resolves to now if it is
// an Indirect; ok is false when it is gone.
func (m *Manager) NextHop(id routing.NextHopID) (nh, via routing.NextHop, ok bool) {
	return m.store.NextHop(id)
}

// NextHops is the number of next hops in use.
func (m *Manager) NextHops() int { return m.store.NextHops() }

// Gateways visits the neighbours that usable user routes go through now, until
// visit answers false.
func (m *Manager) Gateways(visit func(ifindex intf.Index, gateway netip.Addr) bool) {
	m.store.Gateways(visit)
}

// Members lists the members of the group id, as [routing.Store.Members] does.
func (m *Manager) Members(id routing.NextHopID) []routing.MemberState { return m.store.Members(id) }

// Pending is how many declared routes of all instances packets should follow and can't.
func (m *Manager) Pending() int { return m.store.Pending() }

// EachPending visits their keys, in no order, until visit answers false; group is that of a
// route by source, and not valid for the others. visit must not change routes.
func (m *Manager) EachPending(visit func(instance string, group netip.Addr, k routing.Key) bool) {
	m.store.EachPending(func(index uint32, group netip.Addr, k routing.Key) bool {
		return visit(m.Name(index), group, k)
	})
}
