package fib

import (
	"math/bits"
	"sync/atomic"
)

// A block decides six bits of an address. What a lookup reads in every block
// begins at its anchor h, what only some blocks have lies before it, so that
// nothing is moved by what is absent:
//
//	... c-1   child[n] ... child[2] child[1]: references of 32 bits, downwards
//	c         childBits: a bit for each slot that has a child. c is h-1, or h-2
//	          where bits are skipped
//	h-1       the skipped bits: n at the bottom, up to 54 bits of address at
//	          the top
//	h         leafBits: a bit in each slot from 1 on where another run of equal
//	          leaves starts. Bit 0 is set when the first run has a next hop
//	h+1 ...   leaf[0] leaf[1] ...: the runs' next hops, 0 for none, of 8, 16 or
//	          32 bits each: as the largest of them needs
//
// So the leaf of slot s is leaf[popcount(leafBits & after(s))], and its child,
// if the bit is set, child[popcount(childBits & upto(s))], where upto(s) has
// the bits 0 to s set, and after(s) those of them that are not bit 0.
//
// A reference is 32 bits: the anchor, and in the lowest four bits how the block
// is to be read: the width of its leaves, whether it has children, and whether
// it skips bits: addresses that differ in them match nothing in or below the
// block. The reference 0 is an empty block that stands in the arena's reserved
// words: it has one leaf, which is 0, and no children.
//
// Most blocks of a real table are of one line of 64 octets, which alloc (see
// arena.go) sees to: a lookup takes one cache miss for its bitmap and leaf.
const (
	stride  = 6
	maxSkip = 54
	// skipLen masks the number of skipped bits in the skip word.
	skipLen = 63

	flagSkip  = 1
	flagKids  = 2
	widthAt   = 2 // leaves are of 8<<width bits
	widthMask = 3
	anchorAt  = 4

	wide = 2 // the width of what is always of 32 bits
)

func anchor(ref uint32) uint32  { return ref >> anchorAt }
func widthOf(ref uint32) uint32 { return ref >> widthAt & widthMask }

// widest is the largest value of a width.
func widest(width uint32) uint32 { return 1<<(8<<width) - 1 }

// width returns which width holds v, and all that are no larger.
func width(v uint32) uint32 {
	switch {
	case v <= widest(0):
		return 0
	case v <= widest(1):
		return 1
	}
	return wide
}

// skipWord packs n skipped bits, left-aligned in path.
func skipWord(path uint64, n uint) uint64 {
	if n == 0 {
		return 0
	}
	return path&^(1<<(64-n)-1) | uint64(n)
}

// splitSkip undoes skipWord.
func splitSkip(w uint64) (path uint64, n uint) { return w &^ skipLen, uint(w & skipLen) }

func upto(slot uint) uint64  { return 2<<slot - 1 }
func after(slot uint) uint64 { return 2<<slot - 2 }

// half returns one of the two values in word w that value i of a packed array
// shares with its neighbour.
func half(w uint64, i int) uint32 { return uint32(w >> (uint(i&1) * 32)) }

// skip returns the block's skipped bits.
func (a *Arena) skip(ref uint32) (path uint64, n uint) {
	if ref&flagSkip == 0 {
		return 0, 0
	}
	return splitSkip(a.mem[anchor(ref)-1])
}

// place is where a value stands: its offset in octets, shifted left by two, and
// its width.
type place uint64

// placeOf returns the i-th value of a width, counted from a word.
func placeOf(word uint32, i int, width uint32) place {
	return place(int64(word)*8+int64(i)<<width)<<2 | place(width)
}

func (p place) word() uint32  { return uint32(p >> 5) }
func (p place) shift() uint   { return uint(p>>2&7) * 8 }
func (p place) width() uint32 { return uint32(p & 3) }

func (a *Arena) load(p place) uint32 {
	return uint32(a.mem[p.word()]>>p.shift()) & widest(p.width())
}

// store publishes a value. There is one writer, so that a load and a store of
// the whole word lose nothing.
func (a *Arena) store(p place, v uint32) {
	w := &a.mem[p.word()]
	atomic.StoreUint64(w, *w&^(uint64(widest(p.width()))<<p.shift())|uint64(v)<<p.shift())
}

// kidsAt returns the word of childBits, if there is one.
func kidsAt(ref uint32) uint32 { return anchor(ref) - 1 - ref&flagSkip }

// kids returns the slots that have a child.
func (a *Arena) kids(ref uint32) uint64 {
	if ref&flagKids == 0 {
		return 0
	}
	return a.mem[kidsAt(ref)]
}

// childPlace returns where child[i] of the block stands, from 1 on.
func childPlace(ref uint32, i int) place { return placeOf(kidsAt(ref), -i, wide) }

// leafPlace returns where leaf[i] of the block stands, from 0 on.
func leafPlace(ref uint32, i int) place { return placeOf(anchor(ref)+1, i, widthOf(ref)) }

// child returns the place of the slot's child, and whether there is one.
func (a *Arena) child(ref uint32, slot uint) (place, bool) {
	have := a.kids(ref)
	if have>>slot&1 == 0 {
		return 0, false
	}
	return childPlace(ref, bits.OnesCount64(have&upto(slot))), true
}

// leaves returns how many leaves a block has.
func (a *Arena) leaves(ref uint32) int { return bits.OnesCount64(a.mem[anchor(ref)]&^1) + 1 }

// layout returns how many words a block has before its anchor, and from there on.
func layout(leaves int, width uint32, children int, skip bool) (before, behind uint32) {
	if children > 0 {
		before = 1 + uint32(children+1)/2
	}
	if skip {
		before++
	}
	return before, 1 + (uint32(leaves)<<width+7)/8
}

// layout returns likewise what a block has.
func (a *Arena) layout(ref uint32) (before, behind uint32) {
	return layout(a.leaves(ref), widthOf(ref), bits.OnesCount64(a.kids(ref)), ref&flagSkip != 0)
}

// extent returns which words the block occupies.
func (a *Arena) extent(ref uint32) extent {
	before, behind := a.layout(ref)
	return extent{anchor(ref) - before, class(before + behind)}
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
	n.shadow = a.shadow.of(ref)
	a.shadow.get(n.shadow, &n.set)
	a.readKids(ref, n)
}

// readKids reads the block's children.
func (a *Arena) readKids(ref uint32, n *node) {
	n.kids = a.kids(ref)
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
	all := uint32(0)
	for _, nh := range n.leaf[:n.leaves] {
		all |= nh
	}
	width := width(all)
	before, behind := layout(n.leaves, width, n.nkids, n.skip != 0)
	start := a.alloc(a.family, class(before+behind))
	if start == 0 {
		return 0
	}
	h := start + before
	ref := h<<anchorAt | width<<widthAt
	if n.skip != 0 {
		a.mem[h-1] = n.skip
		ref |= flagSkip
	}
	if n.nkids > 0 {
		ref |= flagKids
		c := kidsAt(ref)
		a.mem[c] = n.kids
		for i := 0; i < n.nkids; i += 2 {
			pair := uint64(n.kid[i]) << 32
			if i+1 < n.nkids {
				pair |= uint64(n.kid[i+1])
			}
			a.mem[c-1-uint32(i)/2] = pair
		}
	}
	a.mem[h] = n.starts
	each := 8 >> width // leaves a word
	for i := 0; i < n.leaves; i += each {
		word := uint64(0)
		for k, nh := range n.leaf[i:min(i+each, n.leaves)] {
			word |= uint64(nh) << (k * 8 << width)
		}
		a.mem[h+1+uint32(i/each)] = word
	}
	a.shadow.setOf(ref, n.shadow)
	return ref
}

// clone copies a block with other skipped bits into a fresh one, or returns 0
// when the arena is full. Both then name the same shadow.
func (a *Arena) clone(ref uint32, skip uint64) uint32 {
	before, behind := a.layout(ref)
	kids := before - ref&flagSkip
	before = kids
	if skip != 0 {
		before++
	}
	start := a.alloc(a.family, class(before+behind))
	if start == 0 {
		return 0
	}
	from, to := anchor(ref), start+before
	fresh := to<<anchorAt | ref&^flagSkip&(1<<anchorAt-1)
	if skip != 0 {
		a.mem[to-1] = skip
		fresh |= flagSkip
	}
	copy(a.mem[start:start+kids], a.mem[from-ref&flagSkip-kids:])
	copy(a.mem[to:to+behind], a.mem[from:])
	a.shadow.setOf(fresh, a.shadow.of(ref))
	return fresh
}

// moved returns where what stands at p, if that is in block from, stands in
// its clone to.
func (a *Arena) moved(p place, from, to uint32) (place, bool) {
	e := a.extent(from)
	switch word := p.word(); {
	case word < e.start || word >= e.start+e.words:
		return 0, false
	case word >= anchor(from):
		return p - leafPlace(from, 0) + leafPlace(to, 0), true
	}
	return p - childPlace(from, 1) + childPlace(to, 1), true
}
