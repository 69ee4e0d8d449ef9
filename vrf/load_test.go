package vrf

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
	"router/vrf/fib/fibtest"
)

// A countingSink counts what it is told.
type countingSink struct{ sets, deletes int }

func (c *countingSink) SetNextHop(routing.NextHopID, routing.NextHop, routing.NextHopID) { c.sets++ }
func (c *countingSink) SetChoice(routing.NextHopID, []routing.Branch)                    { c.sets++ }
func (c *countingSink) SetGroup(routing.NextHopID, []routing.NextHopID)                  { c.sets++ }
func (c *countingSink) SetSources(routing.NextHopID, routing.Sources)                    { c.sets++ }
func (c *countingSink) DeleteNextHop(routing.NextHopID)                                  { c.deletes++ }

func bigManager(tb testing.TB, sink routing.Sink) (*Manager, *fib.Arena) {
	tb.Helper()
	arena, err := fib.NewHeapArena(64<<20, epoch.New())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := New(Config{Arena: arena, Sink: sink})
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range intf.Families {
		if err := m.SetFamily(1, f, Default, true); err != nil {
			tb.Fatal(err)
		}
	}
	for _, p := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		if err := m.AddAddress(1, intf.AddressSpec{Prefix: netip.MustParsePrefix(p)}); err != nil {
			tb.Fatal(err)
		}
	}
	return m, arena
}

// feed gives each prefix one of n gateways on the subnets of bigManager.
func feed(prefixes []netip.Prefix, n int) iter.Seq[UserRoute] {
	gw4, gw6 := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
	var four, six []netip.Addr
	for range n {
		four, six = append(four, gw4), append(six, gw6)
		gw4, gw6 = gw4.Next(), gw6.Next()
	}
	return func(yield func(UserRoute) bool) {
		for i, p := range prefixes {
			gw := four[i%n]
			if p.Addr().Is6() {
				gw = six[i%n]
			}
			if !yield(UserRoute{Prefix: p, NextHop: routing.NextHop{Kind: routing.Indirect, Gateway: gw}}) {
				return
			}
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLoadFullTable loads 1.06 million real prefixes over 100 gateways into
// an empty router, FIB included.
func BenchmarkLoadFullTable(b *testing.B) {
	prefixes := fibtest.Prefixes(b)
	for b.Loop() {
		b.StopTimer()
		m, arena := bigManager(b, &countingSink{})
		before := heap()
		b.StartTimer()
		if err := m.Load(Default, routing.Feed, feed(prefixes, 100)); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		grown := float64(heap() - before)
		r4, _ := m.Counts(Default, intf.Inet).Total()
		r6, _ := m.Counts(Default, intf.Inet6).Total()
		b.ReportMetric(grown/float64(r4+r6), "B/route")
		b.ReportMetric(grown/1e6, "MB")
		b.ReportMetric(float64(arena.Stats().Used)/1e6, "FIB-MB")
		b.ReportMetric(float64(r4+r6), "routes")
		runtime.KeepAlive(m)
		b.StartTimer()
	}
}

// BenchmarkPathChange moves a gateway that a million routes stand behind from
// one link to another.
func BenchmarkPathChange(b *testing.B) {
	prefixes := fibtest.Prefixes(b)
	m, _ := bigManager(b, &countingSink{})
	if err := m.SetFamily(2, intf.Inet, Default, true); err != nil {
		b.Fatal(err)
	}
	gateway := netip.MustParseAddr("198.51.100.1")
	one := func(yield func(UserRoute) bool) {
		for _, p := range prefixes {
			if p.Addr().Is4() && !yield(UserRoute{Prefix: p, NextHop: routing.NextHop{Kind: routing.Indirect, Gateway: gateway}}) {
				return
			}
		}
	}
	host := netip.MustParsePrefix("198.51.100.1/32")
	step := func(i int) {
		s := StaticRoute{Gateway: netip.MustParseAddr("192.0.2.9")}
		if i%2 == 1 {
			s = StaticRoute{Gateway: netip.MustParseAddr("203.0.113.9"), IfIndex: 2}
		}
		if err := m.SetStatic(Default, host, s); err != nil {
			b.Fatal(err)
		}
	}
	step(0)
	if err := m.Load(Default, routing.Feed, one); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		step(i)
	}
}

// BenchmarkMemberDown lets the link of one of two next hops, which many routes
// have in common, go down and come up again.
func BenchmarkMemberDown(b *testing.B) {
	all := fibtest.Family(fibtest.Prefixes(b), false)
	for _, n := range []int{10, 10000, len(all)} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			sink := &countingSink{}
			m, _ := bigManager(b, sink)
			if err := m.SetFamily(2, intf.Inet, Default, true); err != nil {
				b.Fatal(err)
			}
			group, err := routing.NewGroup(intf.Inet, []routing.Member{
				{NextHop: routing.NextHop{Kind: routing.Forward, IfIndex: 1, Gateway: netip.MustParseAddr("192.0.2.9")}, Weight: 1},
				{NextHop: routing.NextHop{Kind: routing.Forward, IfIndex: 2, Gateway: netip.MustParseAddr("203.0.113.9")}, Weight: 1},
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := m.Load(Default, routing.Feed, func(yield func(UserRoute) bool) {
				for _, p := range all[:n] {
					if !yield(UserRoute{Prefix: p, NextHop: group}) {
						return
					}
				}
			}); err != nil {
				b.Fatal(err)
			}
			sets, up := sink.sets, true
			for b.Loop() {
				up = !up
				if err := m.SetFamily(2, intf.Inet, Default, up); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(sink.sets-sets)/float64(b.N), "stores/op")
		})
	}
}

// BenchmarkChurn deletes and adds single routes of a full table.
func BenchmarkChurn(b *testing.B) {
	prefixes := fibtest.Prefixes(b)
	m, _ := bigManager(b, &countingSink{})
	if err := m.Load(Default, routing.Feed, feed(prefixes, 100)); err != nil {
		b.Fatal(err)
	}
	all := make([]UserRoute, 0, len(prefixes))
	for r := range feed(prefixes, 100) {
		all = append(all, r)
	}
	i := 0
	for b.Loop() {
		r := all[i*7919%len(all)]
		i++
		if err := m.Unload(Default, routing.Feed, func(yield func(netip.Prefix) bool) { yield(r.Prefix) }); err != nil {
			b.Fatal(err)
		}
		if err := m.Load(Default, routing.Feed, func(yield func(UserRoute) bool) { yield(r) }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChurnBatch deletes and adds routes of a full table as many at a time as a
// gRIBI client's operations are carried out. An operation is one route.
func BenchmarkChurnBatch(b *testing.B) {
	const size = 256
	prefixes := fibtest.Prefixes(b)
	m, _ := bigManager(b, &countingSink{})
	all := slices.Collect(feed(prefixes, 100))
	if err := m.Load(Default, routing.Feed, slices.Values(all)); err != nil {
		b.Fatal(err)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	b.ResetTimer()
	for i := 0; i < b.N; i += size {
		batch := all[i%(len(all)-size):][:size]
		if err := m.Unload(Default, routing.Feed, func(yield func(netip.Prefix) bool) {
			for _, r := range batch {
				if !yield(r.Prefix) {
					return
				}
			}
		}); err != nil {
			b.Fatal(err)
		}
		if err := m.Load(Default, routing.Feed, slices.Values(batch)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2e3*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "M-updates/s")
}

// TestPathChangeIsConstant holds the number of calls to the sink when the path
// of an indirect next hop changes, with few routes behind it and with many.
func TestPathChangeIsConstant(t *testing.T) {
	for _, n := range []int{1, 100_000} {
		sink := &countingSink{}
		m, _ := bigManager(t, sink)
		if err := m.SetFamily(2, intf.Inet, Default, true); err != nil {
			t.Fatal(err)
		}
		gateway, host := netip.MustParseAddr("198.51.100.1"), netip.MustParsePrefix("198.51.100.1/32")
		if err := m.SetStatic(Default, host, StaticRoute{Gateway: netip.MustParseAddr("192.0.2.9")}); err != nil {
			t.Fatal(err)
		}
		err := m.Load(Default, routing.Feed, func(yield func(UserRoute) bool) {
			for i := range n {
				p := netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
				if !yield(UserRoute{Prefix: p, NextHop: routing.NextHop{Kind: routing.Indirect, Gateway: gateway}}) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		*sink = countingSink{}
		start := time.Now()
		if err := m.SetStatic(Default, host, StaticRoute{Gateway: netip.MustParseAddr("203.0.113.9"), IfIndex: 2}); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		// The new neighbour and the pivot are set; the old neighbour and the
		// indirect hop that led to it are deleted.
		if sink.sets != 2 || sink.deletes != 2 {
			t.Errorf("%d routes: %d next hops set and %d deleted, want 2 and 2", n, sink.sets, sink.deletes)
		}
		t.Logf("%d routes: %v", n, took)
		id := m.FIB(Default).Lookup4(20 << 24)
		if _, via, ok := m.NextHop(routing.NextHopID(id)); !ok || via.IfIndex != 2 {
			t.Errorf("%d routes: packets go to %v", n, via)
		}
	}
}

// BenchmarkLastPathLost takes down and up the only link of a full table: then
// the routes themselves leave the FIB and come back.
func BenchmarkLastPathLost(b *testing.B) {
	prefixes := fibtest.Prefixes(b)
	m, _ := bigManager(b, &countingSink{})
	if err := m.Load(Default, routing.Feed, feed(prefixes, 100)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, up := range []bool{false, true} {
			for _, f := range intf.Families {
				if err := m.SetFamily(1, f, Default, up); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	if _, active := m.Counts(Default, intf.Inet).Total(); active < 800_000 {
		b.Fatalf("%d routes active", active)
	}
}
