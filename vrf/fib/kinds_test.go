package fib

import (
	"math/rand/v2"
	"testing"

	"router/vrf/fib/fibtest"
)

// TestFamiliesHavePagesOfTheirOwn: however routes of both families come and go, few
// pages of memory have blocks of both.
func TestFamiliesHavePagesOfTheirOwn(t *testing.T) {
	a, table := newTable(t, 8<<20)
	rnd := rand.New(rand.NewPCG(17, 18))
	for i := range 60_000 {
		p := fibtest.RandomPrefix(rnd, i%2 == 0)
		if err := table.Insert(p, 1+rnd.Uint32()>>1); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if _, err := table.Delete(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	var pages [2]map[uint32]bool
	for f := range table.family {
		pages[f] = make(map[uint32]bool)
		r := &table.family[f]
		for slot := range uint32(1) << r.bits {
			if r.pages[slot] == nil {
				a.eachBlock(a.load(r.referencePlace(slot)), func(ref uint32) { pages[f][anchor(ref)/pageWords] = true })
			}
		}
	}
	both := 0
	for page := range pages[0] {
		if pages[1][page] {
			both++
		}
	}
	t.Logf("%d pages of IPv4, %d of IPv6, %d of both", len(pages[0]), len(pages[1]), both)
	if least := min(len(pages[0]), len(pages[1])); least < 20 || both > least/10 {
		t.Errorf("%d pages of IPv4, %d of IPv6, %d of both", len(pages[0]), len(pages[1]), both)
	}
}

// eachBlock calls yield for a block and all below it.
func (a *Arena) eachBlock(ref uint32, yield func(ref uint32)) {
	if ref == 0 {
		return
	}
	yield(ref)
	var n node
	a.read(ref, &n)
	for _, kid := range n.kid[:n.nkids] {
		a.eachBlock(kid, yield)
	}
}
