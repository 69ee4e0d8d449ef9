package routing

import (
	"errors"
	"fmt"
	"net/netip"

	"router/intf"
)

// This file has the half of a multicast route that is the source. A route of a
// group is a prefix of destination and source concatenated: (239.0.0.0/8, any)
// ends within the destination and stands in the instance's RIB like any other;
// (239.1.1.1, 192.0.2.0/24) goes on, and stands in the RIB of its group. What
// leads there is a BySource, the first of the routes to the group. Sources that
// no route of the group names follow the clone at the group's 0/0, which does
// what they would do if the group had no such routes.

// Sources finds next hops by a packet's source. It is safe for concurrent use
// while it changes; see [FIB].
type Sources interface {
	// Lookup4 is the id of the next hop for an IPv4 source in host byte order, 0
	// for none; Lookup6 likewise.
	Lookup4(addr uint32) uint32
	Lookup6(hi, lo uint64) uint32
}

// A SourceFIB is the FIB of a group's routes by source.
type SourceFIB interface {
	FIB
	Sources
}

// AddSources makes the RIB of a group's routes by source, whose winners go to
// fib: its prefixes are sources. The group is multicast, and r the RIB of an
// instance. Until routes are set there, all sources go where they went.
func (r *RIB) AddSources(group netip.Addr, fib SourceFIB) (*RIB, error) {
	s := r.store
	if !group.IsMulticast() || group.Zone() != "" || r.group.IsValid() {
		return nil, fmt.Errorf("routes by source to %v: it is no group of an instance", group)
	}
	if r.Sources(group) != nil {
		return nil, fmt.Errorf("instance %d group %v has routes by source already", r.instance, group)
	}
	g := &RIB{store: s, instance: r.instance, fib: fib, group: group, parent: r}
	if err := s.place(g); err != nil {
		return nil, fmt.Errorf("instance %d group %v: %w", r.instance, group, err)
	}
	f := intf.FamilyOf(group)
	i := r.sources[f].insert(&s.nodes, keyOf(group), uint8(group.BitLen()), r.slot, 0)
	s.nodes.at(i).head = uint32(g.slot) + 1
	// The sources have their way before anything leads to them.
	err := s.Batch(func() error {
		rest := Route{Key: Key{Prefix: anySource(f), Source: Clone, Protocol: Cache}, NextHop: s.above(g, key{}, 0)}
		return errors.Join(g.Set(rest), r.Set(Route{Key: toSources(group), NextHop: NextHop{Kind: BySource, Instance: r.instance, Gateway: group}}))
	})
	return g, err
}

// RemoveSources removes the RIB of a group's routes by source, and settles. Its
// FIB can be closed when it returns: readers who are on their way there look
// the group up again. A group that has none is no error.
func (r *RIB) RemoveSources(group netip.Addr) error {
	s, g := r.store, r.Sources(group)
	if g == nil {
		return nil
	}
	return s.Batch(func() error {
		err := r.Delete(toSources(group))
		f := intf.FamilyOf(group)
		walk(&s.nodes, g.routes[f].root, func(i uint32) bool {
			n := s.nodes.at(i)
			for n.head != 0 {
				s.remove(g, i, n, &n.head)
			}
			return true
		})
		err = errors.Join(err, s.settle())
		s.forgetQueued(g)
		i := r.sources[f].find(&s.nodes, keyOf(group), uint8(group.BitLen()))
		s.nodes.at(i).head = 0
		r.sources[f].prune(&s.nodes, i)
		s.clear(g.routes[f].root)
		g.routes[f].root = 0
		s.displace(g)
		return err
	})
}

// Sources is the RIB of a group's routes by source, nil when it has none.
func (r *RIB) Sources(group netip.Addr) *RIB {
	if !group.IsValid() {
		return nil
	}
	s := r.store
	i := r.sources[intf.FamilyOf(group)].find(&s.nodes, keyOf(group), uint8(group.BitLen()))
	if i == 0 || s.nodes.at(i).head == 0 {
		return nil
	}
	return s.slots[s.nodes.at(i).head-1]
}

// SetClone adds the clone of a flow to the RIB of a group: a route for one
// source that does what the best route for it does that is no clone, counted
// under tally, and follows that when it changes.
func (r *RIB) SetClone(source netip.Addr, tally uint32) error {
	if !r.group.IsValid() || !source.IsValid() || intf.FamilyOf(source) != intf.FamilyOf(r.group) {
		return fmt.Errorf("clone for source %v: it is not of the group's family", source)
	}
	k := CloneKey(source)
	nh := r.store.above(r, keyOf(source), uint8(source.BitLen()))
	return r.Set(Route{Key: k, Tag: tally, NextHop: nh.counted(tally)})
}

// CloneKey is the key of the clone for a source in the RIB of its group.
func CloneKey(source netip.Addr) Key {
	return Key{Prefix: netip.PrefixFrom(source.WithZone(""), source.BitLen()), Source: Clone, Protocol: Cache}
}

// Parent is the route that a clone for source would follow: the best one for
// packets from there to group that is no clone. prefix is the part of the source
// that it covers, not valid when it is a route of the instance's RIB.
func (r *RIB) Parent(group, source netip.Addr) (e Entry, prefix netip.Prefix, ok bool) {
	if !group.IsValid() || !source.IsValid() || intf.FamilyOf(group) != intf.FamilyOf(source) {
		return Entry{}, netip.Prefix{}, false
	}
	s, f := r.store, intf.FamilyOf(group)
	if g := r.Sources(group); g != nil {
		if n, j := s.covering(&g.routes[f], keyOf(source), uint8(source.BitLen())); j != 0 {
			return s.entry(n, j), n.prefix(), true
		}
	}
	if n, j := s.covering(&r.routes[f], keyOf(group), uint8(group.BitLen())); j != 0 {
		return s.entry(n, j), netip.Prefix{}, true
	}
	return Entry{}, netip.Prefix{}, false
}

// toSources is the key of the route that leads to a group's routes by source.
func toSources(group netip.Addr) Key {
	return Key{Prefix: netip.PrefixFrom(group, group.BitLen()), Source: Clone, Protocol: Cache}
}

// anySource is the prefix of all sources.
func anySource(f intf.Family) netip.Prefix {
	if f == intf.Inet {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// above is what a clone at k/length of g's routes follows: what is done where
// neither the group's routes nor the instance's have an answer is to discard.
func (s *Store) above(g *RIB, k key, length uint8) NextHop {
	f := intf.FamilyOf(g.group)
	_, j := s.covering(&g.routes[f], k, length)
	if j == 0 {
		_, j = s.covering(&g.parent.routes[f], keyOf(g.group), uint8(g.group.BitLen()))
	}
	if j == 0 {
		return NextHop{Kind: Discard}
	}
	return s.hops.byID[s.records.at(j).hop].NextHop
}

// covering is the best usable record for k/length in t that is no clone, of the
// longest prefix that has one; 0 when there is none.
func (s *Store) covering(t *trie, k key, length uint8) (*node, uint32) {
	var scratch [33]uint32
	path := t.matches(&s.nodes, k, scratch[:0])
	for i := len(path) - 1; i >= 0; i-- {
		n := s.nodes.at(path[i])
		if n.bits > length {
			continue
		}
		for j := n.head; j != 0; {
			rec := s.records.at(j)
			if rec.source != Clone && s.usable(n, rec) {
				return n, j
			}
			j = rec.next
		}
	}
	return nil, 0
}

// track has the clones follow what the queued changes may have done to the
// routes above them. What it changes is queued in its turn, and has no clones
// below it that are not asked already.
func (s *Store) track() {
	for n := 0; n < len(s.queue); n++ {
		at := s.nodes.at(s.queue[n])
		r := s.slots[at.rib]
		if r.group.IsValid() {
			s.trackWithin(r, at.key, at.bits)
			continue
		}
		t := &r.sources[at.family()]
		t.within(&s.nodes, at.key, at.bits, func(i uint32) bool {
			s.trackWithin(s.slots[s.nodes.at(i).head-1], key{}, 0)
			return true
		})
	}
}

// trackWithin has the clones in k/length of a group's routes follow their
// parents.
func (s *Store) trackWithin(g *RIB, k key, length uint8) {
	g.routes[intf.FamilyOf(g.group)].within(&s.nodes, k, length, func(i uint32) bool {
		n := s.nodes.at(i)
		for j := n.head; j != 0; {
			rec := s.records.at(j)
			if rec.source == Clone {
				s.followParent(g, i, n, j, rec)
			}
			j = rec.next
		}
		return true
	})
}

// followParent gives the clone in record j of node i the next hop of its parent.
func (s *Store) followParent(g *RIB, i uint32, n *node, j uint32, rec *record) {
	nh := s.above(g, n.key, n.bits).counted(rec.tag)
	if s.hops.byID[rec.hop].NextHop == nh {
		return
	}
	h := s.acquire(nh)
	s.detach(j, rec)
	s.attach(j, rec, h)
	if rec.flags&routeActive != 0 {
		n.flags |= nodeStale
	}
	s.enqueue(i, n)
}

// forgetQueued takes out of the queue what r's FIB could not let go.
func (s *Store) forgetQueued(r *RIB) {
	kept := s.queue[:0]
	for _, i := range s.queue {
		if s.nodes.at(i).rib != r.slot {
			kept = append(kept, i)
		}
	}
	s.queue = kept
}

// tell tells of a change at n.
func (s *Store) tell(r *RIB, n *node) {
	switch {
	case !r.group.IsValid():
		if s.config.OnRoute != nil {
			s.config.OnRoute(r.instance, n.prefix())
		}
	case s.config.OnSource != nil:
		s.config.OnSource(r.instance, r.group, n.prefix())
	}
}
