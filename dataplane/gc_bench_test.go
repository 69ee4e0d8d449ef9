package dataplane

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"router/dataplane/memport"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// gcPackets is how many packets a round has, and gcEvery the time between two: half
// of what a core forwards from memory to memory, generator included.
const (
	gcPackets = 2_000_000
	gcEvery   = 250 * time.Nanosecond
)

// BenchmarkGC forwards packets at half load through a worker on a thread of its own,
// first alone, then while the rest of the process makes garbage as fast as it can and
// collects it, then likewise with a real-time policy for the worker (rr), and reports the times that packets take from when they are due until
// they leave: p50, p99 and p99.9 in microseconds, and how many collections there were.
// What the second line has more is what the collector adds, and the scheduler.
func BenchmarkGC(b *testing.B) {
	for _, c := range []struct {
		name        string
		garbage, rr bool
	}{{"alone", false, false}, {"collecting", true, false}, {"collecting-rr", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			var all []time.Duration
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				all = append(all, gcRound(b, c.garbage, c.rr)...)
			}
			runtime.ReadMemStats(&after)
			slices.Sort(all)
			for q, unit := range map[float64]string{0.5: "p50-us", 0.99: "p99-us", 0.999: "p99.9-us"} {
				b.ReportMetric(float64(all[int(q*float64(len(all)-1))].Nanoseconds())/1000, unit)
			}
			b.ReportMetric(float64(after.NumGC-before.NumGC)/float64(b.N), "collections")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// gcRound sends packets as they are due and returns how late each one left.
func gcRound(b *testing.B, garbage, rr bool) []time.Duration {
	// As routerd has it on two processors.
	c := Config{Workers: 1, Buffers: 1024, Domain: epoch.New(), Nice: -10, RoundRobin: rr}
	e, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	x := &world{t: b, e: e, tables: make(map[uint32]*fib.Table), nhs: make(map[routing.NextHop]routing.NextHopID), ports: make(map[string]PortID)}
	if x.arena, err = fib.NewHeapArena(1<<20, c.Domain); err != nil {
		b.Fatal(err)
	}
	template := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(26)})
	late := make([]time.Duration, 0, gcPackets)
	var start time.Time // zero until packets are to flow; written before going
	var going, done atomic.Bool
	sent := 0
	// Both run on the worker's thread.
	source := func(frame []byte) int {
		if !going.Load() || sent == gcPackets || time.Since(start) < time.Duration(sent)*gcEvery {
			return 0
		}
		n := copy(frame, template)
		binary.NativeEndian.PutUint64(frame[n-8:], uint64(sent))
		sent++
		return n
	}
	sink := func(frame []byte) {
		number := binary.NativeEndian.Uint64(frame[len(template)-8:])
		if late = append(late, time.Since(start)-time.Duration(number)*gcEvery); len(late) == gcPackets {
			done.Store(true)
		}
	}
	w := e.workers[0]
	for name, q := range map[string]*memport.Queue{"a": memport.NewFunc(w.pool, source, nil), "b": memport.NewFunc(w.pool, nil, sink)} {
		if x.ports[name], err = e.AddPort(name, []port.Queue{q}, PortOptions{Polling: intf.PollBusy}); err != nil {
			b.Fatal(err)
		}
	}
	x.addInstance(0)
	tx := e.Edit()
	tx.SetUnit(x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1"))
	tx.SetUnit(x.unit(unitB, "b", nil, routerB, 0, 1500, "198.51.100.1"))
	tx.Commit()
	x.network(0, unitB, "198.51.100.1/24")
	x.neighbor(0, unitB, hostB, "198.51.100.10")
	// A heap as large as that of a router with a full table.
	heap := make([][]byte, 1<<20)
	if garbage {
		for i := range heap {
			heap[i] = make([]byte, 100)
		}
	}
	start = time.Now().Add(10 * time.Millisecond)
	going.Store(true)
	for i, end := 0, time.Now().Add(time.Minute); !done.Load(); i++ {
		if time.Now().After(end) {
			b.Fatalf("%d of %d packets left: %v", len(late), gcPackets, x.drops())
		}
		if !garbage {
			time.Sleep(time.Millisecond)
			continue
		}
		for j := range 1000 {
			heap[(1000*i+j)*7919%len(heap)] = make([]byte, 100)
		}
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	runtime.KeepAlive(heap)
	return late
}
