package routing

import (
	"net/netip"
	"time"
)

// This file knows the declared routes that packets can't follow though they should: nothing
// leads to their next hop, or their FIB has no room for them. Nothing is kept of the others.

// A pendingRoute is what is known of such a route.
type pendingRoute struct {
	since   uint32 // see Store.tick
	refused uint32 // how often the FIB had no room for it
}

// declared reports whether routes of p stand in the configuration.
func (p Protocol) declared() bool { return p == Static || p == StaticGroup }

// notePending notes whether record j of node n, which has settled, is pending.
func (s *Store) notePending(n *node, j uint32, rec *record) {
	if rec.source != User || !rec.protocol.declared() {
		return
	}
	full := rec.flags&routeNoRoom != 0
	if !full && s.usable(n, rec) {
		s.notPending(j, rec)
		return
	}
	p := s.pending[j]
	if rec.flags&routePending == 0 {
		rec.flags |= routePending
		p = pendingRoute{since: s.tick()}
		if s.pending == nil {
			s.pending = make(map[uint32]pendingRoute)
		}
	} else if !full {
		return
	}
	if full {
		p.refused++
	}
	s.pending[j] = p
}

// notPending notes that record j is in place, or goes.
func (s *Store) notPending(j uint32, rec *record) {
	if rec.flags&routePending == 0 {
		return
	}
	rec.flags &^= routePending
	if delete(s.pending, j); len(s.pending) == 0 {
		s.pending = nil // a map never shrinks
	}
}

// Pending is how many declared routes, of all instances, should be followed and can't be.
func (s *Store) Pending() int { return len(s.pending) }

// EachPending visits their keys, in no order, until visit answers false; group is that of
// a route by source, and not valid for the others. visit must not change routes.
func (s *Store) EachPending(visit func(instance uint32, group netip.Addr, k Key) bool) {
	for j := range s.pending {
		rec := s.records.at(j)
		n := s.nodes.at(rec.node)
		k := Key{Prefix: n.prefix(), Source: rec.source, Protocol: rec.protocol, IfIndex: rec.ifindex}
		if r := s.slots[n.rib]; !visit(r.instance, r.group, k) {
			return
		}
	}
}

// at is the time of a tick.
func (s *Store) at(tick uint32) time.Time { return s.began.Add(time.Duration(tick) * tickLength) }
