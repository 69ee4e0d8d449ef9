package fib

import "sync/atomic"

// A record is what a table is to those who read the arena: eight words at an
// offset that never changes while the table is open. Index f is 0 for IPv4, 1
// for IPv6.
//
//	0, 1   root of family f: the offset of its slots in the upper half, in the
//	       lower one how many bits of address select one, 0, 12 or 18, and in its
//	       second octet how many one of a page
//	2, 3   a root of 0 bits. Its next hop is that of the default route, whatever
//	       root is in use
//	4 - 7  zero
//
// A root is two arrays of 32-bit values: the references of blocks, and after them
// the next hops, of the longest prefix that ends in the root; both by the slot.
// They stand apart because few lookups come to the second one: those that find
// nothing in blocks.
//
// A slot of an IPv6 root may name a page instead of a block: a root of its own, for
// the next 14 bits. The public addresses share so few first bits that a root of 12
// needs a page or two for each registry, and reaches as far as one of 26.
const (
	recordRoot  = 0
	recordSlot  = 2
	recordWords = 8

	// pageRef, in the place of a width, marks the reference of a page.
	pageRef  = 3 << widthAt
	pageBits = 14
	// pageRoutes is how many routes a slot has that gets a page of 128 KiB.
	pageRoutes = 4096
)

// A rootStep is a size of root, and for how many routes. It pays for itself when
// its 8 bytes a slot are few beside the routes' own, and spares two or three levels
// of blocks.
type rootStep struct {
	reach    uint // how many bits of address lead to a slot
	min, max int  // routes: fewer make the root smaller, more make it larger
}

// Roots by family. One that reaches further than direct bits has pages.
var rootSteps = [2][3]rootStep{
	{{reach: 0, min: 0, max: 512}, {reach: 12, min: 256, max: 64 << 10}, {reach: 18, min: 16 << 10, max: 1 << 62}},
	{{reach: 0, min: 0, max: 512}, {reach: 12, min: 256, max: 32 << 10}, {reach: 12 + pageBits, min: 8 << 10, max: 1 << 62}},
}

// root is the writer's view of one family of a table, or of a page of it.
type root struct {
	word   uint32 // of the record's root word
	inner  uint32 // of the record's slot word
	slots  uint32 // of the root in use
	depth  uint   // bits of address before it: 0, for a page 12
	bits   uint   // that select a slot
	family uint8
	steps  *[3]rootStep
	count  int // routes, the default one included
	pause  int // transactions to go before the next attempt to change the root
	// array holds the prefixes of up to bits bits by ART's index: a leading
	// one, then the prefix. So array[1] is the default route.
	array []uint32

	reach   uint             // bits that lead to a slot, of a page if there is one
	dense   uint32           // how many routes a slot has that gets a page
	below   []uint32         // routes by slot, in blocks and pages; of a root with pages
	crowded bool             // a slot should have a page
	pages   map[uint32]*root // by slot
	outer   *root            // of a page: what it is a page of,
	slot    uint32           // and there
}

func (r *root) referencePlace(slot uint32) place { return placeOf(r.slots, int(slot), wide) }
func (r *root) nextHopPlace(slot uint32) place   { return placeOf(r.slots, 1<<r.bits+int(slot), wide) }

// The same of the root of 0 bits that stands in the record.
func (r *root) innerReference() place { return placeOf(r.inner, 0, wide) }
func (r *root) innerNextHop() place   { return placeOf(r.inner, 1, wide) }

// slotOf returns the slot that an address falls into.
func (r *root) slotOf(hi uint64) uint32 { return uint32(hi << r.depth >> 1 >> (63 - r.bits)) }

// packed returns the record's root word.
func (r *root) packed() uint64 { return uint64(r.slots)<<32 | pageBits<<8 | uint64(r.bits) }

// reference returns what names a page.
func (r *root) reference() uint32 { return r.slots<<anchorAt | pageRef }

// apply makes changes, sorted and unique, in the journal of w. It may reorder
// the slice's memory.
func (r *root) apply(w *writer, ch []change) error {
	w.a.family = r.family
	for ahead := 0; len(ch) > 0; {
		if ahead <= 0 && len(ch) > 1 {
			ahead = w.touch(r, ch)
		}
		c := ch[0]
		if uint(c.length) <= r.depth+r.bits {
			r.set(w, c)
			ch = ch[1:]
			ahead--
			continue
		}
		slot := r.slotOf(c.hi)
		n := 1
		for n < len(ch) && r.slotOf(ch[n].hi) == slot {
			n++
		}
		before := w.added - w.removed
		if err := r.applyBelow(w, slot, ch[:n]); err != nil {
			return err
		}
		if more := w.added - w.removed - before; more != 0 && r.below != nil {
			w.direct = append(w.direct, direct{r.below, slot, r.below[slot]})
			r.below[slot] += uint32(more)
			r.crowded = r.crowded || r.below[slot] >= r.dense && r.pages[slot] == nil
		}
		ch = ch[n:]
		ahead -= n
	}
	return nil
}

// applyBelow makes those of one slot.
func (r *root) applyBelow(w *writer, slot uint32, ch []change) error {
	if p := r.pages[slot]; p != nil {
		return p.apply(w, ch)
	}
	at := r.referencePlace(slot)
	old := w.a.load(at)
	fresh, err := w.apply(old, 0, r.depth+r.bits, ch, 0)
	if err != nil {
		return err
	}
	if fresh != old {
		w.store(at, fresh)
	}
	return nil
}

// set changes a prefix of up to bits bits, and the slots whose longest it is.
func (r *root) set(w *writer, c change) {
	length := uint(c.length) - r.depth
	index := uint32(1)<<length | uint32(c.hi<<r.depth>>1>>(63-length))
	old := r.array[index]
	if old == c.nh {
		return
	}
	switch {
	case old == 0:
		w.added++
	case c.nh == 0:
		w.removed++
	}
	w.direct = append(w.direct, direct{r.array, index, old})
	r.array[index] = c.nh
	if index == 1 {
		// Not spread: a default route would own most of 262,144 slots.
		w.store(r.innerNextHop(), c.nh)
		return
	}
	value := c.nh
	if value == 0 {
		if _, value = r.match(index >> 1); value == 0 {
			value = r.covering()
		}
	}
	r.spread(w, index, value)
}

// covering returns the next hop of the longest prefix before a page that covers
// it, but not the default route's.
func (r *root) covering() uint32 {
	if r.outer == nil {
		return 0
	}
	_, nh := r.outer.match(1<<r.outer.bits | r.slot)
	return nh
}

// match returns the longest prefix in the root, but not the default route,
// that covers the one at index.
func (r *root) match(index uint32) (uint32, uint32) {
	for ; index > 1; index >>= 1 {
		if nh := r.array[index]; nh != 0 {
			return index, nh
		}
	}
	return 0, 0
}

// spread gives value to the slots below index that no longer prefix covers.
func (r *root) spread(w *writer, index, value uint32) {
	if index>>r.bits != 0 {
		w.store(r.nextHopPlace(index-1<<r.bits), value)
		if p := r.pages[index-1<<r.bits]; p != nil {
			p.spread(w, 1, value)
		}
		return
	}
	for _, below := range [2]uint32{2 * index, 2*index + 1} {
		if r.array[below] == 0 {
			r.spread(w, below, value)
		}
	}
}

// step returns the reach of the root that n routes should have.
func (r *root) step(n int) uint {
	i := 0
	for r.steps[i].reach != r.reach {
		i++
	}
	for n > r.steps[i].max {
		i++
	}
	for n < r.steps[i].min {
		i--
	}
	return r.steps[i].reach
}

// retryRebuild is how many transactions pass after a rebuild that did not fit.
const retryRebuild = 10000

// fit gives the family the root that n routes should have. When the arena has
// no room for it the present one stays, which is correct, only slower.
func (r *root) fit(w *writer, n int) {
	if r.pause > 0 {
		r.pause--
		return
	}
	var err error
	if reach := r.step(n); reach != r.reach {
		err = r.rebuild(w, reach)
	} else if r.crowded {
		err = r.open(w)
	}
	if err != nil {
		r.pause = retryRebuild
	}
}

// rebuild moves the family to a root of another reach. Readers go on with the
// old one, which stays whole until the new one is published by one store. On
// ErrFull nothing has changed.
func (r *root) rebuild(w *writer, reach uint) error {
	a := w.a
	routes := make([]change, 0, r.count)
	r.walk(a, 0, func(c change) bool {
		routes = append(routes, c)
		return true
	})
	b := reach
	fresh := *r
	fresh.below, fresh.pages = nil, nil
	if reach > 18 {
		b -= pageBits
		fresh.below, fresh.pages = make([]uint32, 1<<b), make(map[uint32]*root)
	}
	fresh.slots, fresh.bits, fresh.reach, fresh.array = r.inner, b, reach, make([]uint32, 2<<b)
	fresh.array[1] = r.array[1] // it stands in the record already
	if len(routes) > 0 && routes[0].length == 0 {
		routes = routes[1:]
	}
	var err error
	if b > 0 {
		if fresh.slots, err = fresh.alloc(a); err != nil {
			return err
		}
		err = fresh.apply(w, routes)
	} else {
		// The slot may hold the reference of an earlier root of 0 bits. That is
		// not zeroed, ever: a reader may have come by the record before it
		// changed, and finds either tree here, but not none.
		w.a.family = r.family
		var top uint32
		if top, err = w.apply(0, 0, 0, routes, 0); err == nil {
			w.store(r.innerReference(), top)
		}
	}
	if err != nil {
		w.abort()
		if b > 0 {
			a.giveBack(extent{fresh.slots, 1 << b})
		}
		return err
	}
	r.bury(w)
	w.publish()
	atomic.StoreUint64(&a.mem[r.word], fresh.packed())
	w.retire()
	*r = fresh
	return r.open(w)
}

// alloc returns the words of the root's slots, which are zero.
func (r *root) alloc(a *Arena) (uint32, error) {
	at := a.alloc(kindOther, 1<<r.bits)
	if at == 0 {
		return 0, a.full()
	}
	clear(a.mem[at : at+1<<r.bits])
	return at, nil
}

// open gives pages to the slots that have so many routes.
func (r *root) open(w *writer) error {
	for slot, n := range r.below {
		if n >= r.dense && r.pages[uint32(slot)] == nil {
			if err := r.page(w, uint32(slot)); err != nil {
				return err
			}
		}
	}
	r.crowded = false
	return nil
}

// page moves what is in the blocks of a slot to a page, which one store publishes.
// On ErrFull nothing has changed.
func (r *root) page(w *writer, slot uint32) error {
	a := w.a
	p := &root{family: r.family, depth: r.bits, bits: pageBits, array: make([]uint32, 2<<pageBits), outer: r, slot: slot}
	var err error
	if p.slots, err = p.alloc(a); err != nil {
		return err
	}
	p.spread(w, 1, p.covering())
	var routes []change
	old := a.load(r.referencePlace(slot))
	a.walk(old, change{hi: uint64(slot) << (64 - r.bits)}, r.bits, func(c change) bool {
		routes = append(routes, c)
		return true
	})
	if err := p.apply(w, routes); err != nil {
		w.abort()
		a.giveBack(extent{p.slots, 1 << pageBits})
		return err
	}
	w.bury(old)
	// Last: until then readers take the old blocks.
	w.store(r.referencePlace(slot), p.reference())
	w.commit()
	r.pages[slot] = p
	return nil
}

// bury notes that all that the family has in the arena will be unlinked.
func (r *root) bury(w *writer) {
	for slot := range uint32(1) << r.bits {
		if p := r.pages[slot]; p != nil {
			p.bury(w)
			continue
		}
		w.bury(w.a.load(r.referencePlace(slot)))
	}
	if r.bits > 0 {
		w.roots = append(w.roots, extent{r.slots, 1 << r.bits})
	}
}
