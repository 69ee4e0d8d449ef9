package dataplane

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/dataplane/filter"
	"router/dataplane/memport"
	"router/dataplane/port"
	"router/dataplane/session"
	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
	"router/vrf/fib/fibtest"
)

// newLine makes an engine with one worker and two ports of functions: source
// writes the frames that come in by the first port, and all leave by the second.
func newLine(tb testing.TB, arena int, source func(frame []byte) int) (*world, *worker) {
	tb.Helper()
	c := Config{Workers: 1, Buffers: 512, Domain: epoch.New()}
	e, err := newEngine(c)
	if err != nil {
		tb.Fatal(err)
	}
	x := &world{t: tb, e: e, now: time.Hour, tables: make(map[uint32]*fib.Table), nhs: make(map[routing.NextHop]routing.NextHopID), ports: make(map[string]PortID)}
	if x.arena, err = fib.NewHeapArena(arena, c.Domain); err != nil {
		tb.Fatal(err)
	}
	w := e.workers[0]
	w.clock = func() int64 { return int64(x.now) }
	for name, q := range map[string]*memport.Queue{"a": memport.NewFunc(w.pool, source, nil), "b": memport.NewFunc(w.pool, nil, nil)} {
		if x.ports[name], err = e.AddPort(name, []port.Queue{q}, PortOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
	x.addInstance(0)
	tx := e.Edit()
	tx.SetUnit(x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1", "2001:db8:a::1"))
	tx.SetUnit(x.unit(unitB, "b", nil, routerB, 0, 1500, "198.51.100.1", "2001:db8:b::1"))
	tx.Commit()
	x.neighbor(0, unitB, hostB, "198.51.100.10", "2001:db8:b::10")
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return x, w
}

// mixedTraffic is a source of frames that take every way through the pipeline.
func mixedTraffic() func(frame []byte) int {
	frames := [][]byte{
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(40)}),
		eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(40)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", ttl: 1, payload: data(40)}),
		eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2620::1", payload: data(40)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.77", payload: data(40)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", payload: data(40)}),
		eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", hops: 255, next: 58, payload: icmp6("2001:db8:a::10", "2001:db8:a::1", 135, 0, 0, data(24))}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(1700)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", df: true, payload: data(1700)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 1, payload: icmp4(8, 0, 1, data(40))}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 6, payload: segment("192.0.2.10", "192.0.2.1", 23, 2, 1, 0, nil)}),
		eth(routerA, hostA, []uint16{0x8100, 9}, 0x800, data(40)),
		eth(intf.Broadcast, hostA, nil, 0x806, data(28)),
	}
	for ttl := range 8 {
		frames = append(frames,
			eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", ttl: 70 + ttl, proto: 6, payload: tcp("192.0.2.10", "198.51.100.10", 2, 1, 0, nil)}),
			eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", hops: 70 + ttl, next: 6, payload: tcp("2001:db8:a::10", "2001:db8:b::10", 2, 1, 0, nil)}))
	}
	next := 0
	return func(frame []byte) int {
		next = (next + 1) % len(frames)
		return copy(frame, frames[next])
	}
}

func TestNoAllocationsPerPacket(t *testing.T) {
	for _, filtered := range []bool{false, true} {
		t.Run(fmt.Sprintf("filtered=%v", filtered), func(t *testing.T) { testNoAllocations(t, filtered) })
	}
}

func testNoAllocations(t *testing.T, filtered bool) {
	x, w := newLine(t, 1<<20, mixedTraffic())
	x.network(0, unitA, "192.0.2.1/24", "2001:db8:a::1/64")
	x.network(0, unitB, "198.51.100.1/24", "2001:db8:b::1/64")
	x.e.SetClass(1, Rate{1e9, 1e6})
	x.e.SetSession(1, Session{Match: toPort(1, 8), Consumer: session.ToRouter, Class: 1})
	x.e.SetSession(2, Session{Match: ofProtocol(6), Consumer: session.ToReject, Class: 1})
	l3 := ip4{src: "192.0.2.1", dst: "198.51.100.10", payload: data(40)}.bytes()
	if filtered {
		// Each does one thing to the packets of one TTL; the others pass.
		actions := []filter.Action{
			{Kind: filter.Reject}, {Kind: filter.Reject, Reject: filter.RejectTCPReset}, {Mirror: unitB}, {LogEvery: 1},
			{DSCP: filter.Some[uint8](46)}, {Mark: filter.Some[uint16](7)}, {Police: "p"}, {Kind: filter.ToInstance},
		}
		if err := x.e.Filters().SetPolicer(&filter.PolicerSpec{Name: "p", Rate: 1e6, Burst: 1e5, Red: filter.ColourAction{Drop: true}}); err != nil {
			t.Fatal(err)
		}
		for _, u := range []intf.Index{unitA, unitB} {
			for _, f := range intf.Families {
				for h := range filter.NumHooks {
					terms := make([]filter.Term, 0, len(actions)+1)
					for i, a := range actions {
						terms = append(terms, filter.Term{Match: filter.Match{TTL: filter.Numbers{Ranges: []filter.Range{filter.One(uint32(70 + i))}}}, Action: a})
					}
					x.bind(u, f, h, append(terms, do(filter.Action{}))...)
				}
			}
		}
	}
	logged := 0
	round := func() {
		x.now += time.Millisecond
		if err := x.e.Originate(0, unitA, l3); err != nil {
			t.Fatal(err)
		}
		if err := x.e.SendUnit(unitB, 0x800, hostB, l3); err != nil {
			t.Fatal(err)
		}
		if n := w.runOnce(); n < batchSize {
			t.Fatalf("a batch of %d", n)
		}
		for _, r := range w.punts {
			for s, _ := r.peek(); s != nil; s, _ = r.peek() {
				r.release()
			}
		}
		x.e.drainLog(w.logOut, func(LogRecord) { logged++ })
		for s, _ := w.hostOut.peek(); s != nil; s, _ = w.hostOut.peek() {
			w.releaseHost(s)
		}
	}
	round()
	if n := testing.AllocsPerRun(1000, round); n != 0 {
		t.Errorf("%v allocations in a batch", n)
	}
	x.checkAccounts()
	s := x.e.Totals()
	if s.Sent == 0 || s.Punted == 0 || s.Delivered == 0 || s.Created == 0 || s.Absorbed == 0 {
		t.Errorf("the traffic did not take every way: %+v", s)
	}
	if filtered != (x.drops()["filtered"] > 0) || filtered != (logged > 0) {
		t.Errorf("filters did nothing: %v, %d records", x.drops(), logged)
	}
}

// BenchmarkForward measures one packet from memory port to memory port: making
// the frame of 64 octets (with FCS), the whole pipeline in batches of 64, and
// giving the buffer back. Destinations are drawn at random over all routes: one
// in one route, synthetic ones of common lengths, or the real full table.
func BenchmarkForward(b *testing.B) {
	for _, f := range intf.Families {
		for _, routes := range []int{1, 1000000} {
			b.Run(fmt.Sprintf("%v/routes=%d", f, routes), func(b *testing.B) {
				benchmarkForward(b, f, randomRoutes(f, routes))
			})
		}
		b.Run(fmt.Sprintf("%v/routes=real", f), func(b *testing.B) {
			benchmarkForward(b, f, fibtest.Family(fibtest.Prefixes(b), f == intf.Inet6))
		})
	}
}

func benchmarkForward(b *testing.B, f intf.Family, routes []netip.Prefix) {
	r := rand.New(rand.NewPCG(1, uint64(len(routes))))
	template := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.18.0.1", payload: data(26)})
	if f == intf.Inet6 {
		template = eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:b::1", payload: data(6)})
	}
	frames := make([][64]byte, 1<<16)
	next := 0
	x, w := newLine(b, 256<<20, func(frame []byte) int {
		next = (next + 1) & (len(frames) - 1)
		return copy(frame, frames[next][:60])
	})
	nh := x.nexthop(routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip([]string{"198.51.100.10", "2001:db8:b::10"}[f])}, 0)
	if err := x.tables[0].Update(func(tx *fib.Txn) error {
		for _, p := range routes {
			if err := tx.Insert(p, uint32(nh)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	for i, dst := range fibtest.Addresses(r, routes, len(frames)) {
		copy(frames[i][:], template)
		if f == intf.Inet {
			a := dst.As4()
			copy(frames[i][30:], a[:])
			h := frames[i][14:34]
			h[10], h[11] = 0, 0
			binary.BigEndian.PutUint16(h[10:], ^onesSum(h))
		} else {
			a := dst.As16()
			copy(frames[i][38:], a[:])
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Packets pay for the collection of what came before, unless it is over.
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	before := threadTime(b)
	for n := 0; n < b.N; n += batchSize {
		w.runOnce()
	}
	b.StopTimer()
	// On a machine that others use, too, only the processor's time means anything.
	b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op")
	if s := x.e.Totals(); s.Sent == 0 || s.Sent != s.Received {
		b.Fatalf("not everything was forwarded: %+v, drops %v", s, x.drops())
	}
}

// BenchmarkPorts is the share of BenchmarkForward that is the benchmark's own: frames
// are made and received, and their buffers given back, without a router between.
func BenchmarkPorts(b *testing.B) {
	frames := make([][64]byte, 1<<16)
	next := 0
	pool, err := port.NewPool(make([]byte, 512*port.ChunkSize))
	if err != nil {
		b.Fatal(err)
	}
	in := memport.NewFunc(pool, func(frame []byte) int {
		next = (next + 1) & (len(frames) - 1)
		return copy(frame, frames[next][:60])
	}, nil)
	out := memport.NewFunc(pool, nil, nil)
	var bufs [batchSize]port.Buf
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	b.ResetTimer()
	before := threadTime(b)
	for n := 0; n < b.N; n += batchSize {
		out.Transmit(bufs[:in.Receive(bufs[:])])
		out.Flush()
	}
	b.StopTimer()
	b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// threadTime is the processor time of the calling thread in nanoseconds.
func threadTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// randomRoutes makes n prefixes of lengths as they are common in the Internet.
func randomRoutes(f intf.Family, n int) []netip.Prefix {
	r := rand.New(rand.NewPCG(2, uint64(f)))
	lengths := []int{24, 24, 24, 24, 24, 24, 22, 22, 23, 20, 21, 19, 16}
	if f == intf.Inet6 {
		lengths = []int{48, 48, 48, 48, 48, 48, 32, 32, 44, 40, 36, 47, 46}
	}
	seen := make(map[netip.Prefix]struct{}, n)
	prefixes := make([]netip.Prefix, 0, n)
	for len(prefixes) < n {
		a := addrFrom4(1<<24 + r.Uint32N(126<<24)) // 1.0.0.0 to 126.255.255.255
		if f == intf.Inet6 {
			a = addrFrom6(0x2000<<48|r.Uint64()>>3, r.Uint64())
		}
		p := netip.PrefixFrom(a, lengths[r.IntN(len(lengths))]).Masked()
		if _, ok := seen[p]; !ok {
			seen[p] = struct{}{}
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}
