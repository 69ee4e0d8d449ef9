package fib

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gaissmai/bart"

	"router/vrf/epoch"
	"router/vrf/fib/fibtest"
)

// drawn is how many addresses a benchmark cycles through: their own 16 bytes
// each are read in sequence, so that they cost no cache miss.
const drawn = 1 << 18

// world is the real table in all that is compared, with random next hops:
// the hard case, as no neighbouring leaves are equal.
type world struct {
	prefixes []netip.Prefix
	arena    *Arena
	table    *Table
	fast     bart.Fast[uint32]
	bart     bart.Table[uint32]
}

var (
	worldOnce sync.Once
	theWorld  *world
)

func fullWorld(b *testing.B) *world {
	b.Helper()
	all := fibtest.Prefixes(b)
	worldOnce.Do(func() {
		a, table := newTable(b, 64<<20)
		w := &world{prefixes: all, arena: a, table: table}
		rnd := rand.New(rand.NewPCG(5, 6))
		if err := table.Update(func(x *Txn) error {
			for _, p := range all {
				nh := 1 + rnd.Uint32()>>1
				w.fast.Insert(p, nh)
				w.bart.Insert(p, nh)
				if err := x.Insert(p, nh); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		theWorld = w
	})
	if theWorld == nil {
		b.Fatal("loading the real table failed before")
	}
	return theWorld
}

// sink keeps results alive.
var sink uint32

// each is how long one operation took, in nanoseconds.
func each(b *testing.B) float64 { return float64(b.Elapsed().Nanoseconds()) / float64(b.N) }

// beside reports how many times as long this takes as what was measured before, if
// that was.
func beside(b *testing.B, ours float64) {
	if ours > 0 {
		b.ReportMetric(each(b)/ours, "times-ours")
	}
}

// BenchmarkLookup draws addresses over the real routes: random, or the same
// ones sorted. The batch and the random order are what a pipeline sees. The
// oracles get netip.Addr, which is what they take; ours gets integers, which is
// what a packet has. How many times as long bart.Fast takes is reported with its
// time: on a busy machine that says more than either.
func BenchmarkLookup(b *testing.B) {
	w := fullWorld(b)
	for _, fam := range []string{"v4", "v6", "mixed"} {
		routes := w.prefixes
		if fam != "mixed" {
			routes = fibtest.Family(w.prefixes, fam == "v6")
		}
		for _, ord := range []string{"random", "sorted"} {
			addrs := fibtest.Addresses(rand.New(rand.NewPCG(7, 8)), routes, drawn)
			if ord == "sorted" {
				slices.SortFunc(addrs, netip.Addr.Compare)
			}
			keys := make([]change, len(addrs))
			v4 := make([]uint32, len(addrs))
			v6 := make([][2]uint64, len(addrs))
			for i, addr := range addrs {
				c := split(addr)
				keys[i], v4[i], v6[i] = c, uint32(c.hi>>32), [2]uint64{c.hi, c.lo}
				if addr.Is4() {
					keys[i].length = 4
				}
			}
			name := fmt.Sprintf("%s/%s/", fam, ord)
			var ours float64
			b.Run(name+"fib", func(b *testing.B) {
				var x uint32
				switch fam {
				case "v4":
					for i := range b.N {
						x ^= w.table.Lookup4(v4[i%drawn])
					}
				case "v6":
					for i := range b.N {
						k := &v6[i%drawn]
						x ^= w.table.Lookup6(k[0], k[1])
					}
				default:
					for i := range b.N {
						if k := &keys[i%drawn]; k.length == 4 {
							x ^= w.table.Lookup4(uint32(k.hi >> 32))
						} else {
							x ^= w.table.Lookup6(k.hi, k.lo)
						}
					}
				}
				ours = each(b)
				sink = x
			})
			if fam != "mixed" {
				const n = 64 // a batch of packets
				var out [n]uint32
				b.Run(name+"fib-batch", func(b *testing.B) {
					for i := 0; i < b.N; i += n {
						if at := i % drawn; fam == "v4" {
							w.table.Lookup4Batch(v4[at:at+n], out[:])
						} else {
							w.table.Lookup6Batch(v6[at:at+n], out[:])
						}
					}
				})
				sink = out[0]
			}
			b.Run(name+"bart-fast", func(b *testing.B) {
				var x uint32
				for i := range b.N {
					v, _ := w.fast.Lookup(addrs[i%drawn])
					x ^= v
				}
				beside(b, ours)
				sink = x
			})
			b.Run(name+"bart-table", func(b *testing.B) {
				var x uint32
				for i := range b.N {
					v, _ := w.bart.Lookup(addrs[i%drawn])
					x ^= v
				}
				sink = x
			})
		}
	}
}

// reads looks random addresses up on another processor until it is stopped, and
// returns how many then.
func reads(w *world) (stop func() int) {
	addrs := fibtest.Addresses(rand.New(rand.NewPCG(7, 8)), w.prefixes, drawn)
	reader := w.arena.limbo.Domain().Reader()
	var done atomic.Bool
	count := make(chan int)
	go func() {
		defer reader.Close()
		var x uint32
		n := 0
		for ; !done.Load(); n += 64 {
			reader.Quiesce()
			for i := range 64 {
				x ^= w.table.lookup(addrs[(n+i)%drawn])
			}
		}
		sink = x
		count <- n
	}()
	return func() int {
		done.Store(true)
		return <-count
	}
}

// BenchmarkUpdate changes the real table by single routes in random order: another
// next hop, and a delete with the insert that undoes it. How many times as long
// bart.Fast takes is reported with its time.
func BenchmarkUpdate(b *testing.B) {
	w := fullWorld(b)
	routes := slices.Clone(w.prefixes)
	rnd := rand.New(rand.NewPCG(9, 10))
	rnd.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, kind := range []struct {
		name       string
		fib        func(p netip.Prefix, nh uint32)
		fast, bart func(p netip.Prefix, nh uint32)
		updates    float64 // of one operation
	}{
		{
			"nexthop",
			func(p netip.Prefix, nh uint32) { must(w.table.Insert(p, nh)) },
			w.fast.Insert, w.bart.Insert, 1,
		}, {
			"delete+insert",
			func(p netip.Prefix, nh uint32) {
				_, err := w.table.Delete(p)
				must(err)
				must(w.table.Insert(p, nh))
			},
			func(p netip.Prefix, nh uint32) { w.fast.Delete(p); w.fast.Insert(p, nh) },
			func(p netip.Prefix, nh uint32) { w.bart.Delete(p); w.bart.Insert(p, nh) }, 2,
		},
	} {
		var ours float64
		b.Run(kind.name+"/fib", func(b *testing.B) {
			for i := range b.N {
				kind.fib(routes[i%len(routes)], uint32(i+1))
			}
			ours = each(b)
			b.ReportMetric(1e3*kind.updates/ours, "M-updates/s")
		})
		b.Run(kind.name+"/fib beside a reader", func(b *testing.B) {
			stop := reads(w)
			b.ResetTimer()
			for i := range b.N {
				kind.fib(routes[i%len(routes)], uint32(i+1))
			}
			b.ReportMetric(1e3*kind.updates/each(b), "M-updates/s")
			b.ReportMetric(float64(stop())/b.Elapsed().Seconds()/1e6, "M-lookups/s")
		})
		b.Run(kind.name+"/bart-fast", func(b *testing.B) {
			for i := range b.N {
				kind.fast(routes[i%len(routes)], uint32(i+1))
			}
			beside(b, ours)
		})
		b.Run(kind.name+"/bart-table", func(b *testing.B) {
			for i := range b.N {
				kind.bart(routes[i%len(routes)], uint32(i+1))
			}
			beside(b, ours)
		})
	}
}

// BenchmarkUpdateBatch takes routes out of the real table and brings them back in
// batches, one Update for the deletes of each and one for its inserts, as protocols
// do: in random order, so that no two of a batch are near each other. bart.Fast gets
// the same routes one by one.
func BenchmarkUpdateBatch(b *testing.B) {
	w := fullWorld(b)
	routes := slices.Clone(w.prefixes)
	rnd := rand.New(rand.NewPCG(9, 10))
	rnd.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
	update := func(b *testing.B, batch []netip.Prefix, first int) {
		if err := w.table.Update(func(x *Txn) error {
			for i, p := range batch {
				var err error
				if first == 0 {
					err = x.Delete(p)
				} else {
					err = x.Insert(p, uint32(first+i))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for _, size := range []int{16, 64, 256} {
		// Calls f for batches with b.N routes in all, and says how fast they were.
		run := func(b *testing.B, f func(batch []netip.Prefix, first int)) {
			b.ResetTimer()
			for i := 0; i < b.N; i += size {
				at := i % (len(routes) - size)
				f(routes[at:at+size], i+1)
			}
			b.ReportMetric(2e3/each(b), "M-updates/s")
		}
		ours := func(b *testing.B) {
			run(b, func(batch []netip.Prefix, first int) {
				update(b, batch, 0)
				update(b, batch, first)
			})
		}
		var alone float64
		name := fmt.Sprintf("%d/", size)
		b.Run(name+"fib", func(b *testing.B) {
			ours(b)
			alone = each(b)
		})
		b.Run(name+"fib beside a reader", func(b *testing.B) {
			stop := reads(w)
			ours(b)
			b.ReportMetric(float64(stop())/b.Elapsed().Seconds()/1e6, "M-lookups/s")
		})
		b.Run(name+"bart-fast", func(b *testing.B) {
			run(b, func(batch []netip.Prefix, first int) {
				for _, p := range batch {
					w.fast.Delete(p)
				}
				for i, p := range batch {
					w.fast.Insert(p, uint32(first+i))
				}
			})
			beside(b, alone)
		})
	}
}

// BenchmarkLoad fills an empty table with the real routes.
func BenchmarkLoad(b *testing.B) {
	all := fibtest.Prefixes(b)
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, order)
	shuffled := slices.Clone(all)
	rand.New(rand.NewPCG(13, 14)).Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	load := func(b *testing.B, routes []netip.Prefix, fill func(*Table, []netip.Prefix) error) {
		var stats ArenaStats
		for range b.N {
			b.StopTimer()
			a, table := newTable(b, 64<<20)
			runtime.GC()
			b.StartTimer()
			if err := fill(table, routes); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			stats = a.Stats()
			b.StartTimer()
		}
		b.ReportMetric(float64(stats.Used)/(1<<20), "arena-MiB")
		b.ReportMetric(float64(stats.Shadow)/(1<<20), "shadow-MiB")
		b.ReportMetric(float64(stats.Limbo+stats.Free)/(1<<20), "free-MiB")
	}
	once := func(t *Table, routes []netip.Prefix) error {
		return t.Update(func(x *Txn) error {
			for i, p := range routes {
				if err := x.Insert(p, uint32(i+1)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.Run("update/in order", func(b *testing.B) { load(b, sorted, once) })
	b.Run("update/shuffled", func(b *testing.B) { load(b, shuffled, once) })
	b.Run("one by one, shuffled", func(b *testing.B) {
		load(b, shuffled, func(t *Table, routes []netip.Prefix) error {
			for i, p := range routes {
				if err := t.Insert(p, uint32(i+1)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	b.Run("bart-fast, shuffled", func(b *testing.B) {
		for range b.N {
			var t bart.Fast[uint32]
			for i, p := range shuffled {
				t.Insert(p, uint32(i+1))
			}
		}
	})
	b.Run("bart-table, shuffled", func(b *testing.B) {
		for range b.N {
			var t bart.Table[uint32]
			for i, p := range shuffled {
				t.Insert(p, uint32(i+1))
			}
		}
	})
}

// BenchmarkManyInstances makes 500 tables of 1,000 routes and reports what one
// costs.
func BenchmarkManyInstances(b *testing.B) {
	all := fibtest.Prefixes(b)
	for range b.N {
		a, err := NewHeapArena(128<<20, epoch.New())
		if err != nil {
			b.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(11, 12))
		for range 500 {
			t, err := a.NewTable()
			if err != nil {
				b.Fatal(err)
			}
			if err := t.Update(func(x *Txn) error {
				for i := range 1000 {
					if err := x.Insert(all[rnd.IntN(len(all))], uint32(i+1)); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		s := a.Stats()
		b.ReportMetric(float64(s.Used)/500/1024, "KiB/instance")
		b.ReportMetric(float64(s.Shadow)/500/1024, "shadow-KiB/instance")
	}
}
