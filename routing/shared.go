package routing

import (
	"errors"
	"fmt"

	"router/intf"
)

// This file has the groups that are known by a number. Routes have the number,
// so a change of the members is one store in the data plane however many routes
// share the group. For the same reason such a group never leaves the FIB: while
// none of its members can be used it discards.

var errNotShared = errors.New("it is no shared group, or is gone")

// NewShared makes a group that packets of family f go by and whose members can
// be changed, and returns the next hop for the routes that are to share it. A
// member may have a gateway of the other family (RFC 8950), and one that is alone,
// or the only backup, may be a Lookup. The group stays until ReleaseShared was called and no route
// has it any more. Outside a Batch it settles at once.
func (s *Store) NewShared(f intf.Family, members []Member) (NextHop, error) {
	if err := checkMembers(f, members, true); err != nil {
		return NextHop{}, err
	}
	s.lastShared++
	nh := NextHop{Kind: Group, Shared: s.lastShared, Members: Members{string(rune(f))}}
	h := s.acquire(nh)
	h.group.kept = true
	s.setMembers(h, members)
	return nh, s.settleUnlessBatch()
}

// SetShared changes the members of a shared group. It refuses what NewShared
// does, changing nothing then. Its cost doesn't depend on how many routes share
// the group, unless there are RIBs with a second FIB; see [RIB.SetFeasible].
func (s *Store) SetShared(nh NextHop, members []Member) error {
	h := s.hops.byValue[nh]
	if h == nil || h.group == nil || !h.group.kept {
		return fmt.Errorf("%v: %w", nh, errNotShared)
	}
	if err := checkMembers(h.Members.family(), members, true); err != nil {
		return err
	}
	s.setMembers(h, members)
	if s.feasibleRIBs > 0 {
		s.enqueueRoutes(h)
	}
	return s.settleUnlessBatch()
}

// ReleaseShared gives up a shared group. It is gone when no route has it.
func (s *Store) ReleaseShared(nh NextHop) error {
	h := s.hops.byValue[nh]
	if h == nil || h.group == nil || !h.group.kept {
		return fmt.Errorf("%v: %w", nh, errNotShared)
	}
	h.group.kept = false
	s.release(h)
	return s.settleUnlessBatch()
}

// setMembers replaces the members of the shared group h.
func (s *Store) setMembers(h *hop, members []Member) {
	// The new ones first, so that one that stays is never let go.
	old := h.group.members
	h.group.members = s.enter(h, members)
	s.leave(h, old)
	h.group.usable = nil // dealt anew in any case
	s.requeue(h)
	s.touchFollowers(h)
}

// touchFollowers has the gateways resolved again that are found by a shared
// group, before the change settles.
func (s *Store) touchFollowers(h *hop) {
	for g := range h.group.followers {
		s.touch(g)
	}
}

// block gives the shared group h a way for all its packets when none of its
// members can be used, or notes that one can.
func (s *Store) block(h *hop, blocked bool) {
	if blocked {
		h.group.buckets = []NextHopID{s.discards().id}
	}
	h.group.blocked = blocked
}

// list is the members of the group as values.
func (g *group) list() []Member {
	list := make([]Member, len(g.members))
	for i, m := range g.members {
		list[i] = Member{m.hop.NextHop, m.weight, m.backup}
	}
	return list
}

// follow notes that the shared group h mattered to the resolution of g.
func (g *gateway) follow(h *hop) {
	if h.group.followers == nil {
		h.group.followers = map[*gateway]struct{}{}
	}
	if _, again := h.group.followers[g]; !again {
		h.group.followers[g] = struct{}{}
		g.followed = append(g.followed, h)
	}
}

// unfollow forgets the shared group h, which is going.
func (g *gateway) unfollow(h *hop) {
	for i, o := range g.followed {
		if o == h {
			g.followed = append(g.followed[:i], g.followed[i+1:]...)
			return
		}
	}
}
