package fib

import (
	"errors"
	"net/netip"
	"testing"

	"router/vrf/epoch"
)

// TestArenaGrows: tables fill memory that comes step by step, and stay right.
func TestArenaGrows(t *testing.T) {
	var asked []int
	words := make([]uint64, 1<<20)
	refuse := false
	grow := func(n int) error {
		if refuse {
			return errors.New("no more")
		}
		asked = append(asked, n)
		return nil
	}
	a, err := NewGrowingArena(words, 1<<10, grow, epoch.New())
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	prefix := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	const n = 40000
	for i := range n {
		if err := table.Insert(prefix(i*7), uint32(i+1)); err != nil {
			t.Fatalf("after %d routes: %v", i, err)
		}
	}
	for i := range n {
		if nh := table.Get(prefix(i * 7)); nh != uint32(i+1) {
			t.Fatalf("route %d leads to %d", i, nh)
		}
	}
	if err := check(a, table); err != nil {
		t.Error(err)
	}
	if len(asked) < 2 {
		t.Fatalf("the arena has asked for %v: want several steps", asked)
	}
	for i, want := range asked {
		if want&(want-1) != 0 || i > 0 && want <= asked[i-1] {
			t.Errorf("the arena has asked for %v: want growing powers of two", asked)
		}
	}
	for i, w := range words[asked[len(asked)-1]:] {
		if w != 0 {
			t.Fatalf("word %d beyond the last step is used", i)
		}
	}
	// Refused, a change fails as a whole; asked again, it succeeds.
	refuse = true
	var full error
	i := n
	for ; full == nil && i < 200000; i++ {
		full = table.Insert(prefix(i*7), 1)
	}
	if !errors.Is(full, ErrFull) {
		t.Fatalf("%d routes fit a refused arena: %v", i, full)
	}
	refuse = false
	if err := table.Insert(prefix((i-1)*7), 1); err != nil {
		t.Error(err)
	}
	if err := check(a, table); err != nil {
		t.Error(err)
	}
}

// TestSlab: records lie in lines of their own, and come back after the readers.
func TestSlab(t *testing.T) {
	domain := epoch.New()
	a, err := NewHeapArena(1<<18, domain)
	if err != nil {
		t.Fatal(err)
	}
	reader := domain.Reader()
	reader.Quiesce()
	s := a.NewSlab(8)
	seen := map[uint32]bool{}
	for range 100 {
		at, err := s.Get()
		if err != nil {
			t.Fatal(err)
		}
		if at%8 != 0 || seen[at] {
			t.Fatalf("record at %d: want another multiple of 8", at)
		}
		seen[at] = true
	}
	for at := range seen {
		s.Retire(at)
	}
	s.Reclaim()
	free := len(s.free)
	for range free {
		if at, err := s.Get(); err != nil || seen[at] {
			t.Fatalf("record %d is used again while a reader may look at it: %v", at, err)
		}
	}
	reader.Quiesce()
	if at, err := s.Get(); err != nil || !seen[at] {
		t.Errorf("record %d is new, and the readers have passed: %v", at, err)
	}
}

// TestAlloc: what is allocated is zero, and comes back.
func TestAlloc(t *testing.T) {
	a, err := NewHeapArena(1<<16, epoch.New())
	if err != nil {
		t.Fatal(err)
	}
	before := a.Stats().Used
	for _, n := range []int{1, 8, 33, 100, 1000} {
		at, err := a.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			a.Write(at+uint32(i), []uint64{^uint64(0)})
		}
		a.Retire(at, n)
		a.Reclaim()
		again, err := a.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range a.Words()[again : again+uint32(n)] {
			if w != 0 {
				t.Errorf("word %d of %d is %#x", i, n, w)
			}
		}
		a.Retire(again, n)
	}
	a.Reclaim()
	if used := a.Stats().Used; used != before {
		t.Errorf("%d octets are used, %d before", used, before)
	}
	if _, err := a.Alloc(1 << 20); !errors.Is(err, ErrFull) {
		t.Errorf("more than there is: %v", err)
	}
}
