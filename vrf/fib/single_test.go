package fib

import (
	"net/netip"
	"testing"
)

// TestFlapsStayInTheirBlock: routes that come and go again leave the block where readers know it,
// and the runs of leaves that nobody needs are bounded by how many prefixes there are.
func TestFlapsStayInTheirBlock(t *testing.T) {
	a, table := newTable(t, 1<<16)
	const routes = 32
	nth := func(i int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(2 * i), 0}), 24) }
	insert := func(i int) {
		t.Helper()
		if err := table.Insert(nth(i), uint32(1+i)); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(i int) {
		t.Helper()
		if ok, err := table.Delete(nth(i)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	found := func(i int, want uint32) {
		t.Helper()
		if got := table.Lookup4(uint32(split(nth(i).Addr()).hi >> 32)); got != want {
			t.Errorf("%v leads to %d, want %d", nth(i), got, want)
		}
	}
	whole := func() {
		t.Helper()
		if err := check(a, table); err != nil {
			t.Fatal(err)
		}
	}
	block := func() uint32 { return a.load(table.family[0].innerReference()) }

	for i := range routes {
		insert(i)
	}
	first := block()
	for i := range routes {
		remove(i)
		found(i, 0)
		whole()
		insert(i)
		found(i, uint32(1+i))
		whole()
	}
	if now := block(); now != first {
		t.Errorf("the block %d has become %d", first, now)
	}
	for left := routes - 1; left > 0; left-- {
		remove(left)
		found(left, 0)
		found(left-1, uint32(left))
		whole()
		if n := a.leaves(block()); n > spareLeaves*(left+1) {
			t.Errorf("%d leaves for %d prefixes", n, left)
		}
	}
}
