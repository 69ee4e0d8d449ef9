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
	slot := key >> 1 >> ((63 - root) & 63)
	if nh := descend4(mem, mem.half(root>>31&^1+slot), key<<(root&63)); nh != 0 {
		return nh
	}
	return rootNextHop(mem, root, slot, rec+recordSlot)
}

// rootNextHop is the next hop of an address for which the blocks have none:
// that of the slot of its root, or the default route's, which stands in the
// record.
func rootNextHop(mem words, root, slot, inner uint64) uint32 {
	if nh := mem.half(root>>31&^1 + 1<<(root&63) + slot); nh != 0 {
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
	slot, n := hi>>1>>((63-root)&63), root&63
	if nh := descend6(mem, mem.half(root>>31&^1+slot), hi<<n|lo>>1>>(63-n), lo<<n); nh != 0 {
		return nh
	}
	return rootNextHop(mem, root, slot, rec+recordSlot+1)
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
