package dataplane

import (
	"encoding/binary"
	"runtime"
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

// gcEvery is the time between two packets: half of what a core forwards from memory to
// memory, generator included.
const gcEvery = 250 * time.Nanosecond

// A gcCase is what happens beside the packets.
type gcCase struct {
	name    string
	packets int  // of a round
	garbage int  // octets a second that the rest of the process makes; -1: as many as it can
	rr      bool // a real-time policy for the worker
}

// BenchmarkGC forwards packets at half load through a worker on a thread of its own:
// alone, while the rest of the process makes as much garbage as some hundred commits a
// second do, and while it does nothing else, without and with a real-time policy for the
// worker (rr). It reports the times that packets take from when they are due until
// they leave: p50, p99 and p99.9 in microseconds, and how many collections there were.
// What is more than alone is what the collector adds, and the scheduler.
func BenchmarkGC(b *testing.B) {
	const short, long = 2_000_000, 60_000_000
	for _, c := range []gcCase{
		{"alone", short, 0, false}, {"alone-long", long, 0, false}, {"commits", long, 20 << 20, false},
		{"collecting", short, -1, false}, {"collecting-rr", short, -1, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			all := make(lateness, 1<<19)
			for b.Loop() {
				gcRound(b, c, all)
			}
			runtime.ReadMemStats(&after)
			for q, unit := range map[float64]string{0.5: "p50-us", 0.99: "p99-us", 0.999: "p99.9-us"} {
				b.ReportMetric(all.quantile(q).Seconds()*1e6, unit)
			}
			b.ReportMetric(float64(after.NumGC-before.NumGC)/float64(b.N), "collections")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// A lateness counts packets by how late they left, in steps of lateStep; the last one
// has all that were later still.
type lateness []uint32

const lateStep = 100 * time.Nanosecond

func (l lateness) add(d time.Duration) { l[min(max(int(d/lateStep), 0), len(l)-1)]++ }

// quantile is how late at most the part q of the packets left.
func (l lateness) quantile(q float64) time.Duration {
	total, sum := 0.0, 0.0
	for _, n := range l {
		total += float64(n)
	}
	for i, n := range l {
		if sum += float64(n); sum >= q*total {
			return time.Duration(i+1) * lateStep
		}
	}
	return 0
}

// gcRound sends packets as they are due and counts how late each one left.
func gcRound(b *testing.B, what gcCase, late lateness) {
	// As routerd has it on two processors.
	c := Config{Workers: 1, Buffers: 1024, Domain: epoch.New(), Nice: -10, RoundRobin: what.rr}
	e, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	x := &world{t: b, e: e, tables: make(map[uint32]*fib.Table), nhs: make(map[routing.NextHop]routing.NextHopID), ports: make(map[string]PortID)}
	if x.arena, err = fib.NewHeapArena(1<<20, c.Domain); err != nil {
		b.Fatal(err)
	}
	template := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(26)})
	var start time.Time // zero until packets are to flow; written before going
	var going, done atomic.Bool
	sent, left := 0, 0
	// Both run on the worker's thread.
	source := func(frame []byte) int {
		if !going.Load() || sent == what.packets || time.Since(start) < time.Duration(sent)*gcEvery {
			return 0
		}
		n := copy(frame, template)
		binary.NativeEndian.PutUint64(frame[n-8:], uint64(sent))
		sent++
		return n
	}
	sink := func(frame []byte) {
		number := binary.NativeEndian.Uint64(frame[len(template)-8:])
		late.add(time.Since(start) - time.Duration(number)*gcEvery)
		if left++; left == what.packets {
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
	if what.garbage != 0 {
		for i := range heap {
			heap[i] = make([]byte, 100)
		}
	}
	start = time.Now().Add(10 * time.Millisecond)
	going.Store(true)
	for i, end := 0, time.Now().Add(time.Minute); !done.Load(); i++ {
		if time.Now().After(end) {
			b.Fatalf("not all of %d packets left: %v", what.packets, x.drops())
		}
		if what.garbage >= 0 {
			time.Sleep(time.Millisecond)
		}
		made := 1000
		if what.garbage >= 0 {
			made = what.garbage / 1000 / 112 // octets of a millisecond; 112 are what 100 take
		}
		for j := range made {
			heap[(1000*i+j)*7919%len(heap)] = make([]byte, 100)
		}
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	runtime.KeepAlive(heap)
}
