package filter

import (
	"math/bits"

	"router/intf"
)

// An interval is where a vector begins to apply.
type interval struct {
	start  point
	vector uint32
}

// width is how many bits the values of a field have.
func (f field) width(fam intf.Family) uint {
	//exhaustive:ignore numValues is no field
	switch f {
	case fieldProtocol, fieldTCPFlags, fieldFragment, fieldDSCP, fieldTTL, fieldOptions, fieldLossPriority, fieldForwardingClass:
		return 8
	case fieldSrcPort, fieldDstPort, fieldICMP, fieldLength, fieldEtherType, fieldVLAN, fieldInnerVLAN, fieldMark:
		return 16
	case fieldInterface, fieldGroup:
		return 32
	case fieldSrcMAC, fieldDstMAC:
		return 48
	case fieldSrc, fieldDst, fieldSrcHi, fieldDstHi:
	}
	if fam == intf.Inet {
		return 32
	}
	return 128
}

// intervals lists where the column's vectors apply, from the lowest value on.
func (c *column) intervals(fam intf.Family) []interval {
	var out []interval
	width := c.field.width(fam)
	add := func(at point, vector uint32) {
		if width < 64 && at.lo>>width != 0 {
			return // behind the last value
		}
		if n := len(out); n == 0 || out[n-1].vector != vector {
			out = append(out, interval{at, vector})
		}
	}
	if c.field < numSmall {
		for v := range uint64(1) << width {
			add(number(v), c.pages[c.base[v>>8&0xff]+uint32(v&0xff)])
		}
		return out
	}
	for _, s := range c.index.narrow {
		add(number(uint64(s.at)), s.vector)
	}
	for _, s := range c.index.wide {
		if c.field == fieldSrcMAC || c.field == fieldDstMAC {
			s.at = number(s.at.hi)
		}
		add(s.at, s.vector)
	}
	return out
}

// Strides of a trie. One place in fill of a table holds more than one vector, and a table has
// freeStride bits in any case, freeRoot at the top. A step costs a load and perhaps a branch that was
// not foreseen; half as many of them are worth twice the memory.
const (
	freeRoot   = 10
	freeStride = 8
	maxRoot    = 15
	maxStride  = 13
	fill       = 32
	// minSkip is from how many bits in common on they are compared instead of branched by.
	minSkip = 9
)

// trie makes the trie for the keys from at on that agree with it in the first depth
// bits, and returns its entry. The first of intervals starts at or before at, the
// others within. Keys stand at the left end of a point.
func (f *flat) trie(intervals []interval, at point, depth uint, steps int) uint32 {
	for len(intervals) > 1 && !at.less(intervals[1].start) {
		intervals = intervals[1:]
	}
	if len(intervals) == 1 {
		return intervals[0].vector
	}
	if steps == maxTrieSteps {
		f.err = errFlat
	}
	if f.err != nil {
		return 0
	}
	first, last := intervals[1].start, intervals[len(intervals)-1].start
	same := min(commonBits(first, last), f.width)
	if first == last {
		same = f.width - trailingZeros(first, f.width)
	}
	if same >= depth+minSkip {
		n := min(same-depth, 63)
		record := f.alloc(flatRecord)
		from := clearFrom(first, depth+n)
		next := f.trie(intervals, from, depth+n, steps+1)
		if f.err != nil {
			return 0
		}
		f.w[record] = from.slice(depth, n)
		f.w[record+1] = uint64(intervals[0].vector) | uint64(intervals[len(intervals)-1].vector)<<32
		f.w[record+2] = uint64(next) | uint64(n)<<32
		return flatSkip | uint32(record)
	}
	s := f.stride(intervals[1:], depth)
	table := 2 * f.alloc((1<<s+1)/2)
	if f.err != nil {
		return 0
	}
	from := 0
	for slot := range uint64(1) << s {
		start := at.with(slot, depth, s)
		for from+1 < len(intervals) && !start.less(intervals[from+1].start) {
			from++
		}
		to := from + 1
		end := at.with(slot+1, depth, s) // 0 behind the last one
		for to < len(intervals) && (slot+1 == 1<<s || intervals[to].start.less(end)) {
			to++
		}
		entry := f.trie(intervals[from:to], start, depth+s, steps+1)
		f.put32(table+int(slot), entry)
	}
	return flatStride | uint32(s)<<flatStrideShift | uint32(table)
}

// stride chooses by how many bits to branch at depth.
func (f *flat) stride(starts []interval, depth uint) uint {
	free, most := uint(freeStride), uint(maxStride)
	if depth == 0 {
		free, most = freeRoot, maxRoot
	}
	rest := f.width - depth
	for s := min(most, rest); s > min(free, rest); s-- {
		full := 0
		last := ^uint64(0)
		for _, in := range starts {
			if slot := in.start.slice(depth, s); slot != last {
				full++
				last = slot
			}
		}
		if fill*full >= 1<<s {
			return s
		}
	}
	return min(free, rest)
}

// commonBits is how many bits from the left p and q have in common.
func commonBits(p, q point) uint {
	if d := p.hi ^ q.hi; d != 0 {
		return uint(bits.LeadingZeros64(d))
	}
	return 64 + uint(bits.LeadingZeros64(p.lo^q.lo))
}

// trailingZeros is how many of the first width bits of p are zero at their right end.
func trailingZeros(p point, width uint) uint {
	n := uint(bits.TrailingZeros64(p.lo))
	if p.lo == 0 {
		n = 64 + uint(bits.TrailingZeros64(p.hi))
	}
	return n - (128 - width)
}

// clearFrom is p without the bits from place n on.
func clearFrom(p point, n uint) point {
	if n <= 64 {
		return point{p.hi &^ (^uint64(0) >> n), 0}
	}
	return point{p.hi, p.lo &^ (^uint64(0) >> (n - 64))}
}

// slice is n bits of p, at most 63, from place from on.
func (p point) slice(from, n uint) uint64 {
	if from >= 64 {
		return p.lo << (from - 64) >> (64 - n)
	}
	// A shift by 64 leaves nothing.
	return (p.hi<<from | p.lo>>(64-from)) >> (64 - n)
}

// with is p with v added at the n bits from place from on.
func (p point) with(v uint64, from, n uint) point {
	switch end := from + n; {
	case end <= 64:
		p.hi += v << (64 - end)
	case from >= 64:
		p.lo += v << (128 - end)
	default:
		p.hi += v >> (end - 64)
		p.lo += v << (128 - end)
	}
	return p
}
