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
