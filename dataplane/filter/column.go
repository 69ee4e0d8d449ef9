package filter

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// A column answers, for one field, which terms a packet's value satisfies. It maps
// the value to a class, all values of which satisfy the same terms, and has a bit
// vector for each class.
//
// Bit vectors are cut into words of 64 terms. A vector has, for each 64 words, a
// word of summary, whose bits say which of them hold anything, and the rank of the
// first that does; then the words that do hold something, in order:
//
//	summary, rank | summary, rank | ... | word | word | ...
//
// It names only terms with a condition on the field. Terms without one are in wild,
// and words that have any in wildSummary. A dense vector, of small filters, is just
// all words with the wild terms in them.
type column struct {
	field field
	base  [256]uint32 // small fields: page of the value's high octet
	pages []uint32    // small fields: vector by page and low octet
	index ranges      // other fields

	vectors     []uint64
	wild        []uint64
	wildSummary []uint64
	lookups     uint64 // terms with a condition, for the order of columns
}

// none is the vector of packets that lack the field.
const none = 0

// vector finds the vector of a packet's value.
func (c *column) vector(k *Key) uint32 {
	f := c.field
	if !k.has.has(f) {
		return none
	}
	v := k.value[f]
	if f < numSmall {
		return c.pages[c.base[v>>8&0xff]+uint32(v&0xff)]
	}
	//exhaustive:ignore the small ones are done, and others have the low half alone
	switch f {
	case fieldSrc, fieldDst:
		return c.index.find(k.value[f+(fieldSrcHi-fieldSrc)], v)
	case fieldSrcMAC, fieldDstMAC:
		return c.index.find(v, 0)
	}
	return c.index.find(0, v)
}

// A condition is a set of values that one or more terms demand of a field.
type condition struct {
	spans []span
	terms []int32 // positions in the vectors
}

// A toggle is a point where a condition begins or ceases to hold.
type toggle struct {
	at   point
	cond int32
}

// A sweep goes over a field's values from the lowest to the highest and makes a
// class wherever the set of conditions that hold changes.
type sweep struct {
	column  *column
	dense   bool
	words   []uint64 // terms that hold here, besides the wild ones
	summary []uint64
	known   map[[2]uint64]uint32

	starts []point // where a vector begins to apply
	refs   []uint32
}

// run builds the vectors of a column, and where each begins to apply.
func (s *sweep) run(conds []condition) error {
	n := 0
	for i := range conds {
		n += 2 * len(conds[i].spans)
	}
	toggles := make([]toggle, 0, n)
	// A set of conditions is known by the sum (exclusive or) of random numbers, 128
	// bits each: two sets of one filter are as good as never mistaken for each other.
	names := make([][2]uint64, len(conds))
	for i := range conds {
		names[i] = [2]uint64{rand.Uint64(), rand.Uint64()}
		for _, sp := range conds[i].spans {
			toggles = append(toggles, toggle{sp.lo, int32(i)})
			if end := sp.hi.next(); end != (point{}) {
				toggles = append(toggles, toggle{end, int32(i)})
			}
		}
	}
	slices.SortFunc(toggles, func(a, b toggle) int { return a.at.compare(b.at) })

	var name [2]uint64
	s.known = map[[2]uint64]uint32{name: s.emit()}
	current := uint32(none)
	s.starts, s.refs = append(s.starts, point{}), append(s.refs, none)
	for i := 0; i < len(toggles); {
		at := toggles[i].at
		for ; i < len(toggles) && toggles[i].at == at; i++ {
			c := toggles[i].cond
			name[0] ^= names[c][0]
			name[1] ^= names[c][1]
			for _, t := range conds[c].terms {
				s.flip(t)
			}
		}
		ref, ok := s.known[name]
		if !ok {
			ref = s.emit()
			s.known[name] = ref
			if 8*len(s.column.vectors) > maxVectors {
				return errVectors
			}
		}
		if ref == current {
			continue
		}
		current = ref
		if at == (point{}) {
			s.refs[0] = ref
			continue
		}
		s.starts, s.refs = append(s.starts, at), append(s.refs, ref)
	}
	s.column.vectors = slices.Clip(s.column.vectors)
	return nil
}

func (s *sweep) flip(t int32) {
	w := t >> 6
	s.words[w] ^= 1 << (t & 63)
	if s.words[w] != 0 {
		s.summary[w>>6] |= 1 << (w & 63)
	} else {
		s.summary[w>>6] &^= 1 << (w & 63)
	}
}

// emit appends the vector of the current set.
func (s *sweep) emit() uint32 {
	c := s.column
	ref := uint32(len(c.vectors))
	if s.dense {
		for i, w := range s.words {
			c.vectors = append(c.vectors, w|c.wild[i])
		}
		return ref
	}
	rank := uint64(2 * len(s.summary))
	for _, m := range s.summary {
		c.vectors = append(c.vectors, m, uint64(ref)+rank)
		rank += uint64(bits.OnesCount64(m))
	}
	for i, m := range s.summary {
		for ; m != 0; m &= m - 1 {
			c.vectors = append(c.vectors, s.words[i<<6+bits.TrailingZeros64(m)])
		}
	}
	return ref
}

// tabulate turns the starts of a small field's vectors into pages, of which equal
// ones are kept once.
func (c *column) tabulate(starts []point, refs []uint32) {
	uniform := map[uint32]uint32{} // pages of one vector only: most
	mixed := map[[256]uint32]uint32{}
	at := 0
	for high := range c.base {
		first, last := uint64(high)<<8, uint64(high)<<8|0xff
		for at+1 < len(starts) && starts[at+1].lo <= first {
			at++
		}
		if at+1 == len(starts) || starts[at+1].lo > last {
			base, ok := uniform[refs[at]]
			if !ok {
				base = uint32(len(c.pages))
				uniform[refs[at]] = base
				c.pages = append(c.pages, slices.Repeat(refs[at:at+1], 256)...)
			}
			c.base[high] = base
			continue
		}
		var page [256]uint32
		for low := range page {
			for at+1 < len(starts) && starts[at+1].lo <= first+uint64(low) {
				at++
			}
			page[low] = refs[at]
		}
		base, ok := mixed[page]
		if !ok {
			base = uint32(len(c.pages))
			mixed[page] = base
			c.pages = append(c.pages, page[:]...)
		}
		c.base[high] = base
	}
}
