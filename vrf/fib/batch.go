package fib

// lanes is how many lookups of a batch run side by side: enough to have as
// many cache misses under way as a core can, few enough to stay in registers
// and the nearest cache.
const lanes = 16

// Lookup4Batch looks up each address of dst, as Lookup4 does, and stores the
// results in out, which is at least as long. Lookups of one batch go through the
// root and the first block together, so that their cache misses overlap; that is
// where nearly all of them end in a large table.
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
	mem, rec := wordsOf(t.mem), uint64(t.rec)
	root := mem.load(rec + recordRoot)
	start, shift := root>>31&^1, (63-root)&63
	var ref [lanes]uint64
	for i, addr := range dst {
		ref[i] = mem.half(start + uint64(addr)<<31>>shift)
	}
	for i, addr := range dst {
		r, key := ref[i], uint64(addr)<<32<<(root&63)
		var nh uint32
		if r&(flagSkip|flagKids) == 0 {
			bit := key >> (64 - stride)
			nh = leaf(mem, r, 2<<(bit&63)-2)
		} else {
			nh = descend4(mem, r, key)
		}
		if nh == 0 {
			nh = rootNextHop(mem, start+uint64(addr)<<31>>shift+1<<(root&63), rec+recordSlot)
		}
		out[i] = nh
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

// lanes6 takes the root's cache misses together, and those of the first blocks. The
// way goes on one after the other: a real IPv6 table takes two to five blocks an
// address, and lanes that wait for the deepest one were measured slower than what
// the processor overlaps by itself.
func (t *Table) lanes6(dst *[lanes][2]uint64, out *[lanes]uint32) {
	mem, rec := wordsOf(t.mem), uint64(t.rec)
	root := mem.load(rec + recordRoot + 1)
	start, shift, n := root>>31&^1, (63-root)&63, root&63
	var ref, touched [lanes]uint64
	for i := range dst {
		ref[i] = mem.half(start + dst[i][0]>>1>>shift)
	}
	for i := range dst {
		// Of a page this is a slot, which may change.
		touched[i] = mem.load(ref[i] >> anchorAt)
		if r := ref[i]; r&pageRef == pageRef {
			slot, _ := page(r, dst[i][0], n)
			touched[i] = mem.half(slot)
		}
	}
	for i := range dst {
		hi, lo := dst[i][0], dst[i][1]
		slot, next, n, r := start+hi>>1>>shift, uint64(1)<<n, n, ref[i]
		if r&pageRef == pageRef {
			slot, next = page(r, hi, n)
			r, n = touched[i], n+pageBits
		}
		var nh uint32
		// What has neither leaves nor children is the block of the reference 0; the
		// comparison is there so that the loads above are.
		if r != 0 || touched[i] != 0 {
			nh = descend6(mem, r, hi<<(n&63)|lo>>1>>((63-n)&63), lo<<(n&63))
		}
		if nh == 0 {
			nh = rootNextHop(mem, slot+next, rec+recordSlot+1)
		}
		out[i] = nh
	}
}
