package fib

import (
	"math/bits"
	"sync/atomic"
)

// What became of a change that is made alone.
type outcome uint8

const (
	refused outcome = iota // not made: it takes more than this
	made                   // in the block itself, or there was nothing to do
	rebuilt                // in the node, which is to be written
)

// alone makes the most frequent changes, of a single prefix that has no longer ones
// below it in its block: its slots have one next hop before and afterwards, so that
// what becomes of the leaves is known from those beside them. If the prefix has one
// whole run of leaves to itself one store does it, else nd is the block with the change
// made. nd is free for use.
//
// A run that has come to be like its neighbours stays one of its own: a route that goes
// often comes again, and what readers have in their caches is the block's line then, and
// no new block's. A delete has the block written anew, from its prefixes, when it has more
// than spareLeaves runs for each.
func (w *writer) alone(ref uint32, nd *node, c *change, base uint) outcome {
	// First, though it is not needed before the shadow: the cache misses of the two
	// overlap.
	starts := atomic.LoadUint64(&w.a.mem[anchor(ref)])
	shadow := w.a.shadow.of(ref)
	if shadow == 0 || uint(c.length) > base+stride {
		return refused
	}
	index := prefixIndex(c.slot(base), uint(c.length)-base)
	old, covers, i := w.a.shadow.value(shadow, index)
	if old == c.nh {
		return made
	}
	if covers {
		return refused
	}
	value, moves := c.nh, old == 0 || c.nh == 0 // another next hop only, unless it moves
	if moves {
		w.a.shadow.get(shadow, &nd.set)
		if value == 0 {
			if w.a.leaves(ref) > spareLeaves*nd.set.n {
				return refused
			}
			value = nd.set.covering(index)
		}
	}
	p := w.paint(ref, starts, index, value)
	if p.inRun && value <= widest(widthOf(ref)) && (!moves || c.nh != 0 || nd.set.n > 1) {
		if moves {
			w.setLocal(&nd.set, index, c.nh)
			nd.shadow = shadow
			w.owners = append(w.owners, owner{ref, shadow})
			w.reshadow(nd)
			w.a.shadow.setOf(ref, nd.shadow)
		} else {
			w.hops = append(w.hops, hop{shadow, i, c.nh})
		}
		w.store(leafPlace(ref, p.leaf), value)
		return made
	}
	if !moves {
		w.a.shadow.get(shadow, &nd.set)
	}
	w.setLocal(&nd.set, index, c.nh)
	nd.shadow = shadow
	w.a.readKids(ref, nd)
	w.repaint(ref, nd, &p)
	return rebuilt
}

// spareLeaves is how many runs of leaves a block may have for each of its prefixes when one
// is deleted. As many as one more than twice the prefixes may be needed.
const spareLeaves = 4

// A painting is what giving one next hop to the slots of a prefix, which share one,
// does to the leaves of a block.
type painting struct {
	value       uint32
	starts      uint64 // of the runs, afterwards
	first       uint   // slot
	next        uint   // the one after the last
	leaf        int    // which one the slots have
	left, right int    // which ones the slots on either side have
	begins      bool   // a run begins with the first slot, afterwards,
	ends        bool   // and with the next
	inRun       bool   // nothing needs to change but the value of the leaf
}

func (w *writer) paint(ref uint32, starts uint64, index uint, value uint32) painting {
	first, n := slots(index)
	p := painting{value: value, first: first, next: first + n, leaf: bits.OnesCount64(starts & after(first))}
	before := uint32(0) // the bit of slot 0 says whether it has a next hop
	p.begins = true
	if first > 0 {
		p.left = bits.OnesCount64(starts & after(first-1))
		before = w.a.load(leafPlace(ref, p.left))
		p.begins = value != before
	}
	edge := upto(p.next-1) &^ upto(first) // where runs may begin or cease to
	whole := starts&edge == 0
	edge |= 1 << first
	if value != before {
		p.starts = 1 << first
	}
	whole = whole && (first == 0 || p.left != p.leaf)
	if p.next < 64 {
		p.right = bits.OnesCount64(starts & after(p.next))
		edge |= 1 << p.next
		if p.ends = value != w.a.load(leafPlace(ref, p.right)); p.ends {
			p.starts |= 1 << p.next
		}
		whole = whole && p.right != p.leaf
	}
	p.starts |= starts &^ edge
	p.inRun = whole && p.starts&^starts == 0
	return p
}

// repaint gives the node the leaves of the block with the painting.
func (w *writer) repaint(ref uint32, nd *node, p *painting) {
	n := 0
	if p.first > 0 {
		for ; n <= p.left; n++ {
			nd.leaf[n&63] = w.a.load(leafPlace(ref, n))
		}
	}
	if p.begins {
		nd.leaf[n&63] = p.value
		n++
	}
	if p.next < 64 {
		from := p.right
		if !p.ends {
			from++
		}
		all := w.a.leaves(ref)
		for ; from < all; from++ {
			nd.leaf[n&63] = w.a.load(leafPlace(ref, from))
			n++
		}
	}
	nd.starts, nd.leaves, nd.known = p.starts, n, true
}
