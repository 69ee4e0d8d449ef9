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
	for _, i := range s.queue {
		full.add(s.insert(i))
	}
	for _, i := range s.queue {
		full.add(s.settleFeasible(i))
		if err := s.withdraw(i); err != nil {
			full.add(err)
			s.stuck = append(s.stuck, i)
		}
	}
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
	// What the FIB couldn't let go is tried again with the next change, or by Retry.
	for _, i := range s.stuck {
		s.enqueue(i, s.nodes.at(i))
	}
	s.kept, s.stuck = len(s.stuck), s.stuck[:0]
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
func (s *Store) insert(i uint32) error {
	n := s.nodes.at(i)
	r := s.slots[n.rib]
	active := &r.counts[n.family()].Active
	best := s.best(n)
	id := s.choose(i, n, best)
	var err error
	for j := n.head; j != 0; {
		rec := s.records.at(j)
		s.hasRoom(r, n, rec)
		switch {
		case j != best:
			if rec.flags&routeActive != 0 {
				rec.flags &^= routeActive
				active[rec.source]--
				n.flags |= nodeStale
			}
		case rec.flags&routeActive == 0 || n.flags&nodeStale != 0:
			if err = r.fib.Insert(n.prefix(), uint32(id)); err != nil {
				s.hasNoRoom(r, n, j, rec, err)
				err = fmt.Errorf("instance %d prefix %v: %w", r.instance, n.prefix(), err)
				if rec.flags&routeActive != 0 {
					rec.flags &^= routeActive
					active[rec.source]--
				}
				break
			}
			n.flags = n.flags&^nodeStale | nodeInstalled
			if rec.flags&routeActive == 0 {
				rec.flags |= routeActive
				active[rec.source]++
			}
		}
		s.notePending(n, j, rec)
		j = rec.next
	}
	return err
}

// withdraw takes node i's prefix out of the FIB if it has no winner there. If
// the FIB has no room even for that, the prefix discards until it has.
func (s *Store) withdraw(i uint32) error {
	n := s.nodes.at(i)
	if n.flags&nodeInstalled == 0 {
		n.flags &^= nodeStale
		return nil
	}
	for j := n.head; j != 0; {
		rec := s.records.at(j)
		if rec.flags&routeActive != 0 {
			return nil
		}
		j = rec.next
	}
	r := s.slots[n.rib]
	_, err := r.fib.Delete(n.prefix())
	if err == nil {
		n.flags &^= nodeInstalled | nodeStale
		return nil
	}
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
