package fib

import "math/bits"

// Lookup4 returns the next hop of the longest prefix that matches an IPv4
// address, a host-order integer; 0 when there is none. It takes no lock and may
// run while the table changes; the caller is a reader of the arena's
// epoch.Domain, between two of its quiescent points.
func (t *Table) Lookup4(addr uint32) uint32 {
	mem, rec := wordsOf(t.mem), uint64(t.rec)
	key := uint64(addr) << 32
	root := mem.load(rec + recordRoot)
	slot := root>>31&^1 + key>>1>>((63-root)&63)
	if nh := descend4(mem, mem.half(slot), key<<(root&63)); nh != 0 {
		return nh
	}
	return rootNextHop(mem, slot+1<<(root&63), rec+recordSlot)
}

// rootNextHop is the next hop of an address for which the blocks have none:
// that of the slot of its root, at an offset that counts 32-bit values, or the
// default route's, which stands in the record.
func rootNextHop(mem words, at, inner uint64) uint32 {
	if nh := mem.half(at); nh != 0 {
		return uint32(nh)
	}
	return uint32(mem.half(2*inner + 1))
}

// leaf returns the next hop that a block has for the slots whose bit after(slot)
// is given.
func leaf(mem words, ref, after uint64) uint32 {
	h, width := ref>>anchorAt, ref>>widthAt&widthMask
	at := uint64(bits.OnesCount64(mem.at(h)&after)) << width
	return uint32(mem.load(h+1+at>>3) >> (at & 7 * 8) & (1<<(8<<width&63) - 1))
}

// descend4 goes on with a lookup from the block of a reference on: key is the
// address left-aligned, less the bits before that block.
func descend4(mem words, ref, key uint64) (best uint32) {
	for {
		if ref&flagSkip != 0 {
			skip := mem.at(ref>>anchorAt - 1)
			n := skip & skipLen
			if (key^skip)>>((64-n)&63) != 0 {
				return best
			}
			key <<= n & 63
		}
		bit := key >> (64 - stride) & 63
		key <<= stride
		if nh := leaf(mem, ref, 2<<bit-2); nh != 0 {
			best = nh
		}
		if ref&flagKids == 0 {
			return best
		}
		c := ref>>anchorAt - 1 - ref&flagSkip
		kids := mem.at(c)
		if kids>>bit&1 == 0 {
			return best
		}
		ref = mem.half(2*c - uint64(bits.OnesCount64(kids&(2<<bit-1))))
	}
}

// Lookup6 is Lookup4 for an IPv6 address, as two host-order integers.
func (t *Table) Lookup6(hi, lo uint64) uint32 {
	mem, rec := wordsOf(t.mem), uint64(t.rec)
	root := mem.load(rec + recordRoot + 1)
	n := root & 63
	slot, next := root>>31&^1+hi>>1>>((63-root)&63), uint64(1)<<n
	ref := mem.half(slot)
	if ref&pageRef == pageRef {
		slot, next = page(ref, hi, n)
		ref, n = mem.half(slot), n+pageBits
	}
	if nh := descend6(mem, ref, hi<<(n&63)|lo>>1>>((63-n)&63), lo<<(n&63)); nh != 0 {
		return nh
	}
	return rootNextHop(mem, slot+next, rec+recordSlot+1)
}

// page returns where the slot of an address is in the page of a reference, after n
// bits of root, and how far from there its next hop.
func page(ref, hi, n uint64) (slot, next uint64) {
	return ref>>anchorAt<<1 + hi<<(n&63)>>(64-pageBits), 1 << pageBits
}

// descend6 is descend4 for IPv6.
func descend6(mem words, ref, hi, lo uint64) (best uint32) {
	for {
		if ref&flagSkip != 0 {
			skip := mem.at(ref>>anchorAt - 1)
			n := skip & skipLen
			if (hi^skip)>>((64-n)&63) != 0 {
				return best
			}
			hi = hi<<(n&63) | lo>>((64-n)&63)
			lo <<= n & 63
		}
		bit := hi >> (64 - stride) & 63
		hi = hi<<stride | lo>>(64-stride)
		lo <<= stride
		if nh := leaf(mem, ref, 2<<bit-2); nh != 0 {
			best = nh
		}
		if ref&flagKids == 0 {
			return best
		}
		c := ref>>anchorAt - 1 - ref&flagSkip
		kids := mem.at(c)
		if kids>>bit&1 == 0 {
			return best
		}
		ref = mem.half(2*c - uint64(bits.OnesCount64(kids&(2<<bit-1))))
	}
}
