package fib

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"router/vrf/epoch"
	"router/vrf/fib/fibtest"
)

// The next hop of route i of a pool in these tests is i+1 in the upper bits,
// and anything in the lower ones: from any answer one can tell whose it is.
const variantBits = 8

func poolValue(i int, variant uint32) uint32 {
	return uint32(i+1)<<variantBits | variant&(1<<variantBits-1)
}

// TestReadersNeverSeeGaps churns routes below permanent ones while readers look
// addresses up. Each answer must be a route that matches the address and is no
// shorter than the longest permanent one that does: no answer may fall into the
// gap between an old state and a new one, and none may be read from memory that
// serves something else by now. The arena is small, so that blocks are reused
// at once, and roots grow and shrink all the time.
func TestReadersNeverSeeGaps(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bits  []uint // reaches of roots to change between
		batch bool
	}{
		{"one root", nil, false},
		{"one root, batches", nil, true},
		{"roots grow and shrink", []uint{12, 0}, false},
		{"roots grow and shrink, batches", []uint{12, 0}, true},
		{"roots with pages", []uint{26, 12}, false},
		{"roots with pages, batches", []uint{26, 12}, true},
	} {
		t.Run(tt.name, func(t *testing.T) { churn(t, tt.bits, tt.batch) })
	}
}

func churn(t *testing.T, rootBits []uint, batch bool) {
	rnd := rand.New(rand.NewPCG(1, uint64(len(rootBits))))
	domain := epoch.New()
	paged := slices.Contains(rootBits, 26)
	size := 1 << 20
	if paged {
		size = 4 << 20
	}
	a, err := NewHeapArena(size, domain)
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	var pool []netip.Prefix
	seen := map[netip.Prefix]bool{}
	add := func(p netip.Prefix) {
		if !seen[p] {
			seen[p] = true
			pool = append(pool, p)
		}
	}
	for _, s := range []string{"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/7", "1.0.0.0/8", "::/0", "::/1", "8000::/5", "8080::/16", "::/96"} {
		add(netip.MustParsePrefix(s))
	}
	permanent := len(pool)
	for len(pool) < 400 {
		p := fibtest.RandomPrefix(rnd, len(pool)%2 == 0)
		if p.Bits() > 1 {
			add(p)
		}
	}
	for i, p := range pool[:permanent] {
		if err := table.Insert(p, poolValue(i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if paged { // with many routes, so that some slot gets a page
		for i, p := range pool {
			if err := table.Insert(p, poolValue(i, 0)); err != nil {
				t.Fatal(err)
			}
		}
		r := &table.family[1]
		r.pause, r.dense = 1<<30, 12
		if err := r.rebuild(&a.w, 26); err != nil || len(r.pages) == 0 {
			t.Fatalf("the root has %d pages: %v", len(r.pages), err)
		}
	}
	type probe struct {
		addr netip.Addr
		key  change
		min  int    // length of the longest permanent route that matches
		ok   []bool // which of the pool may answer
	}
	probes := make([]probe, 0, 2048)
	for len(probes) < cap(probes) {
		addr := fibtest.Address(rnd, pool[rnd.IntN(len(pool))])
		p := probe{addr: addr, key: split(addr), ok: make([]bool, len(pool))}
		for i, q := range pool {
			if q.Contains(addr) && i < permanent {
				p.min = max(p.min, q.Bits())
			}
		}
		for i, q := range pool {
			p.ok[i] = q.Contains(addr) && q.Bits() >= p.min
		}
		probes = append(probes, p)
	}

	var stop atomic.Bool
	var lookups atomic.Int64
	var wg sync.WaitGroup
	for id := range 3 {
		reader := domain.Reader()
		rnd := rand.New(rand.NewPCG(uint64(id), 77))
		wg.Go(func() {
			defer reader.Close()
			verify := func(p *probe, nh uint32) bool {
				if i := int(nh>>variantBits) - 1; i < 0 || i >= len(pool) || !p.ok[i] {
					t.Errorf("lookup %s: %#x is no legal answer", p.addr, nh)
					return false
				}
				return true
			}
			for !stop.Load() {
				if id == 2 {
					reader.Park()
					time.Sleep(50 * time.Microsecond)
					reader.Unpark()
				}
				reader.Quiesce()
				var v4 []uint32
				var v6 [][2]uint64
				var of4, of6 []*probe
				for range 64 {
					p := &probes[rnd.IntN(len(probes))]
					switch {
					case !batch:
						if !verify(p, table.lookup(p.addr)) {
							return
						}
					case p.addr.Is4():
						v4, of4 = append(v4, uint32(p.key.hi>>32)), append(of4, p)
					default:
						v6, of6 = append(v6, [2]uint64{p.key.hi, p.key.lo}), append(of6, p)
					}
				}
				var out [64]uint32
				table.Lookup4Batch(v4, out[:])
				for i, p := range of4 {
					if !verify(p, out[i]) {
						return
					}
				}
				table.Lookup6Batch(v6, out[:])
				for i, p := range of6 {
					if !verify(p, out[i]) {
						return
					}
				}
				lookups.Add(64)
			}
		})
	}
	changes, rebuilds := 0, 0
	deadline := time.Now().Add(400 * time.Millisecond)
	for (time.Now().Before(deadline) || lookups.Load() < 5000) && !t.Failed() {
		var err error
		// Full means that readers have not let go of enough yet.
		switch n := rnd.IntN(20); {
		case n < 9:
			i := rnd.IntN(len(pool))
			err = table.Insert(pool[i], poolValue(i, rnd.Uint32()))
		case n < 18:
			_, err = table.Delete(pool[permanent+rnd.IntN(len(pool)-permanent)])
		case n == 18 && len(rootBits) > 0:
			a.mu.Lock()
			for f := range table.family {
				r := &table.family[f]
				r.pause, r.dense = 1<<30, 12
				reach := rootBits[rnd.IntN(len(rootBits))]
				if f == 0 {
					reach = min(reach, 12)
				}
				_ = r.rebuild(&a.w, reach)
			}
			a.mu.Unlock()
			rebuilds++
		default:
			err = table.Update(func(x *Txn) error {
				for range 20 {
					i := permanent + rnd.IntN(len(pool)-permanent)
					if rnd.IntN(2) == 0 {
						if err := x.Delete(pool[i]); err != nil {
							return err
						}
					} else if err := x.Insert(pool[i], poolValue(i, rnd.Uint32())); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil && !isFull(err) {
			t.Fatal(err)
		}
		changes++
	}
	stop.Store(true)
	wg.Wait()
	a.Reclaim()
	if err := check(a, table); err != nil {
		t.Fatal(err)
	}
	table.Close()
	a.Reclaim()
	if s := a.Stats(); s.Used != 8*reservedWords || s.Limbo != 0 {
		t.Errorf("after all readers have gone: %+v", s)
	}
	t.Logf("%d changes, %d root changes, %d lookups", changes, rebuilds, lookups.Load())
}

// TestBlocksWaitForReaders holds one reader in its batch and watches the limbo.
func TestBlocksWaitForReaders(t *testing.T) {
	domain := epoch.New()
	a, err := NewHeapArena(1<<16, domain)
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	p := netip.MustParsePrefix("10.1.2.0/24")
	reader := domain.Reader()
	reader.Quiesce()
	var full error
	for n := 0; full == nil; n++ {
		if n > 1<<16 {
			t.Fatal("blocks are used again though a reader may see them")
		}
		if full = table.Insert(p, uint32(n+1)); full == nil {
			_, full = table.Delete(p)
		}
	}
	if !isFull(full) {
		t.Fatal(full)
	}
	limbo := a.Stats().Limbo
	if limbo < 1<<15 {
		t.Errorf("only %d bytes wait for the reader", limbo)
	}
	if err := check(a, table); err != nil {
		t.Fatal(err)
	}
	reader.Quiesce()
	a.Reclaim()
	// What was retired after the reader's batch began in the first epoch is
	// all older than its second batch.
	reader.Quiesce()
	a.Reclaim()
	if got := a.Stats().Limbo; got != 0 {
		t.Errorf("%d bytes still wait", got)
	}
	if err := table.Insert(p, 1); err != nil {
		t.Errorf("the arena has room again, but: %v", err)
	}
	reader.Close()
}

// TestLookupDoesNotAllocate is the budget of the packet path.
func TestLookupDoesNotAllocate(t *testing.T) {
	_, table := newTable(t, 1<<16)
	for i, s := range []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.2.0/24", "::/0", "2001:db8::/32", "2001:db8::1/128"} {
		if err := table.Insert(netip.MustParsePrefix(s), uint32(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	v4 := make([]uint32, 50)
	v6 := make([][2]uint64, 50)
	for i := range v4 {
		v4[i], v6[i] = 0x0a010200+uint32(i), [2]uint64{0x20010db8 << 32, uint64(i)}
	}
	out := make([]uint32, 50)
	if n := testing.AllocsPerRun(100, func() {
		out[0] = table.Lookup4(v4[0])
		out[1] = table.Lookup6(v6[0][0], v6[0][1])
		table.Lookup4Batch(v4, out)
		table.Lookup6Batch(v6, out)
	}); n != 0 {
		t.Errorf("lookups allocate %v times", n)
	}
}
