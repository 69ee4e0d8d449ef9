package fib

import (
	"math/bits"
	"sync/atomic"
)

// lanes is how many lookups of a batch run side by side: enough to have as
// many cache misses under way as a core can, few enough to stay in registers
// and the nearest cache.
const lanes = 16

// Lookup4Batch looks up each address of dst, as Lookup4 does, and stores the
// results in out, which is at least as long. Lookups of one batch go down the
// trie together, so that their cache misses overlap.
func (t *Table) Lookup4Batch(dst, out []uint32) {
	out = out[:len(dst)]
	for len(dst) >= lanes {
		t.lanes4((*[lanes]uint32)(dst), (*[lanes]uint32)(out))
		dst, out = dst[lanes:], out[lanes:]
	}
	for i, addr := range dst {
		out[i] = t.Lookup4(addr)
	}
}

func (t *Table) lanes4(dst, out *[lanes]uint32) {
	mem, rec := t.mem, t.rec
	root := atomic.LoadUint64(&mem[rec+recordRoot])
	fallback := uint32(atomic.LoadUint64(&mem[rec+recordSlot]))
	shift := (63 - root) & 63
	var ref [lanes]uint32
	var key [lanes]uint64
	var live uint32
	for i := range lanes {
		k := uint64(dst[i]) << 32
		slot := atomic.LoadUint64(&mem[root>>32+k>>1>>shift])
		nh := uint32(slot)
		if nh == 0 {
			nh = fallback
		}
		out[i], ref[i], key[i] = nh, uint32(slot>>32), k<<(root&63)
		live |= ref[i]
	}
	// Lanes that have ended go on at the reference 0, whose block is empty:
	// nearly all end at the same level.
	for live != 0 {
		live = 0
		for i := range lanes {
			r, k, best := ref[i], key[i], out[i]
			h := r >> 1
			if r&flagSkip != 0 { // hardly ever for IPv4
				skip := mem[h+atSkip]
				n := skip & skipLen
				if (k^skip)>>1>>(63-n) != 0 {
					ref[i] = 0
					continue
				}
				k <<= n
			}
			bit := k >> (64 - stride)
			key[i] = k << stride
			mask := uint64(2)<<(bit&63) - 1
			kids := mem[h+atChildBits]
			leaf := uint32(bits.OnesCount64(mem[h+atLeafBits] & mask))
			nh := uint32(atomic.LoadUint64(&mem[h-leaf>>1]) >> (leaf & 1 * 32))
			if nh != 0 {
				best = nh
			}
			out[i] = best
			if kids>>(bit&63)&1 == 0 {
				ref[i] = 0
				continue
			}
			kid := uint32(bits.OnesCount64(kids & mask))
			next := uint32(atomic.LoadUint64(&mem[h+atChildren+r&flagSkip+kid>>1]) >> (kid & 1 * 32))
			ref[i] = next
			live |= next
		}
	}
}

// Lookup6Batch is Lookup4Batch for IPv6: each address is two host-order
// integers, the upper half first.
func (t *Table) Lookup6Batch(dst [][2]uint64, out []uint32) {
	// One after the other: a real IPv6 table takes two to five blocks an
	// address, and lanes that wait for the deepest one were measured slower
	// than what the processor overlaps by itself.
	out = out[:len(dst)]
	for i := range dst {
		out[i] = t.Lookup6(dst[i][0], dst[i][1])
	}
}
