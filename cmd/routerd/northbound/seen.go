package northbound

import (
	"hash/maphash"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// A seen remembers, for one subscription, which leaves there are, a fingerprint of
// their values, and in which revision each of them got its value, so that only
// differences are sent. It is made for many leaves: a leaf takes 16 octets; the part of
// its path below its list entry is stored once for all entries. The zero seen is empty.
type seen struct {
	root  seenEntry
	ids   map[string]uint16         // leaf's path below its list entry -> index in names
	known map[*gnmi.PathElem]uint16 // the same by the last element, which leaves of one node share
	names []tree.Path
	seed  maphash.Seed
	rev   uint64 // of what is noted now; it never falls

	sweeps bool // this round marks what it notes, for a sweep or a tour
	marked bool // a round has left its marks: it failed before its end

	tour *tour        // that this round is part of; nil for none
	met  []*seenEntry // on the tour, in this round

	slots uint32   // how many entries have had a slot
	freed []uint32 // slots of entries that are no more

	last struct { // the entry that was noted last: a walk stays in one for a while
		path  tree.Path
		entry *seenEntry
	}
}

// A seenEntry is a list entry, or the root.
type seenEntry struct {
	leaves []seenLeaf
	below  *seenBelow // nil when it has none
	born   uint64     // the revision that it came with
	slot   uint32     // its number among those that there are
}

// A seenBelow has the list entries below an entry.
type seenBelow struct {
	few  []seenChild          // up to fewChildren
	many map[string]seenChild // all of them, when there are more
}

const fewChildren = 4

// A seenChild is a list entry by its path from the entry above it. The path is
// kept as text: there may be a million.
type seenChild struct {
	id    string
	entry *seenEntry
}

// A seenLeaf is a leaf's name, the revision that its value is of, and whether the
// round has noted it, in one word, and the fingerprint.
type seenLeaf struct {
	word  uint64
	print uint64
}

const (
	noted     = 1      // in seenLeaf.word
	nameShift = 1      // 16 bits; the model has some thousand nodes
	revShift  = 1 + 16 // 47 bits: a thousand revisions a second for 4,000 years
	nameMask  = 1<<16 - 1
)

func (l *seenLeaf) name() uint16 { return uint16(l.word >> nameShift & nameMask) }
func (l *seenLeaf) rev() uint64  { return l.word >> revShift }
func (l *seenLeaf) date(rev uint64) {
	l.word = l.word&(1<<revShift-1) | rev<<revShift
}

// unknown is the fingerprint of no value: whichever is noted next is news.
const unknown = 1<<64 - 1

// A lost leaf or list entry is there no more.
type lost struct {
	path tree.Path
	born uint64 // the revision that the list entry came with
}

// lostPaths are the paths alone.
func lostPaths(list []lost) []tree.Path {
	var paths []tree.Path
	for _, l := range list {
		paths = append(paths, l.path)
	}
	return paths
}

// lastEntry is how many elements of p lead to the innermost list entry.
func lastEntry(p tree.Path) int {
	for i := len(p); i > 0; i-- {
		if len(p[i-1].GetKey()) > 0 {
			return i
		}
	}
	return 0
}

// segments calls next with the steps from list entry to list entry along p.
func segments(p tree.Path, next func(tree.Path) bool) {
	start := 0
	for i, e := range p {
		if len(e.GetKey()) > 0 {
			if !next(p[start : i+1]) {
				return
			}
			start = i + 1
		}
	}
}

func (e *seenEntry) child(id string) (seenChild, bool) {
	b := e.below
	if b == nil {
		return seenChild{}, false
	}
	if b.many != nil {
		c, ok := b.many[id]
		return c, ok
	}
	for _, c := range b.few {
		if c.id == id {
			return c, true
		}
	}
	return seenChild{}, false
}

func (e *seenEntry) add(c seenChild) {
	if e.below == nil {
		e.below = &seenBelow{}
	}
	b := e.below
	switch {
	case b.many != nil:
		b.many[c.id] = c
	case len(b.few) < fewChildren:
		b.few = append(b.few, c)
	default:
		b.many = make(map[string]seenChild, 2*fewChildren)
		for _, f := range b.few {
			b.many[f.id] = f
		}
		b.many[c.id], b.few = c, nil
	}
}

func (e *seenEntry) drop(id string) {
	b := e.below
	if b.many != nil {
		delete(b.many, id)
	} else {
		b.few = slices.DeleteFunc(b.few, func(c seenChild) bool { return c.id == id })
	}
	if len(b.few) == 0 && len(b.many) == 0 {
		e.below = nil
	}
}

// all gives the list entries below, in no order.
func (e *seenEntry) all(yield func(seenChild) bool) {
	if e.below == nil {
		return
	}
	for _, c := range e.below.few {
		if !yield(c) {
			return
		}
	}
	for _, c := range e.below.many {
		if !yield(c) {
			return
		}
	}
}

// children are the list entries at or below rest, elements without keys: a list
// stands for all its entries. They stand in the same order each time.
func (e *seenEntry) children(rest tree.Path) []seenChild {
	var list []seenChild
	text := rest.String()
	for c := range e.all {
		if below(c.id, text) {
			list = append(list, c)
		}
	}
	if e.below != nil && e.below.many != nil {
		slices.SortFunc(list, func(a, b seenChild) int { return strings.Compare(a.id, b.id) })
	}
	return list
}

func (e *seenEntry) empty() bool { return len(e.leaves) == 0 && e.below == nil }

// begin starts a round of notes, which a sweep or a tour ends when sweeps is set.
func (s *seen) begin(sweeps bool) {
	if s.ids == nil {
		s.ids, s.known, s.seed = make(map[string]uint16), make(map[*gnmi.PathElem]uint16), maphash.MakeSeed()
	}
	if s.marked {
		s.unmark(&s.root)
	}
	s.sweeps, s.marked, s.tour = sweeps, sweeps, nil
}

// endRound ends a round that has left no marks, or has none left.
func (s *seen) endRound() { s.sweeps, s.marked, s.tour = false, false, nil }

func (s *seen) unmark(e *seenEntry) {
	for i := range e.leaves {
		e.leaves[i].word &^= noted
	}
	for c := range e.all {
		s.unmark(c.entry)
	}
}

// note records the leaf's value. It returns the revision that the value is of, and
// whether that is this one.
func (s *seen) note(p tree.Path, v *gnmi.TypedValue) (rev uint64, news bool) {
	return s.notePrint(p, s.print(v))
}

// noteEncoded is note for a value that is protobuf already.
func (s *seen) noteEncoded(p tree.Path, v []byte) (rev uint64, news bool) {
	return s.notePrint(p, maphash.Bytes(s.seed, v))
}

func (s *seen) notePrint(p tree.Path, print uint64) (rev uint64, news bool) {
	if print == unknown {
		print--
	}
	e, name := s.entry(p), s.name(p)
	for i := range e.leaves {
		l := &e.leaves[i]
		if l.name() != name {
			continue
		}
		if s.sweeps {
			l.word |= noted
		}
		if l.print == print {
			return l.rev(), false
		}
		l.print = print
		l.date(s.rev)
		return s.rev, true
	}
	l := seenLeaf{word: uint64(name) << nameShift, print: print}
	if s.sweeps {
		l.word |= noted
	}
	l.date(s.rev)
	e.leaves = append(e.leaves, l)
	return s.rev, true
}

// untold is the revision of values that have been noted, but wait to be told of.
const untold = 1<<47 - 1

// date makes the value of the leaf p, which has been noted, one of revision rev.
func (s *seen) date(p tree.Path, rev uint64) {
	e, name := s.entry(p), s.name(p)
	for i := range e.leaves {
		if e.leaves[i].name() == name {
			e.leaves[i].date(rev)
		}
	}
}

// entry is the list entry around p, made if need be.
func (s *seen) entry(p tree.Path) *seenEntry {
	in := p[:lastEntry(p)]
	// Walks share elements between neighbours.
	if s.last.entry != nil && slices.Equal(s.last.path, in) {
		return s.last.entry
	}
	e := &s.root
	segments(in, func(seg tree.Path) bool {
		id := seg.String()
		c, ok := e.child(id)
		if !ok {
			c = seenChild{id: id, entry: &seenEntry{born: s.rev, slot: s.slot()}}
			e.add(c)
		}
		e = c.entry
		return true
	})
	s.last.path, s.last.entry = append(s.last.path[:0], in...), e
	if s.tour != nil {
		s.met = append(s.met, e)
	}
	return e
}

// slot is a number for a new entry; 0 is the root's.
func (s *seen) slot() uint32 {
	if n := len(s.freed); n > 0 {
		slot := s.freed[n-1]
		s.freed = s.freed[:n-1]
		return slot
	}
	s.slots++
	return s.slots
}

// drop takes the empty entry c out of the one above it.
func (s *seen) drop(above *seenEntry, c seenChild) {
	above.drop(c.id)
	s.freed = append(s.freed, c.entry.slot)
}

// name is the index of the name of p below its list entry.
func (s *seen) name(p tree.Path) uint16 {
	end := p[len(p)-1]
	if n, ok := s.known[end]; ok {
		return n
	}
	below := p[lastEntry(p):]
	id := below.String()
	n, ok := s.ids[id]
	if !ok {
		n = uint16(len(s.names))
		s.ids[id] = n
		s.names = append(s.names, slices.Clone(below))
	}
	if len(s.known) < mostKnown {
		s.known[end] = n
	}
	return n
}

// mostKnown bounds known where paths don't share their elements.
const mostKnown = 1 << 13

func (s *seen) print(v *gnmi.TypedValue) uint64 {
	// A value that can't be encoded could not be sent either.
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(v)
	if err != nil {
		return 0
	}
	return maphash.Bytes(s.seed, b)
}

// sweep forgets the leaves at or below the concrete path p that this round did
// not note, and returns what to delete: the list entry p itself when all of it
// is gone and whole allows that, else each leaf.
func (s *seen) sweep(p tree.Path, whole bool) []lost {
	s.endRound()
	s.last.entry = nil
	entry, rest, found := s.find(p)
	if !found {
		return nil
	}
	var gone []lost
	left := s.sweepEntry(entry, p[:len(p)-len(rest)], rest, &gone)
	if len(rest) == 0 && len(p) > 0 && !left {
		s.forget(p)
	}
	if whole && !left && len(gone) > 1 && len(p) > 0 && len(rest) == 0 {
		return []lost{{p, entry.born}}
	}
	return gone
}

// find is the entry around p, and the rest of p inside it.
func (s *seen) find(p tree.Path) (e *seenEntry, rest tree.Path, ok bool) {
	e, ok = &s.root, true
	segments(p, func(seg tree.Path) bool {
		var c seenChild
		if c, ok = e.child(seg.String()); ok {
			e = c.entry
		}
		return ok
	})
	return e, p[lastEntry(p):], ok
}

// has reports whether the client has a leaf at or below the concrete path p.
func (s *seen) has(p tree.Path) bool {
	e, rest, ok := s.find(p)
	if !ok || len(rest) == 0 {
		return ok && !e.empty()
	}
	return slices.ContainsFunc(e.leaves, func(l seenLeaf) bool { return s.names[l.name()].HasPrefix(rest) }) ||
		len(e.children(rest)) > 0
}

// forget drops the entry p, which is empty.
func (s *seen) forget(p tree.Path) {
	parent := &s.root
	var above *seenEntry
	var id string
	segments(p, func(seg tree.Path) bool {
		above, id = parent, seg.String()
		c, ok := parent.child(id)
		if ok {
			parent = c.entry
		}
		return ok
	})
	if above != nil && parent.empty() {
		s.drop(above, seenChild{id, parent})
	}
}

// sweepEntry sweeps what of entry e, at path p, lies at or below rest. It
// reports whether anything there is left.
func (s *seen) sweepEntry(e *seenEntry, p, rest tree.Path, gone *[]lost) (left bool) {
	kept := e.leaves[:0]
	for _, l := range e.leaves {
		name := s.names[l.name()]
		switch {
		case !name.HasPrefix(rest):
		case l.word&noted != 0:
			left = true
			l.word &^= noted
		default:
			*gone = append(*gone, lost{slices.Concat(p, name), e.born})
			continue
		}
		kept = append(kept, l)
	}
	e.leaves = kept
	for _, c := range e.children(rest) {
		steps, err := tree.Parse(c.id)
		if err != nil {
			continue // it was written by String, which Parse reads back
		}
		if s.sweepEntry(c.entry, slices.Concat(p, steps), nil, gone) {
			left = true
		}
		if c.entry.empty() {
			s.drop(e, c)
		}
	}
	return left
}

// below reports whether the list entry with that path in text lies at or below
// the path with the text rest.
func below(id, rest string) bool {
	if rest == "/" {
		return true
	}
	tail, ok := strings.CutPrefix(id, rest)
	return ok && (tail[0] == '[' || tail[0] == '/')
}
