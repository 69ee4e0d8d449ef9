package dataplane

import (
	"testing"
	"time"

	"router/intf"
	"router/vrf"
)

// TestGroupChurnLosesNothing: while routes by source, clones and the groups
// around them come and go, no packet of a flow that all of them lead to unit B
// is lost or comes twice.
func TestGroupChurnLosesNothing(t *testing.T) {
	x := newThreads(t, 2)
	m, err := vrf.New(vrf.Config{Arena: x.arena, Sink: x.e})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	limits := vrf.CacheLimits{Entries: 8, Idle: time.Second}
	must(m.LimitCache(vrf.Default, limits))
	around := vrf.GroupKey{Group: prefix("239.0.0.0/8")}
	must(m.SetGroup(vrf.Default, around, vrf.GroupRoute{Out: []intf.Index{unitB}}))
	tx := x.e.Edit()
	tx.SetInstance(0, m.FIB(vrf.Default))
	tx.Commit()

	const frames = 20000
	done := make(chan struct{})
	go func() {
		defer close(done)
		flow := vrf.Flow{Group: ip("239.1.1.1"), Source: ip("192.0.2.10")}
		source := vrf.GroupKey{Group: prefix("239.1.1.1/32"), Source: prefix("192.0.2.0/24")}
		other := vrf.GroupKey{Group: prefix("239.1.1.1/32"), Source: prefix("10.0.0.0/8")}
		// No more on the way than a queue holds, and a change between any two.
		seen := make(map[uint32]int)
		deadline := time.Now().Add(60 * time.Second)
		for sent, i := uint32(0), 0; len(seen) < frames && time.Now().Before(deadline); i++ {
			for sent < frames && sent < uint32(len(seen))+200 {
				if !x.queues["a"][sent%2].Push(numbered("192.0.2.10", macOf239, hostA, "239.1.1.1", sent), 0) {
					break
				}
				sent++
			}
			for _, name := range []string{"b", "c"} {
				for _, q := range x.queues[name] {
					for f, ok := q.Pop(nil); ok; f, ok = q.Pop(nil) {
						if name == "b" {
							seen[numberOf(f)]++
						}
					}
				}
			}
			var err error
			switch i % 8 {
			case 0:
				err = m.SetGroup(vrf.Default, source, vrf.GroupRoute{In: unitA, Out: []intf.Index{unitB, unitC}})
			case 1:
				err = m.AddFlow(0, flow, 0)
			case 2:
				err = m.SetGroup(vrf.Default, other, vrf.GroupRoute{})
			case 3:
				err = m.DeleteGroup(vrf.Default, source)
			case 4:
				err = m.SetGroup(vrf.Default, around, vrf.GroupRoute{Flood: i%16 < 8, Out: []intf.Index{unitA, unitB}[i/16%2:]})
			case 5:
				err = m.DeleteGroup(vrf.Default, other)
			case 6:
				_, err = m.AgeFlows(time.Hour, func(uint32) uint64 { return 0 })
			case 7:
				err = m.AddFlow(0, flow, 0)
			}
			if err != nil {
				t.Error(err)
				return
			}
			for _, q := range x.queues["a"] {
				for _, ok := q.Pop(nil); ok; _, ok = q.Pop(nil) {
				}
			}
		}
		if len(seen) != frames {
			t.Errorf("%d of %d frames arrived", len(seen), frames)
		}
		for n, times := range seen {
			if times != 1 {
				t.Errorf("frame %d arrived %d times", n, times)
			}
		}
	}()
	<-done
	x.settled()
	if d := x.drops(); len(d) != 0 {
		t.Errorf("drops %v", d)
	}
}
