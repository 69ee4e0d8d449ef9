package northbound

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// A seen remembers, for one subscription, which leaves the client has and a
// fingerprint of their values, so that only differences are sent. It is made for
// many leaves: a leaf takes 16 octets; the part of its path below its list entry is
// stored once for all entries. The zero seen is empty.
type seen struct {
	root  seenEntry
	ids   map[string]uint32 // leaf's path below its list entry -> index in names
	names []tree.Path
	gen   uint32
	seed  maphash.Seed
}

// A seenEntry is a list entry, or the root.
type seenEntry struct {
	leaves []seenLeaf
	few    []seenChild          // list entries below, up to fewChildren
	many   map[string]seenChild // all of them, when there are more
}

const fewChildren = 4

// A seenChild is a list entry by its path from the entry above it. The path is
// kept as text: there may be a million.
type seenChild struct {
	id    string
	entry *seenEntry
}

type seenLeaf struct {
	name, gen uint32
	print     uint64
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
	if e.many != nil {
		c, ok := e.many[id]
		return c, ok
	}
	for _, c := range e.few {
		if c.id == id {
			return c, true
		}
	}
	return seenChild{}, false
}

func (e *seenEntry) add(c seenChild) {
	switch {
	case e.many != nil:
		e.many[c.id] = c
	case len(e.few) < fewChildren:
		e.few = append(e.few, c)
	default:
		e.many = make(map[string]seenChild, 2*fewChildren)
		for _, f := range e.few {
			e.many[f.id] = f
		}
		e.many[c.id], e.few = c, nil
	}
}

func (e *seenEntry) drop(id string) {
	if e.many != nil {
		delete(e.many, id)
		return
	}
	e.few = slices.DeleteFunc(e.few, func(c seenChild) bool { return c.id == id })
}

func (e *seenEntry) children() []seenChild {
	if e.many == nil {
		return slices.Clone(e.few)
	}
	return slices.SortedFunc(maps.Values(e.many), func(a, b seenChild) int { return strings.Compare(a.id, b.id) })
}

func (e *seenEntry) empty() bool { return len(e.leaves) == 0 && len(e.few) == 0 && len(e.many) == 0 }

// begin starts a round: leaves that note sees belong to it.
func (s *seen) begin() {
	if s.ids == nil {
		s.ids, s.seed = make(map[string]uint32), maphash.MakeSeed()
	}
	s.gen++
}

// note records the leaf's value and reports whether it is news.
func (s *seen) note(p tree.Path, v *gnmi.TypedValue) bool { return s.notePrint(p, s.print(v)) }

// noteEncoded is note for a value that is protobuf already.
func (s *seen) noteEncoded(p tree.Path, v []byte) bool {
	return s.notePrint(p, maphash.Bytes(s.seed, v))
}

func (s *seen) notePrint(p tree.Path, print uint64) bool {
	e := &s.root
	segments(p, func(seg tree.Path) bool {
		id := seg.String()
		c, ok := e.child(id)
		if !ok {
			c = seenChild{id: id, entry: &seenEntry{}}
			e.add(c)
		}
		e = c.entry
		return true
	})
	name := s.name(p[lastEntry(p):])
	for i := range e.leaves {
		if l := &e.leaves[i]; l.name == name {
			l.gen = s.gen
			if l.print == print {
				return false
			}
			l.print = print
			return true
		}
	}
	e.leaves = append(e.leaves, seenLeaf{name: name, gen: s.gen, print: print})
	return true
}

func (s *seen) name(p tree.Path) uint32 {
	id := p.String()
	n, ok := s.ids[id]
	if !ok {
		n = uint32(len(s.names))
		s.ids[id] = n
		s.names = append(s.names, slices.Clone(p))
	}
	return n
}

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
func (s *seen) sweep(p tree.Path, whole bool) []tree.Path {
	entry, rest, found := s.find(p)
	if !found {
		return nil
	}
	var gone []tree.Path
	left := s.sweepEntry(entry, p[:len(p)-len(rest)], rest, &gone)
	if len(rest) == 0 && len(p) > 0 && !left {
		s.forget(p)
	}
	if whole && !left && len(gone) > 1 && len(p) > 0 && len(rest) == 0 {
		return []tree.Path{p}
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
	return slices.ContainsFunc(e.leaves, func(l seenLeaf) bool { return s.names[l.name].HasPrefix(rest) }) ||
		slices.ContainsFunc(e.children(), func(c seenChild) bool { return below(c.id, rest) })
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
		above.drop(id)
	}
}

// sweepEntry sweeps what of entry e, at path p, lies at or below rest. It
// reports whether anything there is left.
func (s *seen) sweepEntry(e *seenEntry, p, rest tree.Path, gone *[]tree.Path) (left bool) {
	e.leaves = slices.DeleteFunc(e.leaves, func(l seenLeaf) bool {
		name := s.names[l.name]
		if !name.HasPrefix(rest) {
			return false
		}
		full := slices.Concat(p, name)
		if l.gen == s.gen {
			left = true
			return false
		}
		*gone = append(*gone, full)
		return true
	})
	for _, c := range e.children() {
		if !below(c.id, rest) {
			continue
		}
		steps, err := tree.Parse(c.id)
		if err != nil {
			continue // it was written by String, which Parse reads back
		}
		if s.sweepEntry(c.entry, slices.Concat(p, steps), nil, gone) {
			left = true
		}
		if c.entry.empty() {
			e.drop(c.id)
		}
	}
	return left
}

// below reports whether the list entry with that path in text lies at or below
// rest, elements without keys: a list stands for all its entries.
func below(id string, rest tree.Path) bool {
	if len(rest) == 0 {
		return true
	}
	tail, ok := strings.CutPrefix(id, rest.String())
	return ok && (tail[0] == '[' || tail[0] == '/')
}
