package fib

import "math/bits"

// walk calls yield for the family's routes in order until it returns false. The
// address of a page's first slot is start.
func (r *root) walk(a *Arena, start uint64, yield func(change) bool) bool {
	if nh := r.array[1]; nh != 0 && !yield(change{nh: nh}) {
		return false
	}
	for s := range uint32(1) << r.bits {
		hi := start | uint64(s)<<1<<(63-r.bits)>>r.depth
		// The prefixes that begin with this slot, the shortest first: those
		// whose remaining bits are zero.
		for length := r.bits - min(r.bits, uint(bits.TrailingZeros32(s))); length <= r.bits; length++ {
			if length == 0 {
				continue
			}
			if nh := r.array[1<<length|s>>(r.bits-length)]; nh != 0 && !yield(change{hi, 0, nh, uint8(r.depth + length)}) {
				return false
			}
		}
		if p := r.pages[s]; p != nil {
			if !p.walk(a, hi, yield) {
				return false
			}
			continue
		}
		if !a.walk(a.load(r.referencePlace(s)), change{hi: hi}, r.depth+r.bits, yield) {
			return false
		}
	}
	return true
}

// walk does so for the block and those below it. The address of c is that of
// the block's first bit, at depth.
func (a *Arena) walk(ref uint32, c change, depth uint, yield func(change) bool) bool {
	if ref == 0 {
		return true
	}
	path, n := a.skip(ref)
	c = c.with(depth, path)
	depth += n
	var set prefixSet
	a.shadow.get(a.shadow.of(ref), &set)
	for slot := range uint(64) {
		at := c.with(depth, uint64(slot)<<(64-stride))
		first := stride - min(stride-1, uint(bits.TrailingZeros(slot)))
		for length := first; set.n > 0 && length <= stride; length++ {
			if nh := set.get(prefixIndex(slot, length)); nh != 0 {
				at.nh, at.length = nh, uint8(depth+length)
				if !yield(at) {
					return false
				}
			}
		}
		if place, ok := a.child(ref, slot); ok && !a.walk(a.load(place), at, depth+stride, yield) {
			return false
		}
	}
	return true
}

// find returns the longest match for an address and how long it is, among
// prefixes of at most limit bits.
func (r *root) find(a *Arena, addr change, limit uint) (length uint, nh uint32, ok bool) {
	if nh = r.array[1]; nh != 0 {
		ok = true
	}
	top := min(limit, r.bits)
	if index, v := r.match(uint32(1)<<top | uint32(addr.hi>>1>>(63-top))); v != 0 {
		length, nh, ok = uint(bits.Len32(index))-1, v, true
	}
	if p := r.pages[r.slotOf(addr.hi)]; p != nil {
		if limit <= p.depth {
			return length, nh, ok
		}
		top := min(limit-p.depth, p.bits)
		if index, v := p.match(uint32(1)<<top | uint32(addr.hi<<p.depth>>1>>(63-top))); v != 0 {
			length, nh, ok = p.depth+uint(bits.Len32(index))-1, v, true
		}
		r = p
	}
	depth := r.depth + r.bits
	for ref := a.load(r.referencePlace(r.slotOf(addr.hi))); ref != 0 && depth < limit; {
		path, n := a.skip(ref)
		if n > 0 && (addr.window(depth)^path)>>(64-n) != 0 {
			break
		}
		depth += n
		if depth >= limit {
			break
		}
		var set prefixSet
		a.shadow.get(a.shadow.of(ref), &set)
		slot := addr.slot(depth)
		index := uint(64) | slot
		if limit < depth+stride {
			index >>= depth + stride - limit
		}
		for ; index > 1; index >>= 1 {
			if v := set.get(index); v != 0 {
				length, nh, ok = depth+uint(bits.Len(index))-1, v, true
				break
			}
		}
		depth += stride
		at, below := a.child(ref, slot)
		if !below {
			break
		}
		ref = a.load(at)
	}
	return length, nh, ok
}
