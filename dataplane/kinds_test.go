package dataplane

import (
	"fmt"
	"testing"

	"router/intf"
	"router/routing"
)

// kindCases is the table of docs/architecture.md, "What next hops do": each
// kind of next hop for a packet that was received from port a and for one that
// the host sent by unit A. What is received has been forwarded when it leaves,
// and has a TTL less; what is originated has not.
func kindCases() []struct {
	kind                 routing.Kind
	prep                 func(x *world)
	dst                  string
	received, originated step
} {
	const dst = "10.9.9.9"
	theirs := func(dst string, ttl int) ip4 { return ip4{src: "192.0.2.10", dst: dst, ttl: ttl, payload: data(30)} }
	ours := func(dst string) ip4 { return ip4{src: "192.0.2.1", dst: dst, payload: data(30)} }
	toB := func(mac intf.MAC, p ip4) step { return step{out: []string{frameOut("b", eth4(mac, routerB, p))}} }
	gateway := routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.10")}
	forwarded, sent := toB(hostB, theirs(dst, 63)), toB(hostB, ours(dst))
	route := func(nh routing.NextHop) func(*world) {
		return func(x *world) { x.route(0, "10.9.0.0/16", nh) }
	}
	nothing := func(*world) {}
	return []struct {
		kind                 routing.Kind
		prep                 func(x *world)
		dst                  string
		received, originated step
	}{
		{routing.Forward, route(gateway), dst, forwarded, sent},
		{routing.Resolve, nothing, "198.51.100.99",
			step{punts: unresolvedPunt(unitB, "198.51.100.99", unitA, false, 0x800, theirs("198.51.100.99", 63).bytes())},
			step{punts: unresolvedPunt(unitB, "198.51.100.99", unitA, true, 0x800, ours("198.51.100.99").bytes())}},
		{routing.Receive, nothing, "203.0.113.1",
			step{host: toHost(unitA, intf.Inet, theirs("203.0.113.1", 64).bytes())},
			step{host: toHost(unitA, intf.Inet, ours("203.0.113.1").bytes())}},
		{routing.Broadcast, nothing, "192.0.2.255",
			step{host: toHost(unitA, intf.Inet, theirs("192.0.2.255", 64).bytes())},
			step{out: []string{frameOut("a", eth4(intf.Broadcast, routerA, ours("192.0.2.255")))}}},
		{routing.Broadcast, nothing, "198.51.100.255",
			step{drop: "directed-broadcast"},
			toB(intf.Broadcast, ours("198.51.100.255"))},
		{routing.Broadcast, nothing, "255.255.255.255",
			step{host: toHost(unitA, intf.Inet, theirs("255.255.255.255", 64).bytes())},
			step{out: []string{frameOut("a", eth4(intf.Broadcast, routerA, ours("255.255.255.255")))}}},
		{routing.Discard, route(routing.NextHop{Kind: routing.Discard}), dst, step{drop: "discard-route"}, step{drop: "discard-route"}},
		{routing.Lookup, func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 1})
			x.route(1, "10.9.0.0/16", gateway)
		}, dst, forwarded, sent},
		{routing.Indirect, func(x *world) {
			indirect := routing.NextHop{Kind: routing.Indirect, Gateway: ip("172.16.0.1")}
			x.nexthop(indirect, x.nexthop(gateway, 0))
			x.route(0, "10.9.0.0/16", indirect)
		}, dst, forwarded, sent},
		{routing.Group, func(x *world) {
			x.e.SetGroup(900, []routing.NextHopID{x.nexthop(gateway, 0)})
			if err := x.tables[0].Insert(prefix("10.9.0.0/16"), 900); err != nil {
				x.t.Fatal(err)
			}
		}, dst, forwarded, sent},
		{routing.Choice, func(x *world) {
			x.e.SetChoice(900, []routing.Branch{{IfIndex: unitA, ID: x.nexthop(gateway, 0)}})
			if err := x.tables[0].Insert(prefix("10.9.0.0/16"), 900); err != nil {
				x.t.Fatal(err)
			}
		}, dst, forwarded, sent},
		{routing.Choice, func(x *world) {
			x.e.SetChoice(900, []routing.Branch{{IfIndex: unitC, ID: x.nexthop(gateway, 0)}})
			if err := x.tables[0].Insert(prefix("10.9.0.0/16"), 900); err != nil {
				x.t.Fatal(err)
			}
		}, dst, step{drop: "wrong-interface"}, sent},
	}
}

func TestReceivedAndOriginated(t *testing.T) {
	for _, c := range kindCases() {
		t.Run(fmt.Sprintf("%v %s received", c.kind, c.dst), func(t *testing.T) {
			x := newWorld(t, worldConfig())
			c.prep(x)
			frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: c.dst, payload: data(30)})
			c.received.in, c.received.frame = "a", frame
			x.check(c.received)
		})
		t.Run(fmt.Sprintf("%v %s originated", c.kind, c.dst), func(t *testing.T) {
			x := newWorld(t, worldConfig())
			c.prep(x)
			if err := x.e.Originate(0, unitA, ip4{src: "192.0.2.1", dst: c.dst, payload: data(30)}.bytes()); err != nil {
				t.Fatal(err)
			}
			x.run()
			x.expect(c.originated, nil)
		})
	}
}

// TestLinkLocalReceivedAndOriginated has the kind that IPv4 does without.
func TestLinkLocalReceivedAndOriginated(t *testing.T) {
	p := func(src, dst string) ip6 { return ip6{src: src, dst: dst, payload: data(30)} }
	for _, s := range []step{
		{name: "received for our address on the unit", in: "a", frame: eth6(routerA, hostA, p("fe80::1:a", "fe80::a")),
			host: toHost(unitA, intf.Inet6, p("fe80::1:a", "fe80::a").bytes())},
		{name: "received for another on the unit", in: "a", frame: eth6(routerA, hostA, p("fe80::1:a", "fe80::2:a")), drop: "beyond-scope"},
	} {
		t.Run(s.name, func(t *testing.T) { newWorld(t, worldConfig()).check(s) })
	}
	t.Run("originated", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		if err := x.e.Originate(0, unitA, p("fe80::a", "fe80::1:a").bytes()); err != nil {
			t.Fatal(err)
		}
		x.run()
		x.expect(step{out: []string{frameOut("a", eth6(hostA, routerA, p("fe80::a", "fe80::1:a")))}}, nil)
	})
}

// TestRejectCodes has a route of each code answered, of each family that knows
// it: to the sender when received, to the host when originated.
func TestRejectCodes(t *testing.T) {
	for code := range routing.RejectCode(routing.NumRejectCodes) {
		reject := routing.NextHop{Kind: routing.Reject, Reject: code}
		if n, ok := code.ICMP(intf.Inet); ok {
			answer := func(src, dst string, quoted ip4) ip4 {
				return ip4{src: src, dst: dst, proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, int(n), 0, quoted.bytes())}
			}
			t.Run(fmt.Sprintf("%v IPv4", code), func(t *testing.T) {
				x := newWorld(t, worldConfig())
				x.route(0, "10.9.0.0/16", reject)
				p := ip4{src: "192.0.2.10", dst: "10.9.9.9", payload: data(30)}
				x.check(step{in: "a", frame: eth4(routerA, hostA, p), drop: "reject-route",
					out: []string{frameOut("a", eth4(hostA, routerA, answer("192.0.2.1", "192.0.2.10", p)))}})
			})
			t.Run(fmt.Sprintf("%v IPv4 originated", code), func(t *testing.T) {
				x := newWorld(t, worldConfig())
				x.route(0, "10.9.0.0/16", reject)
				p := ip4{src: "192.0.2.1", dst: "10.9.9.9", payload: data(30)}
				if err := x.e.Originate(0, unitA, p.bytes()); err != nil {
					t.Fatal(err)
				}
				x.run()
				x.expect(step{drop: "reject-route", host: toHost(unitA, intf.Inet, answer("192.0.2.1", "192.0.2.1", p).bytes())}, nil)
			})
		}
		if n, ok := code.ICMP(intf.Inet6); ok {
			answer := func(src, dst string, quoted ip6) ip6 {
				return ip6{src: src, dst: dst, next: 58, payload: icmp6(src, dst, 1, int(n), 0, quoted.bytes())}
			}
			t.Run(fmt.Sprintf("%v IPv6", code), func(t *testing.T) {
				x := newWorld(t, worldConfig())
				x.route(0, "2001:db8:9::/48", reject)
				p := ip6{src: "2001:db8:a::10", dst: "2001:db8:9::9", payload: data(30)}
				x.check(step{in: "a", frame: eth6(routerA, hostA, p), drop: "reject-route",
					out: []string{frameOut("a", eth6(hostA, routerA, answer("2001:db8:a::1", "2001:db8:a::10", p)))}})
			})
			t.Run(fmt.Sprintf("%v IPv6 originated", code), func(t *testing.T) {
				x := newWorld(t, worldConfig())
				x.route(0, "2001:db8:9::/48", reject)
				p := ip6{src: "2001:db8:a::1", dst: "2001:db8:9::9", payload: data(30)}
				if err := x.e.Originate(0, unitA, p.bytes()); err != nil {
					t.Fatal(err)
				}
				x.run()
				x.expect(step{drop: "reject-route", host: toHost(unitA, intf.Inet6, answer("2001:db8:a::1", "2001:db8:a::1", p).bytes())}, nil)
			})
		}
	}
}
