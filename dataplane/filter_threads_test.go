package dataplane

import (
	"context"
	"sync"
	"testing"
	"time"

	"router/dataplane/filter"
	"router/intf"
)

// Two filters are exchanged for two others, over and over, while a flow passes that
// both pairs let through, but no mixture of them: an Edit takes effect as a whole.
// What none of them lets through never comes out.
func TestFilterSwapIsWhole(t *testing.T) {
	x := newThreads(t, 2)
	in, out := filter.Place{Hook: filter.Input, Unit: unitA}, filter.Place{Hook: filter.Output, Unit: unitB}
	pair := func(mark uint16, in, out filter.Place) (a, b *filter.Bound) {
		a = x.compile("in", in, intf.Inet, to("198.51.100.10", filter.Action{Mark: filter.Some(mark), LogEvery: 7}))
		b = x.compile("out", out, intf.Inet, filter.Term{Match: filter.Match{
			Mark: filter.Marks{Entries: []filter.MaskedMark{{Value: mark, Mask: 0xffff}}},
		}})
		return a, b
	}
	swap := func(mark uint16) {
		a, b := pair(mark, in, out)
		x.setFilters(intf.Inet, bindings{in: a, out: b})
	}
	swap(1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for mark := uint16(2); ctx.Err() == nil; mark++ {
			swap(mark)
		}
	})
	var records int
	wg.Go(func() { _ = x.e.ServeLog(ctx, func(LogRecord) { records++ }) })
	const n = 20000
	deadline := time.Now().Add(60 * time.Second)
	got, sent, junk := 0, 0, 0
	for got < n && time.Now().Before(deadline) {
		for sent < n && sent-got < 200 {
			x.push("a", numbered("192.0.2.10", routerA, hostA, "198.51.100.10", uint32(sent)))
			if sent++; sent%16 == 0 {
				x.push("a", numbered("192.0.2.10", routerA, hostA, "198.51.100.66", 1<<31))
				junk++
			}
		}
		if f, ok := x.queues["b"][0].Pop(nil); ok {
			if numberOf(f) != uint32(got) {
				t.Fatalf("packet %d came out as number %d: drops %v", numberOf(f), got, x.drops())
			}
			got++
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
	cancel()
	wg.Wait()
	s := x.settled()
	if got != n || int(s.Dropped) != junk {
		t.Errorf("%d of %d packets came out, %d of %d were dropped: %v", got, n, s.Dropped, junk, x.drops())
	}
	if records == 0 {
		t.Error("no records in the log")
	}
}
