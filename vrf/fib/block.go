package fib

import (
	"math/bits"
	"sync/atomic"
)

// A block decides six bits of an address. It lies around its anchor h, so
// that neither side needs the other's length:
//
//	h-n/2 ... h   leaf[n] ... leaf[1] leaf[0]: next hops, two in a word, the
//	              lower half first; leaf[0] is always 0, "nothing here"
//	h+1           leafBits: a bit in each slot where a run of equal leaves starts
//	h+2           childBits: a bit for each slot that has a child
//	h+3           the skipped bits, only where the reference says so: n at the
//	              bottom, up to 54 bits of address at the top
//	h+3 or h+4    child[0] ...: references, two in a word, the lower half
//	              first; child[0] names the writer's shadow of the block
//
// So the leaf of slot s is leaf[popcount(leafBits & upto(s))], and its child,
// if the bit is set, child[popcount(childBits & upto(s))], where upto(s) has
// the bits 0 to s set.
//
// A reference is 32 bits: the anchor, shifted left by one, and the flag that
// bits are skipped: addresses that differ in them match nothing in or below
// the block. The reference 0 is an empty block that stands in the arena's
// reserved words: it has neither leaves nor children.
const (
	atLeafBits  = 1
	atChildBits = 2
	atSkip      = 3
	atChildren  = 3

	stride  = 6
	maxSkip = 54
	// skipLen masks the number of skipped bits in the skip word.
	skipLen = 63

	flagSkip = 1
)

// skipWord packs n skipped bits, left-aligned in path.
func skipWord(path uint64, n uint) uint64 {
	if n == 0 {
		return 0
	}
	return path&^(1<<(64-n)-1) | uint64(n)
}

// splitSkip undoes skipWord.
func splitSkip(w uint64) (path uint64, n uint) { return w &^ skipLen, uint(w & skipLen) }

func upto(slot uint) uint64 { return 2<<slot - 1 }

// half returns one of the two values in word w that value i of a packed array
// shares with its neighbour.
func half(w uint64, i int) uint32 { return uint32(w >> (uint(i&1) * 32)) }

// skip returns the block's skipped bits.
func (a *Arena) skip(ref uint32) (path uint64, n uint) {
	if ref&flagSkip == 0 {
		return 0, 0
	}
	return splitSkip(a.mem[ref>>1+atSkip])
}

// place is where a 32-bit value stands: the word's offset, shifted left by
// one, and which half.
type place uint64

func (a *Arena) load(p place) uint32 { return half(a.mem[p>>1], int(p&1)) }

// store publishes a value. There is one writer, so that a load and a store of
// the whole word lose nothing.
func (a *Arena) store(p place, v uint32) {
	w := &a.mem[p>>1]
	shift := uint(p&1) * 32
	atomic.StoreUint64(w, *w&^(0xffffffff<<shift)|uint64(v)<<shift)
}

// childPlace returns where child[i] of the block stands.
func childPlace(ref uint32, i int) place {
	return place(ref>>1+atChildren+ref&flagSkip)<<1 + place(i)
}

// leafPlace returns where leaf[i] of the block stands.
func leafPlace(ref uint32, i int) place {
	return place(ref>>1-uint32(i)>>1)<<1 | place(i&1)
}

// child returns the place of the slot's child, and whether there is one.
func (a *Arena) child(ref uint32, slot uint) (place, bool) {
	have := a.mem[ref>>1+atChildBits]
	if have>>slot&1 == 0 {
		return 0, false
	}
	return childPlace(ref, bits.OnesCount64(have&upto(slot))), true
}

// layout returns the words before the bitmaps, and those of the whole block.
func layout(leaves, children int, skip bool) (before, total uint32) {
	before = uint32(leaves)/2 + 1
	total = before + 2 + uint32(children)/2 + 1
	if skip {
		total++
	}
	return before, total
}

// extent returns which words the block occupies.
func (a *Arena) extent(ref uint32) extent {
	h := ref >> 1
	leaves := bits.OnesCount64(a.mem[h+atLeafBits])
	children := bits.OnesCount64(a.mem[h+atChildBits])
	before, total := layout(leaves, children, ref&flagSkip != 0)
	return extent{h + 1 - before, class(total)}
}

// node is a block taken apart, for the writer to change.
type node struct {
	skip   uint64 // packed as in the block
	set    prefixSet
	shadow uint32 // of set, as long as set is not dirty
	kids   uint64
	nkids  int
	kid    [64]uint32

	// What set comes to in leaves, once spread has been called.
	known  bool
	starts uint64
	leaves int
	leaf   [64]uint32
}

// spread works the leaves out. The prefixes must not change any more.
func (n *node) spread() {
	if !n.known {
		n.starts, n.leaves = n.set.leaves(&n.leaf)
		n.known = true
	}
}

// read takes the block apart. Its skipped bits are the caller's.
func (a *Arena) read(ref uint32, n *node) {
	n.known = false
	n.shadow = a.load(childPlace(ref, 0))
	a.shadow.get(n.shadow, &n.set)
	n.kids = a.mem[ref>>1+atChildBits]
	n.nkids = bits.OnesCount64(n.kids)
	for i := range n.nkids {
		n.kid[i&63] = a.load(childPlace(ref, i+1))
	}
}

// empty makes n a node without anything.
func (n *node) empty() {
	n.skip, n.shadow, n.kids, n.nkids = 0, 0, 0, 0
	n.set.have, n.set.n = [2]uint64{}, 0
	n.known = false
}

func (n *node) rank(slot uint) int { return bits.OnesCount64(n.kids & (1<<slot - 1)) }

// link sets, replaces or (ref 0) removes the slot's child.
func (n *node) link(slot uint, ref uint32) {
	r := n.rank(slot)
	there := n.kids>>slot&1 != 0
	switch {
	case there && ref != 0:
		n.kid[r] = ref
	case there:
		copy(n.kid[r:n.nkids-1], n.kid[r+1:n.nkids])
		n.nkids--
		n.kids &^= 1 << slot
	case ref != 0:
		copy(n.kid[r+1:n.nkids+1], n.kid[r:n.nkids])
		n.kid[r] = ref
		n.nkids++
		n.kids |= 1 << slot
	}
}

// write puts the node into a fresh block, or returns 0 when the arena is full.
func (a *Arena) write(n *node) uint32 {
	n.spread()
	before, total := layout(n.leaves, n.nkids, n.skip != 0)
	start := a.alloc(class(total))
	if start == 0 {
		return 0
	}
	h := start + before - 1
	a.mem[h+atLeafBits] = n.starts
	a.mem[h+atChildBits] = n.kids
	last := uint32(0) // leaf[0]
	for i := range n.leaves + 1 {
		if i&1 == 0 {
			a.mem[h-uint32(i)>>1] = uint64(last)
		} else {
			a.mem[h-uint32(i)>>1] |= uint64(n.leaf[i-1]) << 32
		}
		if i < 64 {
			last = n.leaf[i]
		}
	}
	ref := h << 1
	at := h + atChildren
	if n.skip != 0 {
		a.mem[h+atSkip] = n.skip
		ref |= flagSkip
		at++
	}
	last = n.shadow
	for i := range n.nkids + 1 {
		if i&1 == 0 {
			a.mem[at+uint32(i)>>1] = uint64(last)
		} else {
			a.mem[at+uint32(i)>>1] |= uint64(n.kid[i-1]) << 32
		}
		if i < 64 {
			last = n.kid[i]
		}
	}
	return ref
}

// clone copies a block with other skipped bits into a fresh one, or returns 0
// when the arena is full. Both then name the same shadow.
func (a *Arena) clone(ref uint32, skip uint64) uint32 {
	h := ref >> 1
	leaves := bits.OnesCount64(a.mem[h+atLeafBits])
	children := bits.OnesCount64(a.mem[h+atChildBits])
	before, total := layout(leaves, children, skip != 0)
	start := a.alloc(class(total))
	if start == 0 {
		return 0
	}
	copy(a.mem[start:start+before+2], a.mem[h+1-before:h+1+2])
	to := start + before - 1
	fresh := to << 1
	at := to + atChildren
	if skip != 0 {
		a.mem[to+atSkip] = skip
		fresh |= flagSkip
		at++
	}
	words := uint32(children)/2 + 1
	from := h + atChildren + ref&flagSkip
	copy(a.mem[at:at+words], a.mem[from:from+words])
	return fresh
}

// moved returns where what stands at p, if that is in block from, stands in
// its clone to.
func (a *Arena) moved(p place, from, to uint32) (place, bool) {
	e := a.extent(from)
	word := uint32(p >> 1)
	switch h := from >> 1; {
	case word < e.start || word >= e.start+e.words:
		return 0, false
	case word <= h:
		return p - place(h)<<1 + place(to>>1)<<1, true
	}
	return p - childPlace(from, 0) + childPlace(to, 0), true
}
