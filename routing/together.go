package routing

import (
	"errors"
	"fmt"
	"net/netip"
)

// This file gives FIBs what changes there, much of it at a time where a Batch, a link
// or an instance changes many routes: a FIB makes changes together faster than one by
// one.

// mostTogether is how many changes a FIB gets at a time: a few hundred bring all that
// can be won, and others wait less long for the FIB's lock.
const mostTogether = 512

// changes are those that a FIB gets next.
type changes struct {
	fib      FIB
	nodes    []uint32
	prefixes []netip.Prefix
	ids      []uint32 // 0 for what goes
}

// change has the prefix of node i set to a next hop in a FIB, or taken out with id 0,
// at the latest with the next flush; done learns what came of it.
func (s *Store) change(fib FIB, i uint32, n *node, id NextHopID, done func(i uint32, err error)) {
	c := &s.changes
	if len(c.nodes) == mostTogether || c.fib != fib {
		s.flush(done)
	}
	c.fib = fib
	c.nodes, c.prefixes, c.ids = append(c.nodes, i), append(c.prefixes, n.prefix()), append(c.ids, uint32(id))
}

// flush gives the FIB all that waits. If it does not take that as a whole, each change
// is tried alone, so that as many as possible are made.
func (s *Store) flush(done func(i uint32, err error)) {
	c := &s.changes
	together := len(c.nodes) > 1 && c.fib.SetAll(c.prefixes, c.ids) == nil
	for k, i := range c.nodes {
		var err error
		switch {
		case together:
		case c.ids[k] == 0:
			_, err = c.fib.Delete(c.prefixes[k])
		default:
			err = c.fib.Insert(c.prefixes[k], c.ids[k])
		}
		done(i, err)
	}
	c.fib, c.nodes, c.prefixes, c.ids = nil, c.nodes[:0], c.prefixes[:0], c.ids[:0]
}

// insertAll gives the FIBs the winners of the queued nodes.
func (s *Store) insertAll(full *fullError) {
	done := func(i uint32, err error) { full.add(s.inserted(i, err)) }
	for _, i := range s.queue {
		s.insert(i, done)
	}
	s.flush(done)
}

// withdrawAll takes the prefixes of the queued nodes that have no winner out of the
// FIBs.
func (s *Store) withdrawAll(full *fullError) {
	done := func(i uint32, err error) {
		if err = s.withdrawn(i, err); err != nil {
			full.add(err)
			s.stuck = append(s.stuck, i)
		}
	}
	for _, i := range s.queue {
		s.withdraw(i, done)
	}
	s.flush(done)
}

// settleFeasible brings the nodes that each visits up to date in their RIBs' second
// FIBs. again is told of those that one has no room for. What it has no room to let go
// discards there meanwhile: nothing comes from such a source.
func (s *Store) settleFeasible(full *fullError, again func(i uint32), each func(visit func(i uint32))) {
	done := func(i uint32, err error) {
		n := s.nodes.at(i)
		n.flags &^= nodeStuck
		if err == nil {
			return
		}
		r := s.slots[n.rib]
		err = fmt.Errorf("instance %d prefix %v, for feasible paths: %w", r.instance, n.prefix(), err)
		if s.best(n) == 0 {
			n.flags |= nodeStuck
			s.announce(s.discards())
			err = errors.Join(err, r.feasible.Insert(n.prefix(), uint32(s.discard.id)))
		}
		full.add(err)
		again(i)
	}
	each(func(i uint32) { s.feasible(i, done) })
	s.flush(done)
}
