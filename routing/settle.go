package routing

import (
	"errors"
	"fmt"
)

// maxKept is the capacity that the queue keeps between changes.
const maxKept = 1 << 12

// settle brings gateways, sink and FIBs up to date with the routes.
func (s *Store) settle() error {
	// Links first: a group that they leave without a member, or give one, counts
	// like a route that changed.
	s.regroup()
	for _, i := range s.queue {
		s.touchCovered(s.nodes.at(i))
	}
	// This can queue more: routes whose gateway is found, or lost.
	turned := s.resolveAll()
	s.regroup()
	s.track()

	// New answers before old ones go: next hops, their paths, routes.
	for _, g := range turned {
		g.hop.stale = g.via != nil || !g.hop.known
	}
	for _, g := range turned {
		s.announce(g.hop)
	}
	for _, h := range s.regrouped {
		if h.group.buckets != nil {
			s.announce(h)
		}
	}
	for _, h := range s.fresh {
		s.announce(h)
	}
	var full fullError
	s.insertAll(&full)
	if s.feasibleRIBs > 0 {
		s.settleFeasible(&full, func(i uint32) { s.stuck = append(s.stuck, i) }, func(visit func(i uint32)) {
			for _, i := range s.queue {
				visit(i)
			}
		})
	}
	s.withdrawAll(&full)
	for _, g := range turned {
		if g.via == nil {
			s.publish(g.hop)
		}
	}
	for _, h := range s.regrouped {
		s.announce(h)
	}
	s.moved = append(s.moved, s.regrouped...)
	s.fresh, s.regrouped = s.fresh[:0], s.regrouped[:0]

	s.tellPaths()
	for _, i := range s.queue {
		n := s.nodes.at(i)
		n.flags &^= nodeQueued
		r := s.slots[n.rib]
		s.tell(r, n)
		r.routes[n.family()].prune(&s.nodes, i)
	}
	if s.queue = s.queue[:0]; cap(s.queue) > maxKept {
		s.queue = nil
	}
	// What a FIB couldn't let go, or a second one not take, is tried again with the next
	// change, or by Retry.
	for _, i := range s.stuck {
		s.enqueue(i, s.nodes.at(i))
	}
	s.kept, s.stuck = len(s.queue), s.stuck[:0]
	s.bury()
	s.sweep()
	s.bury() // what swept gateways resolved to
	s.tellWanted()
	if err := full.err(); err != nil && s.config.OnFull != nil {
		s.config.OnFull(err)
		return nil
	}
	return full.err()
}

// announce tells the sink what h is now, if it doesn't know, and before that
// what h leads to.
func (s *Store) announce(h *hop) {
	if !h.stale || h.refs == 0 {
		return
	}
	h.stale = false
	if h.gateway != nil && h.gateway.via != nil {
		s.announce(h.gateway.via)
	}
	if h.group != nil {
		for _, m := range h.group.members {
			s.announce(m.hop)
		}
		if h.group.blocked {
			s.announce(s.discard)
		}
	}
	s.publish(h)
}

// publish tells the sink what h is now.
func (s *Store) publish(h *hop) {
	h.known, h.stale = true, false
	if s.config.Sink == nil {
		return
	}
	if h.group != nil {
		s.config.Sink.SetGroup(h.id, h.group.buckets)
		return
	}
	if h.Kind == BySource {
		s.config.Sink.SetSources(h.id, s.ribs[h.Instance].Sources(h.Gateway).fib.(Sources))
		return
	}
	var via NextHopID
	if h.gateway != nil && h.gateway.via != nil {
		via = h.gateway.via.id
	}
	if h.Kind == Choice {
		list := make([]Branch, len(h.branches))
		for i, b := range h.branches {
			list[i] = Branch{b.ifindex, b.hop.id}
		}
		s.config.Sink.SetChoice(h.id, list)
		return
	}
	s.config.Sink.SetNextHop(h.id, h.NextHop, via)
}

// insert gives the FIB the winner of node i, if it hasn't got it.
func (s *Store) insert(i uint32, done func(i uint32, err error)) {
	n := s.nodes.at(i)
	r := s.slots[n.rib]
	best := s.best(n)
	id := s.choose(i, n, best)
	for j := n.head; j != 0; {
		rec := s.records.at(j)
		s.hasRoom(r, n, rec)
		if j == best && (rec.flags&routeActive == 0 || n.flags&nodeStale != 0) {
			s.change(r.fib, i, n, id, done)
		} else {
			if j != best && s.deactivate(r, n, rec) {
				n.flags |= nodeStale
			}
			s.notePending(n, j, rec)
		}
		j = rec.next
	}
}

// inserted notes that the FIB has the winner of node i, or refused it.
func (s *Store) inserted(i uint32, err error) error {
	n := s.nodes.at(i)
	r := s.slots[n.rib]
	j := s.best(n)
	rec := s.records.at(j)
	if err != nil {
		s.hasNoRoom(r, n, j, rec, err)
		err = fmt.Errorf("instance %d prefix %v: %w", r.instance, n.prefix(), err)
		s.deactivate(r, n, rec)
	} else {
		n.flags = n.flags&^nodeStale | nodeInstalled
		if rec.flags&routeActive == 0 {
			rec.flags |= routeActive
			r.counts[n.family()].Active[rec.source]++
		}
	}
	s.notePending(n, j, rec)
	return err
}

// deactivate notes that the FIB has a record no more, and reports whether it had.
func (s *Store) deactivate(r *RIB, n *node, rec *record) bool {
	if rec.flags&routeActive == 0 {
		return false
	}
	rec.flags &^= routeActive
	r.counts[n.family()].Active[rec.source]--
	return true
}

// withdraw takes node i's prefix out of the FIB if it has no winner there.
func (s *Store) withdraw(i uint32, done func(i uint32, err error)) {
	n := s.nodes.at(i)
	if n.flags&nodeInstalled == 0 {
		n.flags &^= nodeStale
		return
	}
	for j := n.head; j != 0; {
		rec := s.records.at(j)
		if rec.flags&routeActive != 0 {
			return
		}
		j = rec.next
	}
	s.change(s.slots[n.rib].fib, i, n, 0, done)
}

// withdrawn notes that node i's prefix is out of the FIB. If that has no room even for
// this, the prefix discards until it has.
func (s *Store) withdrawn(i uint32, err error) error {
	n := s.nodes.at(i)
	if err == nil {
		n.flags &^= nodeInstalled | nodeStale
		return nil
	}
	r := s.slots[n.rib]
	err = fmt.Errorf("instance %d prefix %v: %w", r.instance, n.prefix(), err)
	s.announce(s.discards())
	return errors.Join(err, r.fib.Insert(n.prefix(), uint32(s.discard.id)))
}

// discards is the next hop of what has to be dropped for want of an answer.
func (s *Store) discards() *hop {
	if s.discard == nil {
		s.discard = s.acquire(NextHop{Kind: Discard})
	}
	return s.discard
}

// A fullError is the first of many errors alike.
type fullError struct {
	first error
	more  int
}

func (f *fullError) add(err error) {
	switch {
	case err == nil:
	case f.first == nil:
		f.first = err
	default:
		f.more++
	}
}

func (f *fullError) err() error {
	if f.more > 0 {
		return fmt.Errorf("%w (and %d prefixes more)", f.first, f.more)
	}
	return f.first
}
