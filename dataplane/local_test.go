package dataplane

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"router/dataplane/session"
	"router/intf"
)

// segment is a TCP segment from port 40000 without options.
func segment(src, dst string, port int, flags byte, seq, ack uint32, data []byte) []byte {
	s := cat(be16(40000), be16(port), be32(seq), be32(ack), []byte{5 << 4, flags}, be16(0), be16(0), be16(0), data)
	binary.BigEndian.PutUint16(s[16:], ^onesSum(ip(src).AsSlice(), ip(dst).AsSlice(), be32(uint32(len(s))), be32(6), s))
	return s
}

// answer is the segment that comes back: ports swapped.
func answer(src, dst string, port int, flags byte, seq, ack uint32) []byte {
	s := cat(be16(port), be16(40000), be32(seq), be32(ack), []byte{5 << 4, flags}, be16(0), be16(0), be16(0))
	binary.BigEndian.PutUint16(s[16:], ^onesSum(ip(src).AsSlice(), ip(dst).AsSlice(), be32(uint32(len(s))), be32(6), s))
	return s
}

func toPort(protocol, n int) session.Match {
	return session.Match{Fields: session.HasProtocol | session.HasLocalPort, Protocol: session.Protocol(protocol), LocalPort: uint16(n)}
}

func ofProtocol(n int) session.Match {
	return session.Match{Fields: session.HasProtocol, Protocol: session.Protocol(n)}
}

// sessionWorld has echo with the router, TCP 22 with the host and the rest of TCP
// and UDP refused, protocol 99 too; protocol 98 is discarded.
func sessionWorld(t testing.TB) *world {
	x := newWorld(t, worldConfig())
	x.e.SetClass(1, Rate{1_000_000, 1000})
	for i, s := range []Session{
		{Match: toPort(1, 8), Consumer: session.ToRouter}, {Match: toPort(58, 128), Consumer: session.ToRouter},
		{Match: toPort(6, 22), Consumer: session.ToHost}, {Match: ofProtocol(6), Consumer: session.ToReject}, {Match: ofProtocol(17), Consumer: session.ToReject},
		{Match: ofProtocol(99), Consumer: session.ToReject}, {Match: ofProtocol(98), Consumer: session.ToDiscard},
		{Match: toPort(6, 830), Consumer: session.ToKernel},
		{Match: session.Match{Fields: session.HasProtocol | session.HasIfIndex, Protocol: session.ARP, IfIndex: unitC}, Consumer: session.ToDiscard},
	} {
		s.Class = 1
		x.e.SetSession(SessionID(i+1), s)
	}
	return x
}

func TestLocalConsumers(t *testing.T) {
	const a4, r4, a6, r6 = "192.0.2.10", "192.0.2.1", "2001:db8:a::10", "2001:db8:a::1"
	x := sessionWorld(t)
	from := func(proto int, payload []byte) ip4 { return ip4{src: a4, dst: r4, proto: proto, payload: payload} }
	from6 := func(next int, payload []byte) ip6 { return ip6{src: a6, dst: r6, next: next, payload: payload} }
	to := func(proto int, payload []byte) ip4 { return ip4{src: r4, dst: a4, proto: proto, payload: payload} }
	to6 := func(next int, payload []byte) ip6 { return ip6{src: r6, dst: a6, next: next, payload: payload} }
	out := func(p ip4) []string { return []string{frameOut("a", eth4(hostA, routerA, p))} }
	out6 := func(p ip6) []string { return []string{frameOut("a", eth6(hostA, routerA, p))} }
	tos := func(p ip4, tos, id int) ip4 { p.tos, p.id = tos, id; return p }
	df := func(p ip4) ip4 { p.df = true; return p }
	rst := func(p ip4) []byte {
		b := p.bytes()
		b[4], b[5], b[6] = 0, 0, 0x40
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ^onesSum(b[:20]))
		return b
	}
	udp4 := from(17, udp(a4, r4, data(9), false))
	udp6 := from6(17, udp(a6, r6, data(9), false))
	options := from(1, icmp4(8, 0, 7<<16|1, data(9)))
	options.options = []byte{7, 7, 4, 0, 0, 0, 0, 0}
	bad := from(1, icmp4(8, 0, 7<<16|1, data(9)))
	bad.payload[9] ^= 1
	later := from(17, data(16))
	later.offset = 64
	hop := cat([]byte{6, 0, 1, 4, 0, 0, 0, 0}, segment(a6, r6, 22, 2, 5, 0, nil))
	unknown := cat([]byte{99, 0, 1, 4, 0, 0, 0, 0}, data(8))
	for _, s := range []step{
		{name: "echo is answered by the router", frame: eth4(routerA, hostA, df(tos(from(1, icmp4(8, 0, 7<<16|1, data(57))), 0xb8, 9))),
			out: out(tos(to(1, icmp4(0, 0, 7<<16|1, data(57))), 0xb8, 1))},
		{name: "IPv6 echo is answered by the router", frame: eth6(routerA, hostA, from6(58, icmp6(a6, r6, 128, 0, 7<<16|1, data(57)))),
			out: out6(to6(58, icmp6(r6, a6, 129, 0, 7<<16|1, data(57))))},
		{name: "echo from link-local to link-local", frame: eth6(routerA, hostA, ip6{src: "fe80::1:a", dst: "fe80::a", next: 58, payload: icmp6("fe80::1:a", "fe80::a", 128, 0, 1, data(8))}),
			out: out6(ip6{src: "fe80::a", dst: "fe80::1:a", next: 58, payload: icmp6("fe80::a", "fe80::1:a", 129, 0, 1, data(8))})},
		{name: "echo with options is the host's", frame: eth4(routerA, hostA, options), host: toHost(unitA, intf.Inet, options.bytes())},
		{name: "echo to a broadcast address is the host's", frame: eth4(intf.Broadcast, hostA, ip4{src: a4, dst: "192.0.2.255", proto: 1, payload: icmp4(8, 0, 1, nil)}),
			host: toHost(unitA, intf.Inet, ip4{src: a4, dst: "192.0.2.255", proto: 1, payload: icmp4(8, 0, 1, nil)}.bytes())},
		{name: "echo with a bad checksum", frame: eth4(routerA, hostA, bad), drop: "bad-checksum"},
		{name: "TCP to an open port", frame: eth4(routerA, hostA, from(6, segment(a4, r4, 22, 2, 5, 0, nil))),
			host: toHost(unitA, intf.Inet, from(6, segment(a4, r4, 22, 2, 5, 0, nil)).bytes())},
		{name: "behind destination options", frame: eth6(routerA, hostA, from6(60, hop)), host: toHost(unitA, intf.Inet6, from6(60, hop).bytes())},
		{name: "what the kernel should have got goes to the host", frame: eth4(routerA, hostA, from(6, segment(a4, r4, 830, 2, 5, 0, nil))),
			host: toHost(unitA, intf.Inet, from(6, segment(a4, r4, 830, 2, 5, 0, nil)).bytes())},
		{name: "TCP to a closed port is reset", frame: eth4(routerA, hostA, from(6, segment(a4, r4, 23, 2, 5, 0, nil))),
			out: []string{frameOut("a", eth(hostA, routerA, nil, 0x800, rst(to(6, answer(r4, a4, 23, 0x14, 0, 6)))))}, drop: "local-rejected"},
		{name: "IPv6 TCP to a closed port is reset", frame: eth6(routerA, hostA, from6(6, segment(a6, r6, 23, 0x10, 5, 77, nil))),
			out: out6(to6(6, answer(r6, a6, 23, 4, 77, 0))), drop: "local-rejected"},
		{name: "a reset is not answered", frame: eth4(routerA, hostA, from(6, segment(a4, r4, 23, 4, 5, 0, nil))), drop: "local-rejected"},
		{name: "UDP to a closed port, to another of our addresses", frame: eth4(routerA, hostA, ip4{src: a4, dst: "203.0.113.1", payload: udp(a4, "203.0.113.1", data(9), false)}),
			out:  out(tos(ip4{src: "203.0.113.1", dst: a4, proto: 1, payload: icmp4(3, 3, 0, ip4{src: a4, dst: "203.0.113.1", payload: udp(a4, "203.0.113.1", data(9), false)}.bytes())}, 0xc0, 2)),
			drop: "local-rejected"},
		{name: "IPv6 UDP to a closed port", frame: eth6(routerA, hostA, udp6),
			out: out6(to6(58, icmp6(r6, a6, 1, 4, 0, udp6.bytes()))), drop: "local-rejected"},
		{name: "UDP to a broadcast address", frame: eth4(intf.Broadcast, hostA, ip4{src: a4, dst: "192.0.2.255", payload: udp4.payload}), drop: "local-rejected"},
		{name: "a later fragment matches its protocol", frame: eth4(routerA, hostA, later), drop: "local-rejected"},
		{name: "a protocol that nobody speaks", frame: eth4(routerA, hostA, from(99, data(8))),
			out: out(tos(to(1, icmp4(3, 2, 0, from(99, data(8)).bytes())), 0xc0, 3)), drop: "local-rejected"},
		{name: "an IPv6 protocol that nobody speaks", frame: eth6(routerA, hostA, from6(99, data(8))),
			out: out6(to6(58, icmp6(r6, a6, 4, 1, 6, from6(99, data(8)).bytes()))), drop: "local-rejected"},
		{name: "an IPv6 protocol behind options that nobody speaks", frame: eth6(routerA, hostA, from6(60, unknown)),
			out: out6(to6(58, icmp6(r6, a6, 4, 1, 40, from6(60, unknown).bytes()))), drop: "local-rejected"},
		{name: "a protocol that is discarded", frame: eth4(routerA, hostA, from(98, data(8))), drop: "local-discarded"},
		{name: "TCP without its ports", frame: eth4(routerA, hostA, from(6, data(3))), drop: "truncated"},
		{name: "what nothing matches is the host's", frame: eth4(routerA, hostA, from(89, data(30))), host: toHost(unitA, intf.Inet, from(89, data(30)).bytes())},
	} {
		t.Run(s.name, func(t *testing.T) {
			x.t, s.in = t, "a"
			x.check(s)
		})
	}
	x.t = t
	arp := eth(intf.Broadcast, hostC, tagC, 0x806, cat(be16(1), be16(0x800), []byte{6, 4}, be16(1), hostC[:], ip("203.0.113.10").AsSlice(), make([]byte, 6), ip("203.0.113.1").AsSlice()))
	x.check(step{in: "c", frame: arp, drop: "local-discarded"})
	x.checkAccounts()
}

// TestEchoThatDoesNotFit: our own answer is fragmented, or is lost in silence.
func TestEchoThatDoesNotFit(t *testing.T) {
	x := sessionWorld(t)
	x.push("a", eth4(routerA, hostA, ip4{src: "198.51.100.10", dst: "192.0.2.1", proto: 1, df: true, payload: icmp4(8, 0, 1, data(1400))}))
	x.push("a", eth6(routerA, hostA, ip6{src: "2001:db8:b::10", dst: "2001:db8:a::1", next: 58, payload: icmp6("2001:db8:b::10", "2001:db8:a::1", 128, 0, 1, data(1400))}))
	x.run()
	out := x.collect()
	if len(out) != 2 || !strings.HasPrefix(out[0], "b ") || len(x.host) != 0 {
		t.Errorf("out %d, host %v", len(out), x.host)
	}
	if d := x.drops(); d["too-big"] != 1 {
		t.Errorf("drops: %v", d)
	}
	x.checkAccounts()
}

func TestLocalClasses(t *testing.T) {
	x := sessionWorld(t)
	x.e.SetClass(2, Rate{100, 10})
	x.e.SetSession(20, Session{Match: toPort(6, 179), Consumer: session.ToHost, Class: 2})
	x.e.SetSession(21, Session{Match: ofProtocol(89), Consumer: session.ToHost, Class: 2})
	for range 8 {
		x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 6, payload: segment("192.0.2.10", "192.0.2.1", 179, 2, 5, 0, nil)}))
		x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 89, payload: data(30)}))
	}
	x.run()
	x.collect()
	bgp, _ := x.e.SessionCounters(20)
	class, _ := x.e.ClassCounters(2)
	if len(x.host) != 10 || class.Packets != 16 || class.Policed != 6 || class.Dropped != 6 || class.Octets != 8*40+8*50 || bgp.Packets != 8 {
		t.Errorf("%d delivered, class %+v, session %+v", len(x.host), class, bgp)
	}
	if d := x.drops(); d["local-policed"] != 6 {
		t.Errorf("drops: %v", d)
	}
	// Counters outlive a change, and end with the session.
	x.e.SetSession(20, Session{Match: toPort(6, 180), Consumer: session.ToDiscard, Class: 1})
	if c, _ := x.e.SessionCounters(20); c != bgp {
		t.Errorf("counters after a change: %+v, before %+v", c, bgp)
	}
	x.e.DeleteSession(20)
	x.e.DeleteSession(20)
	if _, ok := x.e.SessionCounters(20); ok {
		t.Error("a deleted session has counters")
	}
	// The match of another is taken over, and is not lost with the former owner.
	x.e.SetSession(30, Session{Match: ofProtocol(89), Consumer: session.ToDiscard, Class: 1})
	x.e.DeleteSession(21)
	x.check(step{in: "a", frame: eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 89, payload: data(30)}), drop: "local-discarded"})
	x.checkAccounts()
}

// TestHostRingShares: a class that fills the host's ring leaves room for another.
func TestHostRingShares(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.e.SetClass(1, Rate{1e9, 1e6})
	x.e.SetClass(2, Rate{1e9, 1e6})
	x.e.SetSession(1, Session{Match: ofProtocol(98), Class: 1})
	x.e.SetSession(2, Session{Match: ofProtocol(89), Class: 2})
	send := func(n, proto int) {
		for range n {
			x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: proto, payload: data(30)}))
			x.run()
		}
	}
	send(5000, 98)
	send(50, 89)
	x.collect()
	got := map[string]int{}
	for _, p := range x.host {
		f := strings.Fields(p)[2]
		got[f[18:20]]++
	}
	if want := (map[string]int{fmt.Sprintf("%x", 98): hostOutRing * hostShare / (hostShare + 1), fmt.Sprintf("%x", 89): 50}); got["62"] != want["62"] || got["59"] != 50 {
		t.Errorf("delivered by protocol (hex): %v, want %v", got, want)
	}
	c, _ := x.e.ClassCounters(1)
	if c.Dropped != 5000-uint64(got["62"]) || c.Policed != 0 {
		t.Errorf("class: %+v", c)
	}
	send(100, 98)
	x.collect()
	if len(x.host) != 100 {
		t.Errorf("%d of 100 packets after the ring was emptied", len(x.host))
	}
	x.checkAccounts()
}

// BenchmarkLocal is one packet for the router itself, from memory port to what
// becomes of it, with the sessions of sessionWorld and n others.
func BenchmarkLocal(b *testing.B) {
	kinds := []struct {
		name  string
		frame []byte
	}{
		{"host", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 6, payload: segment("192.0.2.10", "192.0.2.1", 22, 2, 5, 0, nil)})},
		{"echo", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 1, payload: icmp4(8, 0, 1, data(22))})},
		{"policed", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 89, payload: data(22)})},
		{"discarded", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", proto: 98, payload: data(22)})},
	}
	for _, n := range []int{0, 100_000} {
		for _, k := range kinds {
			b.Run(fmt.Sprintf("sessions=%d/%s", n, k.name), func(b *testing.B) {
				x, w := newLine(b, 1<<20, func(frame []byte) int { return copy(frame, k.frame) })
				x.network(0, unitA, "192.0.2.1/24", "2001:db8:a::1/64")
				x.neighbor(0, unitA, hostA, "192.0.2.10")
				x.e.SetClass(1, Rate{1e9, 1e6})
				x.e.SetClass(2, Rate{1, 1})
				for i, s := range []Session{
					{Match: toPort(6, 22), Class: 1}, {Match: toPort(1, 8), Consumer: session.ToRouter, Class: 1},
					{Match: ofProtocol(89), Class: 2}, {Match: ofProtocol(98), Consumer: session.ToDiscard, Class: 1}, {Class: 1},
				} {
					x.e.SetSession(SessionID(i), s)
				}
				for i := range n {
					m := toPort(6, 179)
					m.Remote = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
					x.e.SetSession(SessionID(10+i), Session{Match: m, Class: 1})
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i%batchSize == 0 {
						w.runOnce()
						for s, _ := w.hostOut.peek(); s != nil; s, _ = w.hostOut.peek() {
							w.releaseHost(s)
						}
					}
				}
			})
		}
	}
}
