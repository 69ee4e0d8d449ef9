package routing

import (
	"net/netip"

	"router/intf"
)

// Lookup is the route that packets to a follow: the best one of the longest
// prefix that has one.
func (r *RIB) Lookup(a netip.Addr) (Entry, bool) {
	return r.LookupFunc(a, func(Entry) bool { return true })
}

// LookupDirect is the best route by which a is a neighbour on the unit ifindex,
// or on any unit if that is 0. It is the lookup of SO_DONTROUTE: routes of the
// longest prefix first, whether packets follow them or not.
func (r *RIB) LookupDirect(a netip.Addr, ifindex intf.Index) (Entry, bool) {
	return r.Find(a, Query{Direct: true, IfIndex: ifindex})
}

// LookupFunc is the first usable route that covers a and that accepts accepts:
// longest prefix first, then by preference.
func (r *RIB) LookupFunc(a netip.Addr, accepts func(Entry) bool) (found Entry, ok bool) {
	r.covering(a, func(e Entry) bool {
		if e.Usable && accepts(e) {
			found, ok = e, true
		}
		return !ok
	})
	return found, ok
}

// Entries lists the routes to exactly this prefix, the preferred one first.
func (r *RIB) Entries(p netip.Prefix) []Entry {
	if !p.IsValid() {
		return nil
	}
	p = p.Masked()
	s := r.store
	i := r.routes[intf.FamilyOf(p.Addr())].find(&s.nodes, keyOf(p.Addr()), uint8(p.Bits()))
	if i == 0 {
		return nil
	}
	var list []Entry
	s.visit(i, func(e Entry) bool { list = append(list, e); return true })
	return list
}

// Entry is the route with exactly this key.
func (r *RIB) Entry(k Key) (e Entry, ok bool) {
	if !k.Prefix.IsValid() {
		return Entry{}, false
	}
	s, p := r.store, k.Prefix.Masked()
	i := r.routes[intf.FamilyOf(p.Addr())].find(&s.nodes, keyOf(p.Addr()), uint8(p.Bits()))
	if i == 0 {
		return Entry{}, false
	}
	n := s.nodes.at(i)
	j := *s.find(n, k)
	if j == 0 {
		return Entry{}, false
	}
	return s.entry(n, j), true
}

// Walk visits all the routes of a family in the order of the prefixes (address,
// then length), the preferred one of each first, until visit answers false.
// visit must not change routes.
func (r *RIB) Walk(f intf.Family, visit func(Entry) bool) {
	s := r.store
	walk(&s.nodes, r.routes[f].root, func(i uint32) bool { return s.visit(i, visit) })
}

// WalkWithin visits as Walk does, but only the routes to p and to what lies in it.
func (r *RIB) WalkWithin(p netip.Prefix, visit func(Entry) bool) {
	if !p.IsValid() {
		return
	}
	p = p.Masked()
	s := r.store
	r.routes[intf.FamilyOf(p.Addr())].within(&s.nodes, keyOf(p.Addr()), uint8(p.Bits()),
		func(i uint32) bool { return s.visit(i, visit) })
}

// visit visits the routes of node i.
func (s *Store) visit(i uint32, visit func(Entry) bool) bool {
	n := s.nodes.at(i)
	for j := n.head; j != 0; {
		if !visit(s.entry(n, j)) {
			return false
		}
		j = s.records.at(j).next
	}
	return true
}
