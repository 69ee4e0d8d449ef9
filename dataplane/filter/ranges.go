package filter

import "math/bits"

// ranges maps values to the vector that applies to them: of the sorted starts the
// last that is not above the value. Addresses are spread unevenly, so a table by
// the bits that tell the starts apart narrows the search first.
type ranges struct {
	lo   []uint64 // starts, or their lower halves
	hi   []uint64 // upper halves; nil where all are 0
	refs []uint32

	floor uint64   // values of the indexed half below it have the first ref
	shift uint8    // to the bucket number of what is above floor
	first []uint32 // by bucket: the last start at or below its lowest value
}

// maxBuckets bounds the table of one column: 256 KiB.
const maxBuckets = 1 << 16

// newRanges takes sorted starts, of which the first is 0.
func newRanges(starts []point, refs []uint32) ranges {
	r := ranges{refs: refs, lo: make([]uint64, len(starts))}
	for i, p := range starts {
		r.lo[i] = p.lo
		if p.hi != 0 && r.hi == nil {
			r.hi = make([]uint64, len(starts))
		}
	}
	for i := range r.hi {
		r.hi[i] = starts[i].hi
	}
	key := r.key()
	if len(key) < 8 {
		return r
	}
	r.floor = key[1]
	top := key[len(key)-1] - r.floor
	buckets := min(maxBuckets, 1<<bits.Len(uint(2*len(key))))
	r.shift = uint8(max(0, bits.Len64(top)-bits.Len(uint(buckets-1))))
	r.first = make([]uint32, top>>r.shift+2)
	at := 0
	for b := range r.first {
		low := r.floor + uint64(b)<<r.shift
		if uint64(b) > top>>r.shift {
			r.first[b] = uint32(len(key) - 1)
			break
		}
		for at+1 < len(key) && key[at+1] < low {
			at++
		}
		r.first[b] = uint32(at)
	}
	return r
}

// key is the half that the table goes by.
func (r *ranges) key() []uint64 {
	if r.hi != nil {
		return r.hi
	}
	return r.lo
}

// find returns the ref that applies to a value.
func (r *ranges) find(hi, lo uint64) uint32 {
	from, n := 0, len(r.refs)
	if r.hi == nil && hi != 0 {
		return r.refs[n-1]
	}
	if r.first != nil {
		v := lo
		if r.hi != nil {
			v = hi
		}
		if v >= r.floor {
			b := (v - r.floor) >> r.shift
			if b >= uint64(len(r.first)-1) {
				b = uint64(len(r.first) - 2)
			}
			from = int(r.first[b])
			n = int(r.first[b+1]) + 1 - from
			if b == uint64(len(r.first)-2) {
				n = len(r.refs) - from
			}
		} else {
			n = 1
			if r.hi != nil {
				n = len(r.refs)
			}
		}
	}
	if r.hi == nil {
		for n > 1 {
			half := n >> 1
			if r.lo[from+half] <= lo {
				from += half
			}
			n -= half
		}
		return r.refs[from]
	}
	for n > 1 {
		half := n >> 1
		if h := r.hi[from+half]; h < hi || h == hi && r.lo[from+half] <= lo {
			from += half
		}
		n -= half
	}
	return r.refs[from]
}
