package filter

import "math/bits"

// ranges maps values to the vector that applies to them: that of the last start
// that is not above the value. Values are spread unevenly, so a table by the bits
// that tell the starts apart narrows the search first.
//
// A start and its vector stand together: in a large filter each is a cache miss.
type ranges struct {
	narrow []narrowStart // of numbers and IPv4 addresses
	wide   []wideStart   // of what has more than 32 bits

	floor uint64   // values below it have the first start
	shift uint8    // of what is above floor, to the number of a bucket
	first []uint32 // by bucket: the last start below its values; one more at the end
}

type narrowStart struct{ at, vector uint32 }

type wideStart struct {
	at     point
	vector uint32
}

// maxBuckets bounds the table of one column: 256 KiB.
const maxBuckets = 1 << 16

// newRanges takes sorted starts, of which the first is 0, and their vectors.
func newRanges(f field, starts []point, vectors []uint32) ranges {
	var r ranges
	keys := make([]uint64, len(starts)) // what the table goes by
	if last := starts[len(starts)-1]; f != fieldSrcMAC && f != fieldDstMAC && last.hi == 0 && last.lo>>32 == 0 {
		r.narrow = make([]narrowStart, len(starts))
		for i, p := range starts {
			r.narrow[i] = narrowStart{uint32(p.lo), vectors[i]}
			keys[i] = p.lo
		}
	} else {
		r.wide = make([]wideStart, len(starts))
		for i, p := range starts {
			if f == fieldSrcMAC || f == fieldDstMAC {
				p = point{hi: p.lo}
			}
			r.wide[i] = wideStart{p, vectors[i]}
			keys[i] = p.hi
		}
	}
	if len(keys) > 1 {
		r.makeTable(keys)
	}
	return r
}

func (r *ranges) makeTable(keys []uint64) {
	r.floor = keys[1]
	top := keys[len(keys)-1] - r.floor
	buckets := min(maxBuckets, 1<<bits.Len(uint(2*len(keys))))
	r.shift = uint8(max(0, bits.Len64(top)-bits.Len(uint(buckets-1))))
	last := top >> r.shift
	r.first = make([]uint32, last+2)
	at := 0
	for b := range last + 1 {
		low := r.floor + b<<r.shift
		for at+1 < len(keys) && keys[at+1] < low {
			at++
		}
		r.first[b] = uint32(at)
	}
	r.first[last+1] = uint32(len(keys) - 1)
}

// window is which starts may apply to a value: n of them from from on.
func (r *ranges) window(v uint64) (from, n uint32) {
	if v < r.floor || r.first == nil {
		return 0, 1
	}
	b := min((v-r.floor)>>r.shift, uint64(len(r.first)-2))
	from = r.first[b]
	return from, r.first[b+1] + 1 - from
}

// find returns the vector that applies to a value; hi is 0 but for IPv6 addresses.
func (r *ranges) find(hi, lo uint64) uint32 {
	if r.narrow != nil {
		if hi != 0 || lo>>32 != 0 {
			return r.narrow[len(r.narrow)-1].vector
		}
		v := uint32(lo)
		from, n := r.window(lo)
		for n > 1 {
			half := n >> 1
			if r.narrow[from+half].at <= v {
				from += half
			}
			n -= half
		}
		return r.narrow[from].vector
	}
	from, n := r.window(hi)
	for n > 1 {
		half := n >> 1
		if s := &r.wide[from+half].at; s.hi < hi || s.hi == hi && s.lo <= lo {
			from += half
		}
		n -= half
	}
	return r.wide[from].vector
}
