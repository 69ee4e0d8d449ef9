package fib

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestUniqueSortsAndKeepsTheLast compares with a stable sort, of addresses that differ
// in what a key has, in what it lacks, and not at all.
func TestUniqueSortsAndKeepsTheLast(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	var s sorter
	for _, n := range []int{0, 1, 2, 15, 300, 5000} {
		for _, bits := range []uint64{1, 7, 0xff, 0xffffffff} {
			ch := make([]change, n)
			for i := range ch {
				c := change{nh: uint32(i), length: uint8(rnd.IntN(3))}
				switch rnd.IntN(3) {
				case 0:
					c.hi = rnd.Uint64() & bits << 32
				case 1:
					c.hi = rnd.Uint64() & bits
				case 2:
					c.lo = rnd.Uint64() & bits
				}
				ch[i] = c
			}
			var want []change
			for _, c := range ch {
				want = slices.DeleteFunc(want, func(d change) bool { return d.compare(c) == 0 })
				want = append(want, c)
			}
			slices.SortFunc(want, change.compare)
			if got := s.unique(ch); !slices.Equal(got, want) {
				t.Fatalf("%d changes of bits %#x: got %v, want %v", n, bits, got, want)
			}
		}
	}
}
