package routing

import (
	"maps"
	"slices"

	"router/intf"
)

// A Branch is one of the next hops of a Choice.
type Branch struct {
	IfIndex intf.Index // takes packets that came in by this unit; 0 those of all others
	ID      NextHopID
}

// A branch is a Branch of a hop. The hop that has it holds a reference.
type branch struct {
	ifindex intf.Index
	hop     *hop
}

// choose is the next hop that the FIB is to have for node i, whose best record
// is best, 0 for none. It is the record's own, or a Choice when packets have to
// come in by the unit that the record names; then the next usable routes to the
// prefix have the packets of other units, down to the first that takes all.
func (s *Store) choose(i uint32, n *node, best uint32) NextHopID {
	if best == 0 {
		s.unchoose(i, n)
		return 0
	}
	rec := s.records.at(best)
	if rec.flags&routeIncoming == 0 {
		s.unchoose(i, n)
		return rec.hop
	}
	var branches []branch
	for j := n.head; j != 0; j = s.records.at(j).next {
		r := s.records.at(j)
		r.flags &^= routeBranch
		if !s.usable(n, r) || len(branches) > 0 && branches[len(branches)-1].ifindex == 0 {
			continue
		}
		var from intf.Index
		if r.flags&routeIncoming != 0 {
			from = r.ifindex
		}
		if !slices.ContainsFunc(branches, func(b branch) bool { return b.ifindex == from }) {
			branches = append(branches, branch{from, s.hops.byID[r.hop]})
			r.flags |= routeBranch
		}
	}
	if len(branches) == 1 && branches[0].hop.Kind == Broadcast {
		// It knows its unit itself.
		rec.flags &^= routeBranch
		s.unchoose(i, n)
		return rec.hop
	}
	h, fresh := s.private(&s.choices, i, branches)
	if fresh {
		n.flags |= nodeStale
	}
	return h.id
}

// unchoose lets the Choice of node i go, if it has one.
func (s *Store) unchoose(i uint32, n *node) {
	if !s.dropPrivate(s.choices, i) {
		return
	}
	n.flags |= nodeStale
	for j := n.head; j != 0; j = s.records.at(j).next {
		s.records.at(j).flags &^= routeBranch
	}
}

// private makes the Choice that node i has in m have these branches, and has
// the sink told. fresh says that it is a new one.
func (s *Store) private(m *map[uint32]*hop, i uint32, branches []branch) (h *hop, fresh bool) {
	h = (*m)[i]
	if h != nil && slices.Equal(h.branches, branches) {
		return h, false
	}
	if h == nil {
		h, fresh = &hop{NextHop: NextHop{Kind: Choice}, refs: 1}, true
		s.number(h)
		if *m == nil {
			*m = map[uint32]*hop{}
		}
		(*m)[i] = h
	}
	for _, b := range branches {
		b.hop.refs++
	}
	for _, b := range h.branches {
		s.release(b.hop)
	}
	h.branches = branches
	for _, b := range branches {
		s.announce(b.hop)
	}
	s.publish(h)
	return h, fresh
}

// dropPrivate gives up the Choice that node i has in m, and reports whether it
// had one.
func (s *Store) dropPrivate(m map[uint32]*hop, i uint32) bool {
	h := m[i]
	if h == nil {
		return false
	}
	delete(m, i)
	s.release(h)
	return true
}

// SetFeasible gives the RIB a second FIB, or with nil takes it away. It holds,
// for each prefix that the first one has, a next hop that leads wherever any
// route to the prefix leads, the worse ones and backups included: what a
// feasible-path check of source addresses asks (RFC 8704, 2.3). Where the best
// route does not forward, it is the best route's. The error says that it has no
// room.
func (r *RIB) SetFeasible(fib FIB) error {
	s := r.store
	if (r.feasible != nil) != (fib != nil) {
		if fib != nil {
			s.feasibleRIBs++
		} else {
			s.feasibleRIBs--
		}
	}
	r.feasible = fib
	var full fullError
	if fib == nil {
		for _, i := range s.queue {
			if n := s.nodes.at(i); n.rib == r.slot {
				n.flags &^= nodeStuck // it went with the FIB
			}
		}
		for i := range maps.Clone(s.feasibles) {
			if s.nodes.at(i).rib == r.slot {
				s.dropPrivate(s.feasibles, i)
			}
		}
	} else {
		s.settleFeasible(&full, func(i uint32) { s.enqueue(i, s.nodes.at(i)) }, func(visit func(i uint32)) {
			for _, f := range intf.Families {
				walk(&s.nodes, r.routes[f].root, func(i uint32) bool {
					visit(i)
					return true
				})
			}
		})
	}
	full.add(s.settleUnlessBatch())
	return full.err()
}

// feasible brings node i up to date in its RIB's second FIB.
func (s *Store) feasible(i uint32, done func(i uint32, err error)) {
	n := s.nodes.at(i)
	r := s.slots[n.rib]
	if r.feasible == nil {
		return
	}
	best := s.best(n)
	if best == 0 {
		s.dropPrivate(s.feasibles, i)
		s.change(r.feasible, i, n, 0, done)
		return
	}
	h := s.hops.byID[s.records.at(best).hop]
	var branches []branch
	if h.spreads() {
		for j := n.head; j != 0; j = s.records.at(j).next {
			if rec := s.records.at(j); rec.flags&routeIgnored == 0 {
				branches = addFeasible(branches, s.hops.byID[rec.hop])
			}
		}
	}
	if len(branches) > 1 {
		h, _ = s.private(&s.feasibles, i, branches)
	} else {
		s.dropPrivate(s.feasibles, i)
		// Within a Batch it may be new.
		s.announce(h)
	}
	s.change(r.feasible, i, n, h.id, done)
}

// spreads reports whether h leads out of units.
func (h *hop) spreads() bool {
	switch h.Kind {
	case Forward, Resolve, Indirect, Group:
		return true
	case Receive, Broadcast, LinkLocal, Reject, Discard, Lookup, Choice, Multicast, Flood, BySource:
	}
	return false
}

// addFeasible adds h to branches, a group by its members.
func addFeasible(branches []branch, h *hop) []branch {
	if !h.spreads() {
		return branches
	}
	if h.group != nil {
		for _, m := range h.group.members {
			branches = addFeasible(branches, m.hop)
		}
		return branches
	}
	if b := (branch{hop: h}); !slices.Contains(branches, b) {
		branches = append(branches, b)
	}
	return branches
}
