package fib

import "sync/atomic"

// A record is what a table is to those who read the arena: eight words at an
// offset that never changes while the table is open. Index f is 0 for IPv4, 1
// for IPv6.
//
//	0, 1   root of family f: the offset of its slots in the upper half, in the
//	       lower one how many bits of address select one: 0, 12 or 18
//	2, 3   a root of 0 bits. Its next hop is that of the default route, whatever
//	       root is in use
//	4 - 7  zero
//
// A root is two arrays of 32-bit values: the references of blocks, and after them
// the next hops, of the longest prefix that ends in the root; both by the slot.
// They stand apart because few lookups come to the second one: those that find
// nothing in blocks.
const (
	recordRoot  = 0
	recordSlot  = 2
	recordWords = 8
)

// Roots by size. A root pays for itself when its 8 bytes a slot are few beside
// the routes' own, and spares two or three levels of blocks.
var rootSteps = [...]struct {
	bits     uint
	min, max int // routes: fewer make the root smaller, more make it larger
}{
	{bits: 0, min: 0, max: 512},
	{bits: 12, min: 256, max: 64 << 10},
	{bits: 18, min: 16 << 10, max: 1 << 62},
}

// root is the writer's view of one family of a table.
type root struct {
	word  uint32 // of the record's root word
	inner uint32 // of the record's slot word
	slots uint32 // of the root in use
	bits  uint   // that select one
	count int    // routes, the default one included
	pause int    // transactions to go before the next attempt to change bits
	// array holds the prefixes of up to bits bits by ART's index: a leading
	// one, then the prefix. So array[1] is the default route.
	array []uint32
}

func (r *root) referencePlace(slot uint32) place { return placeOf(r.slots, int(slot), wide) }
func (r *root) nextHopPlace(slot uint32) place   { return placeOf(r.slots, 1<<r.bits+int(slot), wide) }

// The same of the root of 0 bits that stands in the record.
func (r *root) innerReference() place { return placeOf(r.inner, 0, wide) }
func (r *root) innerNextHop() place   { return placeOf(r.inner, 1, wide) }

// slotOf returns the slot that an address falls into.
func (r *root) slotOf(hi uint64) uint32 { return uint32(hi >> 1 >> (63 - r.bits)) }

// packed returns the record's root word.
func (r *root) packed() uint64 { return uint64(r.slots)<<32 | uint64(r.bits) }

// apply makes changes, sorted and unique, in the journal of w. It may reorder
// the slice's memory.
func (r *root) apply(w *writer, ch []change) error {
	for len(ch) > 0 {
		c := ch[0]
		if uint(c.length) <= r.bits {
			r.set(w, c)
			ch = ch[1:]
			continue
		}
		slot := r.slotOf(c.hi)
		n := 1
		for n < len(ch) && r.slotOf(ch[n].hi) == slot {
			n++
		}
		at := r.referencePlace(slot)
		old := w.a.load(at)
		fresh, err := w.apply(old, 0, r.bits, ch[:n], 0)
		if err != nil {
			return err
		}
		if fresh != old {
			w.store(at, fresh)
		}
		ch = ch[n:]
	}
	return nil
}

// set changes a prefix of up to bits bits, and the slots whose longest it is.
func (r *root) set(w *writer, c change) {
	index := uint32(1)<<c.length | uint32(c.hi>>1>>(63-c.length))
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
		_, value = r.match(index >> 1)
	}
	r.spread(w, index, value)
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
		return
	}
	for _, below := range [2]uint32{2 * index, 2*index + 1} {
		if r.array[below] == 0 {
			r.spread(w, below, value)
		}
	}
}

// step returns the bits of the root that n routes should have.
func (r *root) step(n int) uint {
	i := 0
	for rootSteps[i].bits != r.bits {
		i++
	}
	for n > rootSteps[i].max {
		i++
	}
	for n < rootSteps[i].min {
		i--
	}
	return rootSteps[i].bits
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
	if b := r.step(n); b != r.bits {
		if err := r.rebuild(w, b); err != nil {
			r.pause = retryRebuild
		}
	}
}

// rebuild moves the family to a root that takes b bits. Readers go on with the
// old one, which stays whole until the new one is published by one store. On
// ErrFull nothing has changed.
func (r *root) rebuild(w *writer, b uint) error {
	a := w.a
	routes := make([]change, 0, r.count)
	r.walk(a, func(c change) bool {
		routes = append(routes, c)
		return true
	})
	fresh := root{word: r.word, inner: r.inner, slots: r.inner, bits: b, count: r.count, array: make([]uint32, 2<<b)}
	fresh.array[1] = r.array[1] // it stands in the record already
	if len(routes) > 0 && routes[0].length == 0 {
		routes = routes[1:]
	}
	var err error
	if b > 0 {
		if fresh.slots = a.alloc(1 << b); fresh.slots == 0 {
			return a.full()
		}
		clear(a.mem[fresh.slots : fresh.slots+1<<b])
		err = fresh.apply(w, routes)
	} else {
		// The slot may hold the reference of an earlier root of 0 bits. That is
		// not zeroed, ever: a reader may have come by the record before it
		// changed, and finds either tree here, but not none.
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
	return nil
}

// bury notes that all that the family has in the arena will be unlinked.
func (r *root) bury(w *writer) {
	for slot := range uint32(1) << r.bits {
		w.bury(w.a.load(r.referencePlace(slot)))
	}
	if r.bits > 0 {
		w.roots = append(w.roots, extent{r.slots, 1 << r.bits})
	}
}
