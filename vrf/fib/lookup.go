package fib

import (
	"math/bits"
	"sync/atomic"
)

// Lookup4 returns the next hop of the longest prefix that matches an IPv4
// address, a host-order integer; 0 when there is none. It takes no lock and may
// run while the table changes; the caller is a reader of the arena's
// epoch.Domain, between two of its quiescent points.
func (t *Table) Lookup4(addr uint32) uint32 {
	mem, rec := t.mem, t.rec
	key := uint64(addr) << 32
	root := atomic.LoadUint64(&mem[rec+recordRoot])
	slot := atomic.LoadUint64(&mem[root>>32+key>>1>>((63-root)&63)])
	best := uint32(slot)
	if best == 0 {
		best = uint32(atomic.LoadUint64(&mem[rec+recordSlot]))
	}
	key <<= root & 63
	for ref := uint32(slot >> 32); ref != 0; {
		h := ref >> 1
		if ref&flagSkip != 0 {
			skip := mem[h+atSkip]
			n := skip & skipLen
			if (key^skip)>>((64-n)&63) != 0 {
				break
			}
			key <<= n & 63
		}
		bit := key >> (64 - stride)
		key <<= stride
		mask := uint64(2)<<(bit&63) - 1
		kids := mem[h+atChildBits]
		leaf := uint32(bits.OnesCount64(mem[h+atLeafBits] & mask))
		nh := uint32(atomic.LoadUint64(&mem[h-leaf>>1]) >> (leaf & 1 * 32))
		if nh != 0 {
			best = nh
		}
		if kids>>(bit&63)&1 == 0 {
			break
		}
		kid := uint32(bits.OnesCount64(kids & mask))
		ref = uint32(atomic.LoadUint64(&mem[h+atChildren+ref&flagSkip+kid>>1]) >> (kid & 1 * 32))
	}
	return best
}

// Lookup6 is Lookup4 for an IPv6 address, as two host-order integers.
func (t *Table) Lookup6(hi, lo uint64) uint32 {
	mem, rec := t.mem, t.rec
	root := atomic.LoadUint64(&mem[rec+recordRoot+1])
	slot := atomic.LoadUint64(&mem[root>>32+hi>>1>>((63-root)&63)])
	best := uint32(slot)
	if best == 0 {
		best = uint32(atomic.LoadUint64(&mem[rec+recordSlot+1]))
	}
	if n := root & 63; n != 0 {
		hi = hi<<n | lo>>((64-n)&63)
		lo <<= n
	}
	for ref := uint32(slot >> 32); ref != 0; {
		h := ref >> 1
		if ref&flagSkip != 0 {
			skip := mem[h+atSkip]
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
		kids := mem[h+atChildBits]
		leaf := uint32(bits.OnesCount64(mem[h+atLeafBits] & mask))
		nh := uint32(atomic.LoadUint64(&mem[h-leaf>>1]) >> (leaf & 1 * 32))
		if nh != 0 {
			best = nh
		}
		if kids>>(bit&63)&1 == 0 {
			break
		}
		kid := uint32(bits.OnesCount64(kids & mask))
		ref = uint32(atomic.LoadUint64(&mem[h+atChildren+ref&flagSkip+kid>>1]) >> (kid & 1 * 32))
	}
	return best
}
