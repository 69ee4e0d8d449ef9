package routing

import (
	"net/netip"

	"router/intf"
)

// A hop is a next hop in use.
type hop struct {
	NextHop
	id     NextHopID
	refs   int                        // routes that have it, gateways that resolve to it
	users  int                        // of these, what keeps the neighbour wanted: see wanted
	routes uint32                     // the first of the routes that have it
	turned [len(intf.Families)]uint32 // when dead changed last: see Store.tick
	// dead says that routes of a family can't use it: the unit's family is down,
	// the gateway is unresolved, the instance isn't there.
	dead     [len(intf.Families)]bool
	known    bool // to the sink
	used     bool // told OnGateway
	queued   bool // in Store.wants
	doomed   bool // in Store.dying
	stale    bool // the sink has to be told
	gateway  *gateway
	group    *group            // of a Group
	branches []branch          // of a Choice, which is not in byValue
	groups   map[*hop]struct{} // that it is a member of
}

// hops is the table of next hops, shared by all instances.
type hops struct {
	byValue map[NextHop]*hop
	byID    []*hop // index is the id; 0 is nobody's
	free    []NextHopID
	links   map[intf.Index]map[*hop]struct{} // what goes out of a unit
	lookups map[uint32]map[*hop]struct{}     // what goes to an instance
}

// quarantine is how many ids wait to be used again before the one deleted
// longest ago is: readers are long gone by then, and the sink need not wait.
const quarantine = 1024

func newHops() hops {
	return hops{
		byValue: map[NextHop]*hop{},
		byID:    make([]*hop, 1),
		links:   map[intf.Index]map[*hop]struct{}{},
		lookups: map[uint32]map[*hop]struct{}{},
	}
}

// acquire counts a reference to nh, making the hop if it is the first. The sink
// learns of it when the change settles.
func (s *Store) acquire(nh NextHop) *hop {
	h := s.hops.byValue[nh]
	if h != nil {
		h.refs++
		return h
	}
	h = &hop{NextHop: nh, refs: 1}
	h.turn(s.tick())
	s.number(h)
	s.hops.byValue[nh] = h
	h.stale = true
	s.fresh = append(s.fresh, h)
	switch nh.Kind {
	case Forward, Resolve:
		addTo(s.hops.links, nh.IfIndex, h)
		for _, f := range intf.Families {
			h.dead[f] = !s.up[link{nh.IfIndex, f}]
		}
	case Lookup:
		addTo(s.hops.lookups, nh.Instance, h)
		h.kill(s.ribs[nh.Instance] == nil)
	case Indirect:
		h.gateway = s.gateway(gatewayKey{nh.Instance, nh.Gateway})
		h.gateway.hop = h
		s.touch(h.gateway)
		h.kill(true) // until the change settles
	case Group:
		s.join(h)
	case Receive, Broadcast, LinkLocal, Reject, Discard, Choice, Multicast, Flood, BySource:
	}
	return h
}

// number gives h an id.
func (s *Store) number(h *hop) {
	if len(s.hops.free) > quarantine {
		h.id = s.hops.free[0]
		s.hops.free = s.hops.free[1:]
	} else {
		h.id = NextHopID(len(s.hops.byID))
		s.hops.byID = append(s.hops.byID, nil)
	}
	s.hops.byID[h.id] = h
}

// turn notes that dead changes now, for all families.
func (h *hop) turn(tick uint32) {
	for f := range h.turned {
		h.turned[f] = tick
	}
}

// kill sets dead for all families.
func (h *hop) kill(dead bool) {
	for f := range h.dead {
		h.dead[f] = dead
	}
}

// release gives back a reference. A hop without any goes when the change has
// settled, unless somebody wants it again until then.
func (s *Store) release(h *hop) {
	if h.refs--; h.refs == 0 && !h.doomed {
		h.doomed = true
		s.dying = append(s.dying, h)
	}
}

// bury deletes the hops that nothing refers to. Burying an Indirect or a Group
// can free what it led to, so the list may grow under way.
func (s *Store) bury() {
	// A shared group goes before those that have ceased to be its members.
	groups := 0
	for i, h := range s.dying {
		if h.group != nil {
			s.dying[groups], s.dying[i] = h, s.dying[groups]
			groups++
		}
	}
	for n := 0; n < len(s.dying); n++ {
		h := s.dying[n]
		h.doomed = false
		if h.refs > 0 {
			continue
		}
		delete(s.hops.byValue, h.NextHop)
		s.hops.byID[h.id] = nil
		s.hops.free = append(s.hops.free, h.id)
		switch h.Kind {
		case Forward, Resolve:
			removeFrom(s.hops.links, h.IfIndex, h)
		case Lookup:
			removeFrom(s.hops.lookups, h.Instance, h)
		case Indirect:
			h.gateway.hop = nil
			s.setVia(h.gateway, nil)
			s.idle = append(s.idle, h.gateway)
		case Group:
			members := h.group.members
			h.group.members = nil
			s.leave(h, members)
			for g := range h.group.followers {
				g.unfollow(h)
			}
		case Choice:
			for _, b := range h.branches {
				s.release(b.hop)
			}
		case Receive, Broadcast, LinkLocal, Reject, Discard, Multicast, Flood, BySource:
		}
		if h.known && s.config.Sink != nil {
			s.config.Sink.DeleteNextHop(h.id)
		}
	}
	s.dying = s.dying[:0]
}

// want counts n more (or fewer) users of a neighbour, and has OnGateway told.
func (s *Store) want(h *hop, n int) {
	h.users += n
	s.checkWanted(h)
}

func (s *Store) checkWanted(h *hop) {
	if h.Kind == Forward && !h.queued {
		h.queued = true
		s.wants = append(s.wants, h)
	}
}

// wanted reports whether user routes go through the neighbour.
func (h *hop) wanted() bool { return h.users > 0 && !h.dead[intf.FamilyOf(h.Gateway)] }

// tellWanted calls OnGateway for the neighbours that have become used or unused.
func (s *Store) tellWanted() {
	for _, h := range s.wants {
		h.queued = false
		if now := h.wanted(); now != h.used {
			h.used = now
			if s.config.OnGateway != nil {
				s.config.OnGateway(h.IfIndex, h.Gateway, now)
			}
		}
	}
	s.wants = s.wants[:0]
}

// Gateways visits the neighbours that usable user routes go through now.
func (s *Store) Gateways(visit func(ifindex intf.Index, gateway netip.Addr) bool) {
	for _, h := range s.hops.byID {
		if h != nil && h.used && !visit(h.IfIndex, h.Gateway) {
			return
		}
	}
}

// NextHop is the next hop that id names, and what it resolves to if it is an
// Indirect; ok is false when it is gone.
func (s *Store) NextHop(id NextHopID) (nh, via NextHop, ok bool) {
	if int(id) >= len(s.hops.byID) || s.hops.byID[id] == nil {
		return NextHop{}, NextHop{}, false
	}
	h := s.hops.byID[id]
	return h.NextHop, h.resolved(), true
}

// NextHops is the number of next hops in use.
func (s *Store) NextHops() int { return len(s.hops.byValue) + len(s.choices) + len(s.feasibles) }

// resolved is what an Indirect resolves to now.
func (h *hop) resolved() NextHop {
	if h.gateway == nil {
		return NextHop{}
	}
	return h.gateway.target
}

func addTo[K comparable](m map[K]map[*hop]struct{}, k K, h *hop) {
	if m[k] == nil {
		m[k] = map[*hop]struct{}{}
	}
	m[k][h] = struct{}{}
}

func removeFrom[K comparable](m map[K]map[*hop]struct{}, k K, h *hop) {
	delete(m[k], h)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}
