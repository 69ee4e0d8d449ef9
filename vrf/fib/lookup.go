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
	slot := mem.load(root>>32 + key>>1>>((63-root)&63))
	best := uint32(slot)
	if best == 0 {
		best = uint32(mem.load(rec + recordSlot))
	}
	return descend4(mem, slot>>32, key<<(root&63), best)
}

// descend4 goes on with a lookup from the block of a reference on: key is the
// address left-aligned, less the bits before that block, and best what was found
// there.
func descend4(mem words, ref, key uint64, best uint32) uint32 {
	for ref != 0 {
		h := ref >> 1
		if ref&flagSkip != 0 {
			skip := mem.at(h + atSkip)
			n := skip & skipLen
			if (key^skip)>>((64-n)&63) != 0 {
				break
			}
			key <<= n & 63
		}
		bit := key >> (64 - stride)
		key <<= stride
		mask := uint64(2)<<(bit&63) - 1
		kids := mem.at(h + atChildBits)
		leaf := uint64(bits.OnesCount64(mem.at(h+atLeafBits) & mask))
		nh := uint32(mem.load(h-leaf>>1) >> (leaf & 1 * 32))
		if nh != 0 {
			best = nh
		}
		if kids>>(bit&63)&1 == 0 {
			break
		}
		kid := uint64(bits.OnesCount64(kids & mask))
		ref = mem.load(h+atChildren+ref&flagSkip+kid>>1) >> (kid & 1 * 32) & 0xffffffff
	}
	return best
}

// Lookup6 is Lookup4 for an IPv6 address, as two host-order integers.
func (t *Table) Lookup6(hi, lo uint64) uint32 {
	mem, rec := wordsOf(t.mem), uint64(t.rec)
	root := mem.load(rec + recordRoot + 1)
	slot := mem.load(root>>32 + hi>>1>>((63-root)&63))
	best := uint32(slot)
	if best == 0 {
		best = uint32(mem.load(rec + recordSlot + 1))
	}
	n := root & 63
	return descend6(mem, slot>>32, hi<<n|lo>>1>>(63-n), lo<<n, best)
}

// descend6 is descend4 for IPv6.
func descend6(mem words, ref, hi, lo uint64, best uint32) uint32 {
	for ref != 0 {
		h := ref >> 1
		if ref&flagSkip != 0 {
			skip := mem.at(h + atSkip)
			n := skip & skipLen
			if (hi^skip)>>((64-n)&63) != 0 {
				break
			}
			hi = hi<<(n&63) | lo>>((64-n)&63)
			lo <<= n & 63
		}
		bit := hi >> (64 - stride)
		hi = hi<<stride | lo>>(64-stride)
		lo <<= stride
		mask := uint64(2)<<(bit&63) - 1
		kids := mem.at(h + atChildBits)
		leaf := uint64(bits.OnesCount64(mem.at(h+atLeafBits) & mask))
		nh := uint32(mem.load(h-leaf>>1) >> (leaf & 1 * 32))
		if nh != 0 {
			best = nh
		}
		if kids>>(bit&63)&1 == 0 {
			break
		}
		kid := uint64(bits.OnesCount64(kids & mask))
		ref = mem.load(h+atChildren+ref&flagSkip+kid>>1) >> (kid & 1 * 32) & 0xffffffff
	}
	return best
}
