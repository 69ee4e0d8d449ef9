package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"router/dataplane/packet"
	"router/intf"
	"router/routing"
)

// redirecting is a world whose unit A redirects in its networks, with another
// router there (192.0.2.20, fe80::2:a) that leads to 10.20.0.0/16 and 2001:db8:20::/48.
func redirecting(t *testing.T) *world {
	x := newWorld(t, worldConfig())
	tx := x.e.Edit()
	u := x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1", "2001:db8:a::1", "fe80::a")
	u.Families[intf.Inet].Redirects = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
	u.Families[intf.Inet6].Redirects = []netip.Prefix{netip.MustParsePrefix("2001:db8:a::1/64")}
	tx.SetUnit(u)
	tx.Commit()
	x.neighbor(0, unitA, macOther, "192.0.2.20", "2001:db8:a::20", "fe80::2:a")
	x.route(0, "10.20.0.0/16", routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: ip("192.0.2.20")})
	x.route(0, "2001:db8:20::/48", routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: ip("fe80::2:a")})
	x.route(0, "2001:db8:21::/48", routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: ip("2001:db8:a::20")})
	return x
}

var macOther = intf.MAC{2, 0, 0, 0, 1, 0x20}

func TestRedirect4(t *testing.T) {
	x := redirecting(t)
	p := ip4{src: "192.0.2.10", dst: "10.20.0.9", payload: data(30)}
	sent := p
	sent.ttl = 63
	told := ip4{src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1,
		payload: icmp4(5, 1, 0xc0000214, sent.bytes())}
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: []string{
		frameOut("a", eth4(macOther, routerA, sent)), frameOut("a", eth4(hostA, routerA, told)),
	}})
}

func TestRedirect6(t *testing.T) {
	x := redirecting(t)
	for _, c := range []struct{ name, dst, target string }{
		{"to a router, by its link-local address", "2001:db8:20::9", "fe80::2:a"},
		{"to a neighbour itself", "2001:db8:a::20", "2001:db8:a::20"},
	} {
		p := ip6{src: "2001:db8:a::10", dst: c.dst, payload: data(50)}
		x.push("a", eth6(routerA, hostA, p))
		x.run()
		var found bool
		for f, ok := x.queues["a"][0].Pop(nil); ok; f, ok = x.queues["a"][0].Pop(nil) {
			ip, fault := packet.CheckIPv6(f[packet.EthernetHeaderLen:])
			if fault != packet.FaultNone || ip.NextHeader() != packet.ProtocolICMPv6 {
				continue
			}
			m, fault := packet.ParseICMPv6(ip, packet.IPv6HeaderLen)
			if fault != packet.FaultNone || m.Type() != packet.ICMPv6Redirect {
				t.Fatalf("%s: %v", c.name, fault)
			}
			found = true
			target, dst := netip.AddrFrom16([16]byte(m[8:24])), netip.AddrFrom16([16]byte(m[24:40]))
			if target.String() != c.target || dst.String() != c.dst || ip.Src().String() != "fe80::a" || ip.Dst().String() != "2001:db8:a::10" || ip.HopLimit() != 255 {
				t.Errorf("%s: from %v to %v: target %v, destination %v", c.name, ip.Src(), ip.Dst(), target, dst)
			}
			if intf.MAC(f[:6]) != hostA || m[40] != 2 || intf.MAC(m[42:48]) != macOther || m[48] != 4 || len(m) != 48+int(m[49])*8 {
				t.Errorf("%s: options % x", c.name, m[40:])
			}
		}
		if !found {
			t.Errorf("%s: no redirect", c.name)
		}
	}
	x.checkAccounts()
}

func TestNoRedirect(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"by another unit", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)})},
		{"of a source behind a router", eth4(routerA, hostA, ip4{src: "10.99.0.1", dst: "10.20.0.9", payload: data(30)})},
		{"of IPv6 behind a router", eth6(routerA, hostA, ip6{src: "2001:db8:99::1", dst: "2001:db8:20::9", payload: data(30)})},
		{"to a router known by a global address", eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:21::9", payload: data(30)})},
		{"about an ICMP error", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "10.20.0.9", proto: 1, payload: icmp4(3, 1, 0, data(28))})},
	} {
		x := redirecting(t)
		x.push("a", c.frame)
		x.run()
		if out := x.collect(); len(out) != 1 {
			t.Errorf("%s: %d frames, want the packet alone: %v", c.name, len(out), out)
		}
		x.checkAccounts()
	}
}

func TestRedirectsAreLimited(t *testing.T) {
	x := redirecting(t)
	flood := func() int {
		for range 30 {
			x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "10.20.0.9", payload: data(30)}))
		}
		x.run()
		return len(x.collect()) - 30
	}
	if n := flood(); n != 10 {
		t.Errorf("a burst: %d redirects, want 10", n)
	}
	x.now += time.Second / 2
	if n := flood(); n != 5 {
		t.Errorf("half a second later: %d redirects, want 5", n)
	}
	x.checkAccounts()
}
