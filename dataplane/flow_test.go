package dataplane

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"router/intf"
	"router/routing"
)

// group gives a route several next hops of hosts on the units B, C and so on;
// slots says which of them has each bucket.
func (x *world) group(id routing.NextHopID, prefix string, slots ...routing.NextHop) {
	x.t.Helper()
	var buckets []routing.NextHopID
	for _, nh := range slots {
		buckets = append(buckets, x.nexthop(nh, 0))
	}
	x.e.SetGroup(id, buckets)
	if prefix != "" {
		p := netip.MustParsePrefix(prefix)
		if err := x.tables[0].Insert(p, uint32(id)); err != nil {
			x.t.Fatal(err)
		}
	}
}

func forwardTo(i intf.Index, gateway string) routing.NextHop {
	return routing.NextHop{Kind: routing.Forward, IfIndex: i, Gateway: ip(gateway)}
}

// way says by which port a packet leaves, "" if it doesn't.
func (x *world) way(frame []byte) string {
	x.t.Helper()
	x.push("a", frame)
	x.run()
	out := x.collect()
	if len(out) != 1 {
		return ""
	}
	return out[0][:1]
}

// fragment6 is a fragment header (RFC 8200, 4.5) before a piece of UDP.
func fragment6(offset int, more bool, piece []byte) []byte {
	field := offset / 8 << 3
	if more {
		field |= 1
	}
	return cat([]byte{17, 0}, be16(field), be32(7), piece)
}

func portsOf(src, dst int) []byte { return cat(be16(src), be16(dst), data(36)) }

// labelled is an IPv6 packet with a flow label.
func labelled(label uint32, p ip6) []byte {
	f := eth6(routerA, hostA, p)
	binary.BigEndian.PutUint32(f[14:], binary.BigEndian.Uint32(f[14:])&^0xfffff|label)
	return f
}

// TestFlows says which packets stay together and which may part.
func TestFlows(t *testing.T) {
	c := worldConfig()
	c.FlowSeed = 1
	x := newWorld(t, c)
	b4, c4 := forwardTo(unitB, "198.51.100.10"), forwardTo(unitC, "203.0.113.10")
	b6, c6 := forwardTo(unitB, "2001:db8:b::10"), forwardTo(unitC, "2001:db8:c::10")
	x.group(900, "20.0.0.0/8", b4, c4)
	x.group(901, "2620::/16", b6, c6)
	v4 := func(p ip4) []byte {
		p.src = "192.0.2.10"
		if p.dst == "" {
			p.dst = "20.0.0.1"
		}
		return eth4(routerA, hostA, p)
	}
	v6 := func(label int, p ip6) []byte {
		p.src = "2001:db8:a::10"
		if p.dst == "" {
			p.dst = "2620::1"
		}
		return labelled(uint32(label), p)
	}
	for _, tc := range []struct {
		name  string
		parts bool // some of the packets go by each way; else all by one
		frame func(i int) []byte
	}{
		{"IPv4 source ports", true, func(i int) []byte { return v4(ip4{payload: portsOf(i, 53)}) }},
		{"IPv4 destination ports", true, func(i int) []byte { return v4(ip4{payload: portsOf(53, i)}) }},
		{"IPv4 TCP ports", true, func(i int) []byte { return v4(ip4{proto: 6, payload: portsOf(i, 80)}) }},
		{"IPv4 ports behind options", true, func(i int) []byte { return v4(ip4{options: []byte{148, 4, 0, 0}, payload: portsOf(i, 53)}) }},
		{"IPv4 protocols", true, func(i int) []byte { return v4(ip4{proto: 64 + i%64, payload: data(40)}) }},
		{"IPv4 destinations", true, func(i int) []byte { return v4(ip4{dst: fmt.Sprint("20.0.0.", i), payload: data(40)}) }},
		{"IPv4 payload, id, TOS and TTL of one flow", false, func(i int) []byte {
			return v4(ip4{id: i, tos: i & 0xfc, ttl: 2 + i, payload: cat(be16(7), be16(9), data(8+i))})
		}},
		{"IPv4 options of one flow", false, func(i int) []byte {
			return v4(ip4{options: [][]byte{nil, {148, 4, 0, 0}}[i&1], payload: portsOf(7, 9)})
		}},
		{"IPv4 fragments, the first with ports", false, func(i int) []byte {
			return v4(ip4{mf: i%3 < 2, offset: i % 3 * 40, payload: portsOf(i, i)})
		}},
		{"IPv4 ICMP is no flow of ports", false, func(i int) []byte { return v4(ip4{proto: 1, payload: icmp4(8, 0, uint32(i), data(28))}) }},
		{"IPv4 ESP is no flow of ports", false, func(i int) []byte { return v4(ip4{proto: 50, payload: portsOf(i, i)}) }},
		{"IPv4 UDP too short for ports", false, func(i int) []byte { return v4(ip4{payload: data(2)}) }},
		{"IPv6 source ports", true, func(i int) []byte { return v6(0, ip6{payload: portsOf(i, 53)}) }},
		{"IPv6 flow labels", true, func(i int) []byte { return v6(i<<8, ip6{payload: portsOf(7, 9)}) }},
		{"IPv6 flow labels of fragments", true, func(i int) []byte { return v6(i, ip6{next: 44, payload: fragment6(40, false, data(40))}) }},
		{"IPv6 destinations", true, func(i int) []byte { return v6(0, ip6{dst: fmt.Sprintf("2620::%x", i+1), payload: data(40)}) }},
		{"IPv6 ports behind destination options", true, func(i int) []byte {
			return v6(0, ip6{next: 60, payload: cat([]byte{17, 0, 1, 4, 0, 0, 0, 0}, portsOf(i, 53))})
		}},
		{"IPv6 one flow with and without options", false, func(i int) []byte {
			if i&1 == 0 {
				return v6(5, ip6{payload: portsOf(7, 9)})
			}
			return v6(5, ip6{next: 60, payload: cat([]byte{17, 0, 1, 4, 0, 0, 0, 0}, portsOf(7, 9))})
		}},
		{"IPv6 atomic fragments are whole (RFC 6946)", true, func(i int) []byte {
			return v6(0, ip6{next: 44, payload: fragment6(0, false, portsOf(i, 53))})
		}},
		{"IPv6 fragments, the first with ports", false, func(i int) []byte {
			return v6(9, ip6{next: 44, payload: fragment6(i%3*40, i%3 < 2, portsOf(i, i))})
		}},
		{"IPv6 header chain cut off", false, func(i int) []byte {
			return v6(9, ip6{next: 60, payload: cat([]byte{17, 200}, data(i))})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x.t = t
			ways := map[string]int{}
			for i := range 100 {
				ways[x.way(tc.frame(i))]++
			}
			switch {
			case ways["b"]+ways["c"] != 100:
				t.Errorf("packets went by %v", ways)
			case tc.parts && (ways["b"] < 25 || ways["c"] < 25):
				t.Errorf("they hardly part: %v", ways)
			case !tc.parts && len(ways) != 1:
				t.Errorf("they part: %v", ways)
			}
			x.checkAccounts()
		})
	}
}

// TestGroupSpreads: flows fall to buckets evenly, in a router behind another
// too, and in a group behind a group.
func TestGroupSpreads(t *testing.T) {
	const flows = 20000
	frames := func(i int) []byte {
		return eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "20.0.0.1", payload: portsOf(1024+i, 53)})
	}
	b, c, q := forwardTo(unitB, "198.51.100.10"), forwardTo(unitC, "203.0.113.10"), forwardTo(unitQ, "10.4.0.10")
	share := func(t *testing.T, name string, n, of int, want float64) {
		t.Helper()
		if sigma := math.Sqrt(float64(of) * want * (1 - want)); math.Abs(float64(n)-float64(of)*want) > 4*sigma {
			t.Errorf("%s: %d of %d flows, want %.0f ± %.0f", name, n, of, float64(of)*want, 4*sigma)
		}
	}
	world := func(t *testing.T, seed uint64) *world {
		config := worldConfig()
		config.FlowSeed = seed
		return newWorld(t, config)
	}
	t.Run("in proportion to the buckets", func(t *testing.T) {
		x := world(t, 7)
		x.group(900, "20.0.0.0/8", b, b, b, c)
		n := map[string]int{}
		for i := range flows {
			n[x.way(frames(i))]++
		}
		share(t, "b", n["b"], flows, 0.75)
		share(t, "c", n["c"], flows, 0.25)
	})
	t.Run("in a second router independently of the first", func(t *testing.T) {
		first, second := world(t, 7), world(t, 8)
		first.group(900, "20.0.0.0/8", b, c)
		second.group(900, "20.0.0.0/8", b, c)
		n, of := 0, 0
		for i := range flows {
			if first.way(frames(i)) == "b" {
				of++
				if second.way(frames(i)) == "b" {
					n++
				}
			}
		}
		share(t, "b after b", n, of, 0.5)
	})
	t.Run("in a group behind a group", func(t *testing.T) {
		x := world(t, 7)
		x.group(901, "", b, c)
		x.e.SetNextHop(902, routing.NextHop{Kind: routing.Indirect, Gateway: ip("172.16.0.1")}, 901)
		x.e.SetGroup(900, []routing.NextHopID{902, x.nexthop(q, 0)})
		if err := x.tables[0].Insert(netip.MustParsePrefix("20.0.0.0/8"), 900); err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for i := range flows {
			f := frames(i)
			x.push("a", f)
			x.run()
			for _, out := range x.collect() {
				n[out[:1]+out[26:30]]++ // the port and the EtherType or TPID
			}
		}
		share(t, "b", n["b0800"], flows, 0.25)
		share(t, "c", n["c8100"], flows, 0.25)
		share(t, "q", n["c88a8"], flows, 0.5)
	})
}

// TestGroupChanges: one store changes where a group leads.
func TestGroupChanges(t *testing.T) {
	x := newWorld(t, worldConfig())
	frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "20.0.0.1", payload: data(40)})
	b, c := forwardTo(unitB, "198.51.100.10"), forwardTo(unitC, "203.0.113.10")
	x.group(900, "20.0.0.0/8", b)
	if got := x.way(frame); got != "b" {
		t.Errorf("one member: the packet leaves by %q", got)
	}
	x.group(900, "", c)
	if got := x.way(frame); got != "c" {
		t.Errorf("another member: the packet leaves by %q", got)
	}
	// A member that resolves the destination itself.
	x.route(0, "20.0.0.0/8", routing.NextHop{Kind: routing.Discard})
	x.group(900, "192.0.2.0/24", routing.NextHop{Kind: routing.Resolve, IfIndex: unitA})
	back := eth4(routerB, hostB, ip4{src: "198.51.100.10", dst: "192.0.2.99", payload: data(40)})
	x.push("b", back)
	x.run()
	if x.collect(); len(x.punts) != 1 {
		t.Errorf("a member that resolves: punts %v", x.punts)
	}
	x.group(900, "20.0.0.0/8")
	x.check(step{in: "a", frame: frame, drop: "no-route"})
	x.e.SetGroup(0, nil)
	x.e.DeleteNextHop(900)
}

// groupLine is a line whose default route is a group of n neighbours, and whose
// frames are of as many flows; with n 0 it is one neighbour without a group.
func groupLine(tb testing.TB, f intf.Family, n int) (*world, *worker) {
	frames := make([][]byte, 1<<12)
	for i := range frames {
		if f == intf.Inet {
			frames[i] = eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.18.0.1", payload: cat(be16(i), be16(53), data(22))})
		} else {
			frames[i] = eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2620::1", payload: cat(be16(i), be16(53), data(2))})
		}
	}
	next := 0
	x, w := newLine(tb, 1<<20, func(frame []byte) int {
		next = (next + 1) & (len(frames) - 1)
		return copy(frame, frames[next])
	})
	prefix, format := "0.0.0.0/0", "198.51.100.%d"
	if f == intf.Inet6 {
		prefix, format = "::/0", "2001:db8:b::%d"
	}
	if n == 0 {
		x.route(0, prefix, forwardTo(unitB, fmt.Sprintf(format, 10)))
		return x, w
	}
	slots := make([]routing.NextHop, 256)
	for i := range slots {
		gateway := fmt.Sprintf(format, 10+i%n)
		x.neighbor(0, unitB, hostB, gateway)
		slots[i] = forwardTo(unitB, gateway)
	}
	x.group(900, prefix, slots...)
	return x, w
}

func TestGroupAllocatesNothing(t *testing.T) {
	for _, f := range intf.Families {
		x, w := groupLine(t, f, 8)
		round := func() {
			x.now += time.Millisecond
			if n := w.runOnce(); n < batchSize {
				t.Fatalf("a batch of %d", n)
			}
		}
		round()
		if n := testing.AllocsPerRun(1000, round); n != 0 {
			t.Errorf("%v: %v allocations in a batch", f, n)
		}
		x.checkAccounts()
		if s := x.e.Totals(); s.Sent != s.Received || s.Sent == 0 {
			t.Errorf("%v: %+v, drops %v", f, s, x.drops())
		}
	}
}

// BenchmarkForwardGroup measures as BenchmarkForward does, with one route.
// members=0 is the same route without a group.
func BenchmarkForwardGroup(b *testing.B) {
	for _, f := range intf.Families {
		for _, n := range []int{0, 2, 64} {
			b.Run(fmt.Sprintf("%v/members=%d", f, n), func(b *testing.B) {
				x, w := groupLine(b, f, n)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				b.ReportAllocs()
				b.ResetTimer()
				before := threadTime(b)
				for n := 0; n < b.N; n += batchSize {
					w.runOnce()
				}
				b.StopTimer()
				b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op")
				if s := x.e.Totals(); s.Sent == 0 || s.Sent != s.Received {
					b.Fatalf("not everything was forwarded: %+v, drops %v", s, x.drops())
				}
			})
		}
	}
}
