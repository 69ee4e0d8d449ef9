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
	// that is cheaper than a branch that nobody can predict.
	for live != 0 {
		live = 0
		for i := range lanes {
			r, k := ref[i], key[i]
			h := r >> 1
			if r&flagSkip != 0 {
				skip := mem[h+atSkip]
				n := skip & skipLen
				if (k^skip)>>((64-n)&63) != 0 {
					ref[i] = 0
					continue
				}
				k <<= n & 63
			}
			bit := k >> (64 - stride)
			key[i] = k << stride
			mask := uint64(2)<<(bit&63) - 1
			kids := mem[h+atChildBits]
			leaf := uint32(bits.OnesCount64(mem[h+atLeafBits] & mask))
			nh := uint32(atomic.LoadUint64(&mem[h-leaf>>1]) >> (leaf & 1 * 32))
			if nh != 0 {
				out[i] = nh
			}
			kid := uint32(bits.OnesCount64(kids & mask))
			next := uint32(atomic.LoadUint64(&mem[h+atChildren+r&flagSkip+kid>>1]) >> (kid & 1 * 32))
			next &= -uint32(kids >> (bit & 63) & 1)
			ref[i] = next
			live |= next
		}
	}
}

// Lookup6Batch is Lookup4Batch for IPv6: each address is two host-order
// integers, the upper half first.
func (t *Table) Lookup6Batch(dst [][2]uint64, out []uint32) {
	out = out[:len(dst)]
	for len(dst) >= lanes {
		t.lanes6((*[lanes][2]uint64)(dst), (*[lanes]uint32)(out))
		dst, out = dst[lanes:], out[lanes:]
	}
	for i := range dst {
		out[i] = t.Lookup6(dst[i][0], dst[i][1])
	}
}

func (t *Table) lanes6(dst *[lanes][2]uint64, out *[lanes]uint32) {
	mem, rec := t.mem, t.rec
	root := atomic.LoadUint64(&mem[rec+recordRoot+1])
	fallback := uint32(atomic.LoadUint64(&mem[rec+recordSlot+1]))
	shift := (63 - root) & 63
	var ref [lanes]uint32
	var key [lanes][2]uint64
	var live uint32
	for i := range lanes {
		hi, lo := dst[i][0], dst[i][1]
		slot := atomic.LoadUint64(&mem[root>>32+hi>>1>>shift])
		nh := uint32(slot)
		if nh == 0 {
			nh = fallback
		}
		out[i], ref[i] = nh, uint32(slot>>32)
		key[i] = [2]uint64{hi<<(root&63) | lo>>1>>shift, lo << (root & 63)}
		live |= ref[i]
	}
	for live != 0 {
		live = 0
		for i := range lanes {
			r, hi, lo := ref[i], key[i][0], key[i][1]
			h := r >> 1
			if r&flagSkip != 0 {
				skip := mem[h+atSkip]
				n := skip & skipLen
				if (hi^skip)>>((64-n)&63) != 0 {
					ref[i] = 0
					continue
				}
				hi, lo = hi<<(n&63)|lo>>((64-n)&63), lo<<(n&63)
			}
			bit := hi >> (64 - stride)
			key[i] = [2]uint64{hi<<stride | lo>>(64-stride), lo << stride}
			mask := uint64(2)<<(bit&63) - 1
			kids := mem[h+atChildBits]
			leaf := uint32(bits.OnesCount64(mem[h+atLeafBits] & mask))
			nh := uint32(atomic.LoadUint64(&mem[h-leaf>>1]) >> (leaf & 1 * 32))
			if nh != 0 {
				out[i] = nh
			}
			kid := uint32(bits.OnesCount64(kids & mask))
			next := uint32(atomic.LoadUint64(&mem[h+atChildren+r&flagSkip+kid>>1]) >> (kid & 1 * 32))
			next &= -uint32(kids >> (bit & 63) & 1)
			ref[i] = next
			live |= next
		}
	}
}
