package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"router/dataplane/bpf/lookup"
	"router/vrf/epoch"
	"router/vrf/fib"
	"router/vrf/fib/fibtest"
)

// newLookup makes an empty table that programs can read.
func newLookup(tb testing.TB) (*Fast, *fib.Table) {
	tb.Helper()
	f := newTestFast(tb)
	arena, err := fib.NewGrowingArena(f.Words(), f.First(), f.Grow, epoch.New())
	if err != nil {
		tb.Fatal(err)
	}
	table, err := arena.NewTable()
	if err != nil {
		tb.Fatal(err)
	}
	return f, table
}

// find has the program look each address up, rounds times, and returns what it
// found and the time of a lookup in nanoseconds.
func find(tb testing.TB, f *Fast, table *fib.Table, addrs []netip.Addr, rounds int) (found []uint32, each float64) {
	tb.Helper()
	spec, err := lookup.Spec()
	if err != nil {
		tb.Fatal(err)
	}
	family := uint32(0)
	if addrs[0].Is6() {
		family = 1
	}
	if err := errors.Join(spec.Variables["record"].Set(table.Record()), spec.Variables["family"].Set(family)); err != nil {
		tb.Fatal(err)
	}
	for name := range spec.Variables {
		if name == "tables" || name == "tallies" {
			delete(spec.Variables, name)
		}
	}
	spec.Maps[mapTables] = memorySpec(mapTables, f.size)
	spec.Maps["addresses"].MaxEntries = uint32(len(addrs))
	for _, p := range spec.Programs {
		putMasks(p.Instructions, fastPort{fast: f}.masks())
	}
	all, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{mapTables: f.tables}})
	if err != nil {
		var v *ebpf.VerifierError
		if errors.As(err, &v) {
			tb.Fatalf("%+v", v)
		}
		tb.Fatal(err)
	}
	defer all.Close()
	keys := make([]uint32, len(addrs))
	values := make([]lookup.Address, len(addrs))
	for i, addr := range addrs {
		keys[i] = uint32(i)
		b := addr.As16()
		if addr.Is4() {
			values[i].Hi = uint64(binary.BigEndian.Uint32(b[12:])) << 32
			continue
		}
		values[i].Hi, values[i].Lo = binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	}
	m := all.Maps["addresses"]
	if _, err := m.BatchUpdate(keys, values, nil); err != nil {
		tb.Fatal(err)
	}
	for range rounds {
		if err := all.Variables["next"].Set(uint32(0)); err != nil {
			tb.Fatal(err)
		}
		_, d, err := all.Programs["lookup"].Benchmark(make([]byte, 64), len(addrs), nil)
		if err != nil {
			tb.Fatal(err)
		}
		each += float64(d.Nanoseconds()) / float64(rounds)
	}
	var cursor ebpf.MapBatchCursor
	if n, err := m.BatchLookup(&cursor, keys, values, nil); n != len(values) && err != nil {
		tb.Fatal(err)
	}
	for i := range values {
		found = append(found, values[keys[i]].Found)
	}
	runtime.KeepAlive(f)
	return found, each
}

// TestLookupInTheKernel: the program finds what Go finds, in blocks of all kinds.
func TestLookupInTheKernel(t *testing.T) {
	for _, most := range []uint32{200, 40_000, 1<<31 - 1} {
		for _, n := range []int{0, 300, 3000, 120_000} {
			t.Run(fmt.Sprintf("%d routes to %d next hops", n, most), func(t *testing.T) {
				f, table := newLookup(t)
				rnd := rand.New(rand.NewPCG(uint64(n), uint64(most)))
				var routes []netip.Prefix
				if err := table.Update(func(x *fib.Txn) error {
					for i := range n {
						p := fibtest.RandomPrefix(rnd, i%2 == 0)
						routes = append(routes, p)
						nh := 1 + rnd.Uint32N(most)
						if rnd.IntN(4) == 0 {
							nh = 1 + nh%200 // blocks of all widths beside each other
						}
						if err := x.Insert(p, nh); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				for _, p := range routes[:len(routes)/10] {
					if err := table.Insert(p, 1+rnd.Uint32N(most)); err != nil {
						t.Fatal(err)
					}
				}
				for _, v6 := range []bool{false, true} {
					var addrs []netip.Addr
					some := fibtest.Family(routes, v6)
					for range 5000 {
						p := fibtest.RandomPrefix(rnd, v6)
						if len(addrs)%4 > 0 && len(some) > 0 {
							p = some[rnd.IntN(min(len(some), 2000))]
						}
						addrs = append(addrs, fibtest.Address(rnd, p))
					}
					found, _ := find(t, f, table, addrs, 1)
					for i, addr := range addrs {
						b := addr.As16()
						want := table.Lookup6(binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:]))
						if addr.Is4() {
							want = table.Lookup4(binary.BigEndian.Uint32(b[12:]))
						}
						if found[i] != want {
							t.Fatalf("%s leads to %d in the kernel, to %d in Go", addr, found[i], want)
						}
					}
				}
			})
		}
	}
}

// BenchmarkLookupInTheKernel runs the program over random addresses of the real
// table, each when the one before has been found. A table without routes shows what
// running a program takes. In turn: the routes of both families have come in any
// order, a hundred at a time, as protocols bring them, rather than all at once.
func BenchmarkLookupInTheKernel(b *testing.B) {
	all := slices.Clone(fibtest.Prefixes(b))
	for _, r := range []struct {
		name   string
		routes int
		ids    uint32
		inTurn int
	}{
		{"no routes", 0, 1, 1}, {"1,000 routes", 1000, 64, 1000}, {"64 next hops", len(all), 64, len(all)},
		{"64 next hops, in turn", len(all), 64, 100}, {"50,000", len(all), 50_000, len(all)},
	} {
		f, table := newLookup(b)
		rnd := rand.New(rand.NewPCG(5, 6))
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		routes := all[:r.routes]
		for some := range slices.Chunk(routes, r.inTurn) {
			if err := table.Update(func(x *fib.Txn) error {
				for _, p := range some {
					if err := x.Insert(p, 1+rnd.Uint32N(r.ids)); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		if len(routes) == 0 {
			routes = all
		}
		for _, v6 := range []bool{false, true} {
			addrs := fibtest.Addresses(rnd, fibtest.Family(routes, v6), 1<<18)
			b.Run(fmt.Sprintf("v6 %v/%s", v6, r.name), func(b *testing.B) {
				_, each := find(b, f, table, addrs, b.N)
				b.ReportMetric(each, "ns/lookup")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
