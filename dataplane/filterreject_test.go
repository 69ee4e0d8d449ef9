package dataplane

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"router/dataplane/filter"
	"router/intf"
)

func rejectWith(k filter.RejectKind) filter.Term {
	return do(filter.Action{Kind: filter.Reject, Reject: k})
}

// prohibited is the ICMP error that the router sends from one of its addresses, as
// a packet, about another.
func prohibited(from string, quoted []byte) []byte {
	if quoted[0]>>4 == 4 {
		return ip4{src: from, dst: addr4At(quoted[12:]), proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, 13, 0, quoted)}.bytes()
	}
	dst := addr6At(quoted[8:])
	return ip6{src: from, dst: dst, next: 58, payload: icmp6(from, dst, 1, 1, 0, quoted)}.bytes()
}

func addr4At(b []byte) string { return addrFrom4(binary.BigEndian.Uint32(b)).String() }

func addr6At(b []byte) string {
	return addrFrom6(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])).String()
}

func TestFilterReject(t *testing.T) {
	eachWay(t, func(x *world, v way) {
		// What the router tells itself meets its output-local filter like all it says.
		x.bind(v.unit, v.fam, v.hook, to(v.dst(), filter.Action{Kind: filter.Reject}), do(filter.Action{}))
		quoted := v.l3
		if v.hook == filter.Output {
			quoted = v.sent // RFC 1812, 4.3.2.3: what forwarding did need not be undone
		}
		answer := prohibited([]string{"192.0.2.1", "2001:db8:a::1"}[v.fam], quoted)
		if v.in == "" {
			x.walk(v, step{host: toHost(unitA, v.fam, answer), drop: "filtered"})
			return
		}
		x.walk(v, step{out: []string{frameOut("a", eth(hostA, routerA, nil, int(etherTypes[v.fam]), answer))}, drop: "filtered"})
	})
}

func TestFilterRejectKinds(t *testing.T) {
	p4 := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	p6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", next: 60,
		payload: cat([]byte{43, 0, 1, 4, 0, 0, 0, 0}, []byte{17, 2, 4, 0}, data(20), data(30))}
	for _, c := range []struct {
		kind       filter.RejectKind
		c4, t6, c6 int
		pointer    uint32
	}{
		{filter.RejectProhibited, 13, 1, 1, 0},
		{filter.RejectNetwork, 0, 1, 0, 0},
		{filter.RejectHost, 1, 1, 3, 0},
		{filter.RejectProtocol, 2, 4, 1, 48}, // where the routing header names UDP
		{filter.RejectPort, 3, 1, 4, 0},
		{filter.RejectNetProhibited, 9, 1, 1, 0},
		{filter.RejectHostProhibited, 10, 1, 1, 0},
		{filter.RejectPolicy, 13, 1, 5, 0},
		{filter.RejectRoute, 13, 1, 6, 0},
		{filter.RejectTCPReset, 13, 1, 1, 0}, // no TCP here
	} {
		t.Run(fmt.Sprint(c.kind), func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.bind(unitA, intf.Inet, filter.Input, rejectWith(c.kind))
			x.bind(unitA, intf.Inet6, filter.Input, rejectWith(c.kind))
			x.check(step{in: "a", frame: eth4(routerA, hostA, p4), drop: "filtered", out: []string{frameOut("a", eth4(hostA, routerA, ip4{
				src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, c.c4, 0, p4.bytes()),
			}))}})
			x.check(step{in: "a", frame: eth6(routerA, hostA, p6), drop: "filtered", out: []string{frameOut("a", eth6(hostA, routerA, ip6{
				src: "2001:db8:a::1", dst: "2001:db8:a::10", next: 58,
				payload: icmp6("2001:db8:a::1", "2001:db8:a::10", c.t6, c.c6, c.pointer, p6.bytes()),
			}))}})
		})
	}
}

// tcp is a segment with a whole checksum.
func tcp(src, dst string, flags int, seq, ack uint32, payload []byte) []byte {
	s := cat(be16(1000), be16(80), be32(seq), be32(ack), []byte{0x50, byte(flags)}, be16(8192), be16(0), be16(0), payload)
	pseudo := cat(ip(src).AsSlice(), ip(dst).AsSlice(), be32(uint32(len(s))), be32(6))
	binary.BigEndian.PutUint16(s[16:], ^onesSum(pseudo, s))
	return s
}

// turned is the segment that answers one of tcp's.
func turned(src, dst string, flags int, seq, ack uint32) []byte {
	s := cat(be16(80), be16(1000), be32(seq), be32(ack), []byte{0x50, byte(flags)}, be16(0), be16(0), be16(0))
	pseudo := cat(ip(src).AsSlice(), ip(dst).AsSlice(), be32(20), be32(6))
	binary.BigEndian.PutUint16(s[16:], ^onesSum(pseudo, s))
	return s
}

// unidentified is p with an identification of 0, which ip4 does not make.
func unidentified(p ip4) []byte {
	b := p.bytes()
	b[4], b[5], b[10], b[11] = 0, 0, 0, 0
	copy(b[10:], be16(int(^onesSum(b[:20]))))
	return b
}

func TestFilterReset(t *testing.T) {
	const client, server, client6, server6 = "192.0.2.10", "198.51.100.10", "2001:db8:a::10", "2001:db8:b::10"
	const fin, syn, rst, ack = 1, 2, 4, 16
	for _, c := range []struct {
		name           string
		flags, payload int
		want           int // flags of the reset; 0 is none
		seq, ack       uint32
	}{
		{"a SYN is acknowledged", syn, 0, rst | ack, 0, 1001},
		{"a SYN with data", syn, 10, rst | ack, 0, 1011},
		{"data without ACK", 0, 10, rst | ack, 0, 1010},
		{"FIN without ACK", fin, 10, rst | ack, 0, 1011},
		{"what acknowledges says where it listens", ack, 10, rst, 5000, 0},
		{"SYN and ACK", syn | ack, 0, rst, 5000, 0},
		{"a reset has no answer", rst, 0, 0, 0, 0},
		{"nor has one that acknowledges", rst | ack, 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, h := range []filter.Hook{filter.Input, filter.Output} {
				x := newWorld(t, worldConfig())
				u := unitA
				if h == filter.Output {
					u = unitB
				}
				x.bind(u, intf.Inet, h, rejectWith(filter.RejectTCPReset))
				x.bind(u, intf.Inet6, h, rejectWith(filter.RejectTCPReset))
				s := step{in: "a", drop: "filtered", frame: eth4(routerA, hostA, ip4{src: client, dst: server, proto: 6,
					payload: tcp(client, server, c.flags, 1000, 5000, data(c.payload))})}
				s6 := step{in: "a", drop: "filtered", frame: eth6(routerA, hostA, ip6{src: client6, dst: server6, next: 6,
					payload: tcp(client6, server6, c.flags, 1000, 5000, data(c.payload))})}
				if c.want != 0 {
					reset := ip4{src: server, dst: client, proto: 6, df: true, payload: turned(server, client, c.want, c.seq, c.ack)}
					s.out = []string{frameOut("a", eth(hostA, routerA, nil, 0x800, unidentified(reset)))}
					s6.out = []string{frameOut("a", eth6(hostA, routerA, ip6{src: server6, dst: client6, next: 6,
						payload: turned(server6, client6, c.want, c.seq, c.ack)}))}
				}
				x.check(s)
				x.check(s6)
			}
		})
	}
	t.Run("no answer to what came in a link broadcast", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, rejectWith(filter.RejectTCPReset))
		x.check(step{in: "a", drop: "filtered", frame: eth4(intf.Broadcast, hostA, ip4{src: client, dst: server, proto: 6,
			payload: tcp(client, server, syn, 1000, 0, nil)})})
	})
	t.Run("nor to a fragment", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, rejectWith(filter.RejectTCPReset))
		x.check(step{in: "a", drop: "filtered", frame: eth4(routerA, hostA, ip4{src: client, dst: server, proto: 6, mf: true,
			payload: tcp(client, server, syn, 1000, 0, data(12))})})
	})
	t.Run("nor without a source", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, rejectWith(filter.RejectTCPReset))
		x.check(step{in: "a", drop: "filtered", frame: eth4(routerA, hostA, ip4{src: "0.0.0.0", dst: server, proto: 6,
			payload: tcp("0.0.0.0", server, syn, 1000, 0, nil)})})
	})
	t.Run("the host's own connection is refused at once", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.OutputLocal, to(server, filter.Action{Kind: filter.Reject, Reject: filter.RejectTCPReset}), do(filter.Action{}))
		mine := ip4{src: "192.0.2.1", dst: server, proto: 6, payload: tcp("192.0.2.1", server, syn, 1000, 0, nil)}
		reset := ip4{src: server, dst: "192.0.2.1", proto: 6, df: true, payload: turned(server, "192.0.2.1", rst|ack, 0, 1001)}
		before := x.drops()
		if err := x.e.Originate(0, unitA, mine.bytes()); err != nil {
			t.Fatal(err)
		}
		x.run()
		x.expect(step{host: toHost(unitA, intf.Inet, unidentified(reset)), drop: "filtered"}, before)
	})
}

// The router does not answer what it said itself, however it is refused.
func TestFilterRejectsReplies(t *testing.T) {
	expired := ip4{src: "192.0.2.10", dst: "198.51.100.10", ttl: 1, payload: data(30)}
	segment := ip4{src: "192.0.2.10", dst: "198.51.100.10", proto: 6, payload: tcp("192.0.2.10", "198.51.100.10", 2, 1000, 0, nil)}
	for _, h := range []filter.Hook{filter.OutputLocal, filter.Output} {
		for _, kind := range []filter.RejectKind{filter.RejectHost, filter.RejectTCPReset} {
			t.Run(fmt.Sprintf("%v kind %d", h, kind), func(t *testing.T) {
				x := newWorld(t, worldConfig())
				x.bind(unitA, intf.Inet, h, rejectWith(kind))
				x.push("a", eth4(routerA, hostA, expired))
				x.bind(unitB, intf.Inet, filter.Output, rejectWith(filter.RejectTCPReset))
				x.push("a", eth4(routerA, hostA, segment))
				x.run()
				if got := x.collect(); len(got)+len(x.host) != 0 {
					t.Errorf("got %v and %v", got, x.host)
				}
				if d := x.drops(); d["filtered"] != 3 || d["ttl-exceeded"] != 1 {
					t.Errorf("drops: %v", d)
				}
				x.checkAccounts()
			})
		}
	}
}

// A reject route in the way of a reset is where it ends.
func TestResetMeetsRejectRoute(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.bind(unitA, intf.Inet, filter.Input, rejectWith(filter.RejectTCPReset))
	x.push("a", eth4(routerA, hostA, ip4{src: "9.9.9.9", dst: "198.51.100.10", proto: 6, payload: tcp("9.9.9.9", "198.51.100.10", 2, 1000, 0, nil)}))
	x.run()
	if got := x.collect(); len(got)+len(x.host) != 0 {
		t.Errorf("got %v and %v", got, x.host)
	}
	if d := x.drops(); d["filtered"] != 1 || d["reject-route"] != 1 {
		t.Errorf("drops: %v", d)
	}
	x.checkAccounts()
}

// Resets and ICMP errors share the limits of a unit.
func TestFilterRejectLimits(t *testing.T) {
	c := worldConfig()
	c.ICMPUnit = Rate{PerSecond: 10, Burst: 5}
	for _, kind := range []filter.RejectKind{filter.RejectProhibited, filter.RejectTCPReset} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			x := newWorld(t, c)
			x.bind(unitA, intf.Inet, filter.Input, rejectWith(kind))
			frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", proto: 6, payload: tcp("192.0.2.10", "198.51.100.10", 2, 1000, 0, nil)})
			for range 50 {
				x.push("a", slices.Clone(frame))
			}
			x.run()
			if got := x.collect(); len(got) != 5 {
				t.Errorf("%d answers, want 5", len(got))
			}
			x.checkAccounts()
		})
	}
}
