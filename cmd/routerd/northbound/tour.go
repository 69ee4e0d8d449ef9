package northbound

import (
	"slices"
	"strings"

	"router/cmd/routerd/datastore/tree"
)

// A tour is one member's reading of a part of what a watch of its feed remembers, in
// rounds. Between them others look and read.
//
// What a member reads may be ahead of what the feed has looked at. News it tells to all.
// What it misses must not be lost either: a leaf of which the memory knows, that is gone
// when the member comes by, and is there again as it was when the feed looks, would be no
// news to the feed, and never reach the member's client. So the value of each leaf that a
// tour misses is unknown from then on: who comes by next finds it gone, or finds news.
// That is the look at what made it go and come, or one that end asks for.
type tour struct {
	mem    *seen
	schema *tree.Schema
	since  uint64            // the revision that it began in: what came later, the member is told of anyway
	been   map[uint32]uint64 // the slots of the entries that it has come by, 64 to a word

	at    tree.Path // what is being read, up to the first wildcard
	begun bool      // some of that has been read in an earlier round
}

func newTour(w *watch) *tour {
	return &tour{mem: w.mem, schema: w.schema, since: w.mem.rev, been: make(map[uint32]uint64)}
}

// begin begins a round: what is noted until rest is part of the tour.
func (t *tour) begin() {
	s := t.mem
	s.begin(true)
	s.tour, s.met, s.last.entry = t, s.met[:0], nil
}

// arrive says what is read next, at the begin of a round.
func (t *tour) arrive(pattern tree.Path) { t.at, t.begun = literal(t.schema, pattern), false }

// rest ends a round. The entries that it came by have been visited whole, or as far as they
// lie in what is being read.
func (t *tour) rest() {
	s := t.mem
	top, inside, found := s.find(t.at)
	if found && !t.begun {
		s.met = append(s.met, top) // it may have had nothing to visit any more
	}
	t.begun = true
	for _, e := range s.met {
		for i := range e.leaves {
			l := &e.leaves[i]
			if l.word&noted == 0 && (e != top || s.names[l.name()].HasPrefix(inside)) {
				l.print = unknown
			}
		}
		t.been[e.slot/64] |= 1 << (e.slot % 64)
	}
	for _, e := range s.met {
		for i := range e.leaves {
			e.leaves[i].word &^= noted
		}
	}
	s.endRound()
}

// end ends the tour, which was to read what the pattern matches. It returns the list entries
// that it has missed: they must be looked at, since a look that has found nothing may have
// been between.
func (t *tour) end(pattern tree.Path) (missed []tree.Path) {
	t.mem.endRound()
	at := literal(t.schema, pattern)
	if e, rest, ok := t.mem.find(at); ok {
		t.overlooked(e, rest.String(), nil, func(ids []string) {
			steps, err := tree.Parse(strings.Join(ids, ""))
			if err != nil {
				return // String wrote the ids, and Parse reads it back
			}
			missed = append(missed, slices.Concat(at[:len(at)-len(rest)], steps))
		})
	}
	return missed
}

// overlooked finds the entries below e that lie at or below rest, in text, and that the tour
// has not come by. ids lead from the entry where it began to e.
func (t *tour) overlooked(e *seenEntry, rest string, ids []string, missed func(ids []string)) {
	for c := range e.all {
		if !below(c.id, rest) {
			continue
		}
		ids := append(ids, c.id)
		if len(c.entry.leaves) > 0 && c.entry.born < t.since && t.been[c.entry.slot/64]&(1<<(c.entry.slot%64)) == 0 {
			for i := range c.entry.leaves {
				c.entry.leaves[i].print = unknown
			}
			missed(ids)
		}
		t.overlooked(c.entry, "/", ids, missed)
	}
}

// literal is the part of the pattern up to its first wildcard, or the list there.
func literal(schema *tree.Schema, pattern tree.Path) tree.Path {
	n := schema.Root
	for i, e := range pattern {
		if n = n.Child(e.GetName()); n == nil {
			return pattern[:i] // a wildcard for names
		}
		for _, k := range n.Keys {
			if v := e.GetKey()[k.Name]; v == "" || v == "*" {
				return pattern[:i].Named(e.GetName())
			}
		}
	}
	return pattern
}
