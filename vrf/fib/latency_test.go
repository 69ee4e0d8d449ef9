package fib

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"

	"router/vrf/epoch"
	"router/vrf/fib/fibtest"
)

// ranges are next hops by what a leaf takes for them: an octet, two, four.
var ranges = []struct {
	name string
	n    uint32
}{{"64 next hops", 64}, {"50,000", 50_000}, {"2^31", 1 << 31}}

// realTable is the real table of both families with random next hops out of n.
func realTable(tb testing.TB, n uint32) (*Arena, *Table) {
	tb.Helper()
	all := fibtest.Prefixes(tb)
	a, err := NewHeapArena(64<<20, epoch.New())
	if err != nil {
		tb.Fatal(err)
	}
	table, err := a.NewTable()
	if err != nil {
		tb.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	if err := table.Update(func(x *Txn) error {
		for _, p := range all {
			if err := x.Insert(p, 1+rnd.Uint32N(n)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return a, table
}

// BenchmarkLatency looks random addresses of the real table up, each when the one
// before is known: what a packet waits for, not how many lookups overlap.
func BenchmarkLatency(b *testing.B) {
	for _, r := range ranges {
		_, table := realTable(b, r.n)
		for _, v6 := range []bool{false, true} {
			addrs := fibtest.Addresses(rand.New(rand.NewPCG(7, 8)), fibtest.Family(fibtest.Prefixes(b), v6), drawn)
			keys := make([]change, drawn+1)
			for i, addr := range addrs {
				keys[i] = split(addr)
			}
			b.Run(fmt.Sprintf("v6 %v/%s", v6, r.name), func(b *testing.B) {
				var x uint32
				for i := range b.N {
					k := &keys[i%drawn+int(x&1)]
					if v6 {
						x = table.Lookup6(k.hi, k.lo)
					} else {
						x = table.Lookup4(uint32(k.hi >> 32))
					}
				}
				sink = x
			})
		}
	}
}

// lines returns the cache lines that a lookup reads, but for the table's record:
// each miss of one is a miss that it waits for.
func (t *Table) lines(addr netip.Addr) int {
	read := map[uint32]bool{}
	word := func(w uint32) { read[w/lineWords] = true }
	c := split(addr)
	r := &t.family[family(addr)]
	slot := r.slotOf(c.hi)
	at := r.referencePlace(slot)
	if p := r.pages[slot]; p != nil {
		word(at.word())
		r, slot = p, p.slotOf(c.hi)
		at = r.referencePlace(slot)
	}
	found := false
	for depth := r.depth + r.bits; ; depth += stride {
		word(at.word())
		ref := t.a.load(at)
		if ref == 0 {
			break
		}
		if path, n := t.a.skip(ref); n > 0 {
			word(anchor(ref) - 1)
			if (c.window(depth)^path)>>(64-n) != 0 {
				break
			}
			depth += n
		}
		word(anchor(ref))
		leaf := leafPlace(ref, bits.OnesCount64(t.a.mem[anchor(ref)]&after(c.slot(depth))))
		word(leaf.word())
		found = found || t.a.load(leaf) != 0
		if ref&flagKids == 0 {
			break
		}
		word(kidsAt(ref))
		var ok bool
		if at, ok = t.a.child(ref, c.slot(depth)); !ok {
			break
		}
	}
	if !found {
		word(r.nextHopPlace(slot).word())
	}
	return len(read)
}

// TestLinesOfALookup bounds the cache lines that a lookup in the real table comes
// by, which is what it costs when the table is not at hand.
func TestLinesOfALookup(t *testing.T) {
	if testing.Short() {
		t.Skip("short: loads a million routes")
	}
	for i, most := range [][2]float64{{2.1, 5.8}, {2.3, 5.9}, {2.6, 6.1}} {
		a, table := realTable(t, ranges[i].n)
		s := a.Stats()
		t.Logf("%s: %d KiB in the arena, %d free, %d shadow", ranges[i].name, s.Used>>10, (s.Free+s.Limbo)>>10, s.Shadow>>10)
		if s.Used > 10<<20 {
			t.Errorf("%s: %d octets in the arena", ranges[i].name, s.Used)
		}
		for f, most := range most {
			routes := fibtest.Family(fibtest.Prefixes(t), f == 1)
			const n = 100_000
			sum := 0
			for _, addr := range fibtest.Addresses(rand.New(rand.NewPCG(7, 8)), routes, n) {
				sum += table.lines(addr)
			}
			mean := float64(sum) / n
			t.Logf("%s, IPv6 %v: %.2f lines", ranges[i].name, f == 1, mean)
			if mean > most {
				t.Errorf("%s, IPv6 %v: a lookup reads %.2f lines, more than %.1f", ranges[i].name, f == 1, mean, most)
			}
		}
	}
}
