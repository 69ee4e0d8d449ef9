package fib

import "math/bits"

const (
	shadowChunk = 1 << 12 // words
	maxShadow   = 2 + 63  // words
	maxPrefixes = 126
)

// A shadow keeps, for each block that has prefixes of its own, which they are:
// the leaves that readers see have forgotten it. Only the writer reads it, so
// it lies apart, in chunks that Go allocates as needed, and without a limbo.
//
// An entry is two words of bitmap, one bit for each prefix by its index in
// the block (see prefixIndex), and the next hops in that order, two in a word.
// A block whose prefixes change gets a new entry, so that a transaction can be
// undone; only a single next hop is changed in place, once it is committed.
type shadow struct {
	chunks [][]uint64
	mark   uint32 // words from here on were never used
	free   [maxShadow + 1]uint32
	// owners has the entry of each block, by its anchor: one in two words, as no
	// block is smaller.
	owners []*[ownerChunk]uint32
	held   int // of owners that are there
}

// ownerChunk is how many owners stand together.
const ownerChunk = 1 << 11

func (s *shadow) bytes() uint64 {
	return uint64(len(s.chunks))*shadowChunk*8 + uint64(s.held)*ownerChunk*4 + uint64(cap(s.owners))*8
}

// of returns the entry of a block.
func (s *shadow) of(ref uint32) uint32 {
	at := anchor(ref) / 2
	return s.owners[at/ownerChunk][at%ownerChunk]
}

// setOf gives a block its entry.
func (s *shadow) setOf(ref, entry uint32) {
	at := anchor(ref) / 2
	for int(at/ownerChunk) >= len(s.owners) {
		s.owners = append(s.owners, nil)
	}
	chunk := &s.owners[at/ownerChunk]
	if *chunk == nil {
		*chunk = new([ownerChunk]uint32)
		s.held++
	}
	(*chunk)[at%ownerChunk] = entry
}

// at returns the words from ref to the end of its chunk.
func (s *shadow) at(ref uint32) []uint64 { return s.chunks[ref/shadowChunk][ref%shadowChunk:] }

func shadowWords(prefixes int) uint32 { return 2 + uint32(prefixes+1)/2 }

// put stores a set of prefixes and returns its reference, 0 for an empty set.
func (s *shadow) put(set *prefixSet) uint32 {
	if set.n == 0 {
		return 0
	}
	n := shadowWords(set.n)
	ref := s.free[n]
	if ref != 0 {
		s.free[n] = uint32(s.at(ref)[0])
	} else {
		if s.mark%shadowChunk+n > shadowChunk || s.mark%shadowChunk == 0 {
			s.chunks = append(s.chunks, make([]uint64, shadowChunk))
			// Word 0 is skipped, as the reference 0 means none.
			s.mark = max(1, uint32(len(s.chunks)-1)*shadowChunk)
		}
		ref = s.mark
		s.mark += n
	}
	w := s.at(ref)
	w[0], w[1] = set.have[0], set.have[1]
	for i := 0; i < set.n; i += 2 {
		v := uint64(set.nh[i])
		if i+1 < set.n {
			v |= uint64(set.nh[i+1]) << 32
		}
		w[2+i/2] = v
	}
	return ref
}

// get reads the set at ref, the empty one for 0.
func (s *shadow) get(ref uint32, set *prefixSet) {
	if ref == 0 {
		set.have, set.n = [2]uint64{}, 0
		return
	}
	w := s.at(ref)
	set.have = [2]uint64{w[0], w[1]}
	set.n = bits.OnesCount64(w[0]) + bits.OnesCount64(w[1])
	for i := 0; i < set.n; i += 2 {
		v := w[2+i/2]
		set.nh[i] = uint32(v)
		set.nh[i+1] = uint32(v >> 32)
	}
}

// value returns the next hop of one prefix of the entry at ref, 0 for none,
// whether longer ones lie below it, and its place in the entry if it is there.
func (s *shadow) value(ref uint32, index uint) (nh uint32, covers bool, i int) {
	w := s.at(ref)
	for first, n := 2*index, uint(2); first < 128; first, n = 2*first, 2*n {
		covers = covers || w[first>>6]>>(first&63)&(1<<n-1) != 0
	}
	if w[index>>6]>>(index&63)&1 == 0 {
		return 0, covers, 0
	}
	i = bits.OnesCount64(w[index>>6] & (1<<(index&63) - 1))
	if index >= 64 {
		i += bits.OnesCount64(w[0])
	}
	return half(w[2+i/2], i), covers, i
}

// setValue changes the i-th next hop of the entry at ref.
func (s *shadow) setValue(ref uint32, i int, nh uint32) {
	w := &s.at(ref)[2+i/2]
	shift := uint(i&1) * 32
	*w = *w&^(0xffffffff<<shift) | uint64(nh)<<shift
}

// drop gives the entry's memory back.
func (s *shadow) drop(ref uint32) {
	if ref == 0 {
		return
	}
	w := s.at(ref)
	n := shadowWords(bits.OnesCount64(w[0]) + bits.OnesCount64(w[1]))
	w[0] = uint64(s.free[n])
	s.free[n] = ref
}

// A prefixSet is the prefixes of one block: next hops in the order of their
// indices.
type prefixSet struct {
	have [2]uint64
	n    int
	nh   [maxPrefixes]uint32
}

// prefixIndex numbers the prefixes inside a block as ART does: a leading one,
// then the prefix's 1 to 6 bits, so 2 to 127. slot holds them left-aligned in
// six bits.
func prefixIndex(slot uint, length uint) uint { return 1<<length | slot>>(6-length) }

// slots returns the first slot that the prefix covers, and how many.
func slots(index uint) (first, n uint) {
	length := uint(bits.Len(index)) - 1
	return (index << (6 - length)) & 63, 1 << (6 - length)
}

func (p *prefixSet) has(index uint) bool { return p.have[index>>6]>>(index&63)&1 != 0 }

// rank returns how many prefixes have a smaller index.
func (p *prefixSet) rank(index uint) int {
	r := bits.OnesCount64(p.have[index>>6] & (1<<(index&63) - 1))
	if index >= 64 {
		r += bits.OnesCount64(p.have[0])
	}
	return r
}

// get returns the next hop of the prefix, 0 when it is not there.
func (p *prefixSet) get(index uint) uint32 {
	if !p.has(index) {
		return 0
	}
	return p.nh[p.rank(index)]
}

// covering returns the next hop of the longest prefix shorter than that at index
// that covers it, 0 if there is none.
func (p *prefixSet) covering(index uint) uint32 {
	for index >>= 1; index > 1; index >>= 1 {
		if nh := p.get(index); nh != 0 {
			return nh
		}
	}
	return 0
}

// set stores the prefix and returns what stood there.
func (p *prefixSet) set(index uint, nh uint32) (old uint32) {
	r := p.rank(index)
	if p.has(index) {
		old = p.nh[r]
	} else {
		copy(p.nh[r+1:p.n+1], p.nh[r:p.n])
		p.have[index>>6] |= 1 << (index & 63)
		p.n++
	}
	p.nh[r] = nh
	return old
}

// remove deletes the prefix and returns what stood there.
func (p *prefixSet) remove(index uint) (old uint32) {
	if !p.has(index) {
		return 0
	}
	r := p.rank(index)
	old = p.nh[r]
	copy(p.nh[r:p.n-1], p.nh[r+1:p.n])
	p.have[index>>6] &^= 1 << (index & 63)
	p.n--
	return old
}

// leaves spreads the prefixes over the 64 slots, as a block has them: a bit where
// another run of equal next hops starts, one in slot 0 if the first has one, and
// the runs' values, one at least.
func (p *prefixSet) leaves(value *[64]uint32) (starts uint64, n int) {
	if p.n == 0 {
		value[0] = 0
		return 0, 1
	}
	var slot [64]uint32
	edges := uint64(0) // where prefixes begin, and what is after them
	i := 0
	for w, have := range p.have {
		for ; have != 0; have &= have - 1 {
			first, count := slots(uint(w<<6 + bits.TrailingZeros64(have)))
			edges |= 1<<first | 1<<(first+count)
			// Shorter prefixes have smaller indices: the longer overwrite.
			nh := p.nh[i]
			for s := first; s < first+count; s++ {
				slot[s&63] = nh
			}
			i++
		}
	}
	last := slot[0]
	value[0] = last
	if last != 0 {
		starts = 1
	}
	for edges &^= 1; edges != 0; edges &= edges - 1 {
		s := bits.TrailingZeros64(edges)
		nh := slot[s&63]
		// Without a branch, as nobody can predict it.
		run := uint64(0)
		if nh != last {
			run = 1
		}
		starts |= run << s
		n += int(run)
		value[n&63] = nh
		last = nh
	}
	return starts, n + 1
}
