package fib

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gaissmai/bart"

	"router/vrf/epoch"
	"router/vrf/fib/fibtest"
)

func newTable(tb testing.TB, size int) (*Arena, *Table) {
	tb.Helper()
	a, err := NewHeapArena(size, epoch.New())
	if err != nil {
		tb.Fatal(err)
	}
	t, err := a.NewTable()
	if err != nil {
		tb.Fatal(err)
	}
	return a, t
}

// naive is the table that nobody can get wrong.
type naive map[netip.Prefix]uint32

func (n naive) lookup(addr netip.Addr) (best netip.Prefix, nh uint32, ok bool) {
	for p, v := range n {
		if p.Contains(addr) && (!ok || p.Bits() > best.Bits()) {
			best, nh, ok = p, v, true
		}
	}
	return best, nh, ok
}

// compare holds the table against the naive one: all routes, and the
// addresses at and around the ends of each prefix.
func compare(t *testing.T, table *Table, want naive, addrs []netip.Addr) {
	t.Helper()
	got := naive{}
	last := netip.Prefix{}
	table.Walk(func(p netip.Prefix, nh uint32) bool {
		if last.IsValid() && order(last, p) >= 0 {
			t.Errorf("walk: %s comes after %s", p, last)
		}
		last = p
		got[p] = nh
		return true
	})
	if !maps.Equal(got, want) {
		t.Fatalf("table has %v, want %v", got, want)
	}
	for p, nh := range want {
		if v := table.Get(p); v != nh {
			t.Fatalf("get %s: %d, want %d", p, v, nh)
		}
	}
	batches(t, table, addrs)
	for _, addr := range addrs {
		p, nh, ok := want.lookup(addr)
		if v := table.lookup(addr); v != nh {
			t.Fatalf("lookup %s: %d, want %d of %s", addr, v, nh, p)
		}
		if q, v, found := table.LookupPrefix(addr); q != p || v != nh || found != ok {
			t.Fatalf("lookup %s: %s %d %v, want %s %d %v", addr, q, v, found, p, nh, ok)
		}
	}
}

func order(p, q netip.Prefix) int {
	if c := p.Addr().Compare(q.Addr()); c != 0 {
		return c
	}
	return p.Bits() - q.Bits()
}

// edges returns the first and the last address of p and their neighbours.
func edges(p netip.Prefix) []netip.Addr {
	first := p.Addr()
	b := first.AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(b)
	out := []netip.Addr{first, last}
	if a := first.Prev(); a.IsValid() {
		out = append(out, a)
	}
	if a := last.Next(); a.IsValid() {
		out = append(out, a)
	}
	return out
}

func TestLookupPicksTheLongestMatch(t *testing.T) {
	routes := naive{
		netip.MustParsePrefix("0.0.0.0/0"):          1,
		netip.MustParsePrefix("0.0.0.0/32"):         2,
		netip.MustParsePrefix("10.0.0.0/8"):         3,
		netip.MustParsePrefix("10.1.0.0/16"):        4,
		netip.MustParsePrefix("10.1.2.0/24"):        5,
		netip.MustParsePrefix("10.1.2.3/32"):        6,
		netip.MustParsePrefix("224.0.0.0/4"):        7,
		netip.MustParsePrefix("224.0.0.1/32"):       8,
		netip.MustParsePrefix("255.255.255.255/32"): 9,
		netip.MustParsePrefix("::/0"):               10,
		netip.MustParsePrefix("ff00::/8"):           11,
		netip.MustParsePrefix("fe80::/10"):          12,
		netip.MustParsePrefix("2001:db8::/32"):      13,
		netip.MustParsePrefix("2001:db8::/64"):      14,
		netip.MustParsePrefix("2001:db8::1/128"):    15,
		netip.MustParsePrefix("2001:db8::2/127"):    16,
		netip.MustParsePrefix("ff02::1:ff00:0/104"): 17,
		netip.MustParsePrefix("ff02::1/128"):        18,
	}
	tests := []struct {
		addr string
		want uint32
	}{
		{"0.0.0.0", 2}, {"0.0.0.1", 1}, {"9.255.255.255", 1}, {"10.0.0.0", 3},
		{"10.1.0.0", 4}, {"10.1.2.2", 5}, {"10.1.2.3", 6}, {"10.1.3.0", 4}, {"10.2.0.0", 3},
		{"224.0.0.1", 8}, {"224.0.0.2", 7}, {"240.0.0.0", 1}, {"255.255.255.255", 9},
		{"::", 10}, {"2001:db8::", 14}, {"2001:db8::1", 15}, {"2001:db8::2", 16}, {"2001:db8::3", 16},
		{"2001:db8::4", 14}, {"2001:db8:0:1::", 13}, {"2001:db9::", 10}, {"fe80::1", 12}, {"ff02::1", 18},
		{"ff02::2", 11}, {"ff02::1:ff12:3456", 17}, {"ffff::", 11},
	}
	a, table := newTable(t, 1<<16)
	empty := a.Stats().Used
	var addrs []netip.Addr
	for p, nh := range routes {
		if err := table.Insert(p, nh); err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, edges(p)...)
	}
	for _, tt := range tests {
		if got := table.lookup(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("lookup %s: %d, want %d", tt.addr, got, tt.want)
		}
	}
	compare(t, table, routes, addrs)
	t.Logf("%d routes use %d bytes", len(routes), a.Stats().Used-empty)
	for p := range routes {
		if ok, err := table.Delete(p); !ok || err != nil {
			t.Fatalf("delete %s: %v, %v", p, ok, err)
		}
		if ok, err := table.Delete(p); ok || err != nil {
			t.Fatalf("delete %s again: %v, %v", p, ok, err)
		}
		if err := check(a, table); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.Stats().Used; got != empty {
		t.Errorf("the empty table uses %d bytes, at first %d", got, empty)
	}
}

func TestInsertRefuses(t *testing.T) {
	_, table := newTable(t, 1<<16)
	p := netip.MustParsePrefix("192.0.2.0/24")
	tests := []struct {
		name   string
		prefix netip.Prefix
		nh     uint32
	}{
		{"the next hop that means none", p, 0},
		{"the zero prefix", netip.Prefix{}, 1},
		{"a prefix that is too long", netip.PrefixFrom(p.Addr(), 33), 1},
	}
	for _, tt := range tests {
		if err := table.Insert(tt.prefix, tt.nh); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
		if err := table.Update(func(x *Txn) error { return x.Insert(tt.prefix, tt.nh) }); err == nil {
			t.Errorf("%s: no error in a transaction", tt.name)
		}
	}
	if err := table.Insert(netip.PrefixFrom(netip.MustParseAddr("192.0.2.77"), 24), 5); err != nil {
		t.Fatal(err)
	}
	if got := table.Get(p); got != 5 {
		t.Errorf("a prefix with host bits is not stored masked: %d", got)
	}
}

// TestRandomChanges applies single changes and transactions to a table and to
// a naive one, with roots of every size.
func TestRandomChanges(t *testing.T) {
	for _, tt := range []struct {
		reach [2]uint // of the families' roots
		seeds uint64
		every int // steps from check to check, which looks at every slot
	}{{[2]uint{0, 0}, 4, 1}, {[2]uint{12, 12}, 2, 10}, {[2]uint{18, 26}, 1, 150}} {
		bits := tt.reach[0]
		for seed := range tt.seeds {
			rnd := rand.New(rand.NewPCG(seed, uint64(bits)))
			a, table := newTable(t, 16<<20)
			rebuild := func() {
				for f := range table.family {
					table.family[f].dense = 3
					if err := table.family[f].rebuild(&a.w, tt.reach[f]); err != nil {
						t.Fatal(err)
					}
					table.family[f].pause = 1 << 30
				}
			}
			rebuild()
			want := naive{}
			var known []netip.Prefix
			ids := [...]uint32{0, 1, 2, 3, 255, 256, 65535, 65536, 1<<32 - 1} // 0 deletes
			one := func() (netip.Prefix, uint32) {
				if len(known) > 0 && rnd.IntN(2) == 0 {
					p := known[rnd.IntN(len(known))]
					return p, ids[rnd.IntN(4+rnd.IntN(6))]
				}
				p := fibtest.RandomPrefix(rnd, rnd.IntN(2) == 0)
				known = append(known, p)
				return p, ids[1+rnd.IntN(3+rnd.IntN(6))]
			}
			for step := range 300 {
				if step == 80 { // and with pages for what is there now
					rebuild()
				}
				if rnd.IntN(3) > 0 {
					p, nh := one()
					if nh == 0 {
						ok, err := table.Delete(p)
						if _, there := want[p]; ok != there || err != nil {
							t.Fatalf("delete %s: %v, %v", p, ok, err)
						}
						delete(want, p)
					} else {
						if err := table.Insert(p, nh); err != nil {
							t.Fatal(err)
						}
						want[p] = nh
					}
				} else if err := table.Update(func(x *Txn) error {
					for range rnd.IntN(60) {
						p, nh := one()
						if nh == 0 {
							delete(want, p)
							if err := x.Delete(p); err != nil {
								return err
							}
							continue
						}
						want[p] = nh
						if err := x.Insert(p, nh); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if step%tt.every == tt.every-1 {
					if err := check(a, table); err != nil {
						t.Fatalf("root of %d bits, seed %d, step %d: %v", bits, seed, step, err)
					}
				}
				if step%150 == 149 {
					var addrs []netip.Addr
					for range 200 {
						addrs = append(addrs, edges(known[rnd.IntN(len(known))])...)
					}
					compare(t, table, want, addrs)
				}
			}
			if n := len(table.family[1].pages); (n > 0) != (tt.reach[1] == 26) {
				t.Errorf("a root that reaches %d bits has %d pages", tt.reach[1], n)
			}
			table.Close()
			a.Reclaim()
			if err := check(a); err != nil {
				t.Fatal(err)
			}
			if s := a.Stats(); s.Used != 8*reservedWords || s.Limbo != 0 {
				t.Fatalf("after close: %+v", s)
			}
		}
	}
}

func TestUpdateOfAFailedCallbackChangesNothing(t *testing.T) {
	a, table := newTable(t, 1<<16)
	stop := errors.New("stop")
	err := table.Update(func(x *Txn) error {
		return errors.Join(x.Insert(netip.MustParsePrefix("10.0.0.0/8"), 1), stop)
	})
	if !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	compare(t, table, naive{}, nil)
	if err := check(a, table); err != nil {
		t.Fatal(err)
	}
}

func TestSetAllIsAllOrNothing(t *testing.T) {
	_, table := newTable(t, 1<<16)
	p, q, r := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::/32")
	if err := table.SetAll([]netip.Prefix{q, p, r, q}, []uint32{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if err := table.SetAll([]netip.Prefix{p, {}, q}, []uint32{7, 8, 9}); err == nil {
		t.Fatal("a prefix that is not valid was taken")
	}
	compare(t, table, naive{p: 2, q: 4, r: 3}, edges(q))
	if err := table.SetAll([]netip.Prefix{r, p}, []uint32{5, 0}); err != nil {
		t.Fatal(err)
	}
	compare(t, table, naive{q: 4, r: 5}, edges(p))
}

func TestFullArenaLeavesTheTableUnchanged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	a, table := newTable(t, 8<<10)
	want := naive{}
	full := 0
	for range 3000 {
		p := fibtest.RandomPrefix(rnd, rnd.IntN(2) == 0)
		var err error
		var undo func()
		if _, there := want[p]; there && rnd.IntN(2) == 0 {
			nh := want[p]
			delete(want, p)
			undo = func() { want[p] = nh }
			_, err = table.Delete(p)
		} else if rnd.IntN(2) == 0 {
			before := maps.Clone(want)
			undo = func() { want = before }
			err = table.Update(func(x *Txn) error {
				for range 10 {
					p := fibtest.RandomPrefix(rnd, false)
					want[p] = 9
					if err := x.Insert(p, 9); err != nil {
						return err
					}
				}
				return nil
			})
		} else {
			nh, there := want[p]
			want[p] = 7
			undo = func() {
				if want[p] = nh; !there {
					delete(want, p)
				}
			}
			err = table.Insert(p, 7)
		}
		if err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			undo()
			full++
			compare(t, table, want, nil)
		}
		if err := check(a, table); err != nil {
			t.Fatal(err)
		}
		if full%50 == 49 { // make room, to fill other sizes of blocks
			for p := range want {
				if rnd.IntN(2) == 0 {
					if _, err := table.Delete(p); err == nil {
						delete(want, p)
					}
				}
			}
			full++
		}
	}
	if full < 100 {
		t.Fatalf("the arena was full only %d times", full)
	}
	compare(t, table, want, nil)
}

// TestRealTable loads the Internet, compares it with bart, and takes it away.
func TestRealTable(t *testing.T) {
	if testing.Short() {
		t.Skip("short: loads a million routes")
	}
	all := fibtest.Prefixes(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	a, table := newTable(t, 64<<20)
	var oracle bart.Table[uint32]
	if err := table.Update(func(x *Txn) error {
		for _, p := range all {
			nh := 1 + rnd.Uint32()>>1
			oracle.Insert(p, nh)
			if err := x.Insert(p, nh); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	agree := func(n int) {
		t.Helper()
		for _, addr := range fibtest.Addresses(rnd, all, n) {
			want, _ := oracle.Lookup(addr)
			if got := table.lookup(addr); got != want {
				t.Fatalf("lookup %s: %d, want %d", addr, got, want)
			}
		}
	}
	agree(300000)
	if err := check(a, table); err != nil {
		t.Fatal(err)
	}
	v4, v6 := table.Len()
	s := a.Stats()
	t.Logf("%d + %d routes: %d KiB in the arena, %d KiB shadow; roots that reach %d and %d bits, the second with %d pages", v4, v6, s.Used>>10, s.Shadow>>10, table.family[0].reach, table.family[1].reach, len(table.family[1].pages))
	if s.Used > 30<<20 || s.Used+s.Shadow > 100<<20 {
		t.Errorf("over the budget of 30 MB, 100 MB with the shadow: %+v", s)
	}
	// Every other route goes, one by one.
	shuffled := slices.Clone(all)
	rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, p := range shuffled[:len(all)/2] {
		oracle.Delete(p)
		if ok, err := table.Delete(p); !ok || err != nil {
			t.Fatalf("delete %s: %v, %v", p, ok, err)
		}
	}
	agree(100000)
	if err := check(a, table); err != nil {
		t.Fatal(err)
	}
	for _, p := range shuffled[len(all)/2:] {
		if ok, err := table.Delete(p); !ok || err != nil {
			t.Fatalf("delete %s: %v, %v", p, ok, err)
		}
	}
	a.Reclaim()
	if err := check(a, table); err != nil {
		t.Fatal(err)
	}
	if s := a.Stats(); s.Used != 8*(reservedWords+recordWords) {
		t.Errorf("the empty table uses %d bytes", s.Used)
	}
}
