package routing

import (
	"net/netip"
	"slices"

	"router/intf"
)

// A Query picks routes by their metadata. The zero Query picks every usable
// route; each field that is set picks fewer, but Unusable.
type Query struct {
	Sources   []Source   // from one of these; none is any
	Not       []Source   // from none of these
	Protocols []Protocol // of one of these; none is any
	IfIndex   intf.Index // leads out of this unit: itself, through its gateway or by a member; 0 is any
	Tag       *uint32    // has this tag; nil is any
	Direct    bool       // the address is a neighbour on the route's unit
	Unusable  bool       // routes that can't be used too
}

// Find is the first route that covers a and that q picks: longest prefix first,
// then by preference, whether packets follow it or not.
func (r *RIB) Find(a netip.Addr, q Query) (found Entry, ok bool) {
	r.covering(a, func(e Entry) bool {
		if r.store.picks(q, a.WithZone(""), e) {
			found, ok = e, true
		}
		return !ok
	})
	return found, ok
}

// FindAll lists the routes that cover a and that q picks, in the order of Find.
func (r *RIB) FindAll(a netip.Addr, q Query) (list []Entry) {
	r.covering(a, func(e Entry) bool {
		if r.store.picks(q, a.WithZone(""), e) {
			list = append(list, e)
		}
		return true
	})
	return list
}

// covering visits the routes that cover a, longest prefix first, until visit
// answers false.
func (r *RIB) covering(a netip.Addr, visit func(Entry) bool) {
	if !a.IsValid() {
		return
	}
	s := r.store
	var scratch [33]uint32
	path := r.routes[intf.FamilyOf(a)].matches(&s.nodes, keyOf(a), scratch[:0])
	for i := len(path) - 1; i >= 0; i-- {
		if !s.visit(path[i], visit) {
			return
		}
	}
}

// picks reports whether q picks the route e for the address a.
func (s *Store) picks(q Query, a netip.Addr, e Entry) bool {
	switch {
	case !e.Usable && !q.Unusable,
		len(q.Sources) > 0 && !slices.Contains(q.Sources, e.Source),
		slices.Contains(q.Not, e.Source),
		len(q.Protocols) > 0 && !slices.Contains(q.Protocols, e.Protocol),
		q.Tag != nil && *q.Tag != e.Tag,
		q.IfIndex != 0 && !s.leadsOut(s.hops.byID[e.ID], q.IfIndex):
		return false
	}
	nh := e.NextHop
	return !q.Direct || nh.Kind == Resolve || nh.Kind == Forward && nh.Gateway == a
}

// leadsOut reports whether packets can leave by unit i that follow h.
func (s *Store) leadsOut(h *hop, i intf.Index) bool {
	switch h.Kind {
	case Forward, Resolve:
		return h.IfIndex == i
	case Indirect:
		return h.gateway.via != nil && s.leadsOut(h.gateway.via, i)
	case Group:
		for _, m := range h.group.members {
			if s.leadsOut(m.hop, i) {
				return true
			}
		}
	case Receive, Broadcast, LinkLocal, Reject, Discard, Lookup, Choice, Multicast, Flood, BySource:
	}
	return false
}
