package vrf

import (
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
