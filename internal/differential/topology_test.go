package differential

import (
	"net/netip"

	"router/internal/frames"
	"router/intf"
)

// A side is one link of the router, with the neighbour beyond it.
type side struct {
	name     string
	mtu      int
	mac, far intf.MAC       // the router's, and the neighbour's
	prefixes []netip.Prefix // the router's addresses
	gateways []netip.Addr
	routes   []netip.Prefix // what lies behind the gateway of the family
}

// The router: packets arrive on a, whose link takes more than any other; b, c
// and d have ever smaller MTUs, d too small for IPv6.
var sides = []side{
	{
		name: "a", mtu: 1700, mac: intf.MAC{2, 0, 0, 0, 0, 0xa}, far: intf.MAC{2, 0, 0, 0, 1, 0xa},
		prefixes: prefixes("10.1.0.1/16", "2001:db8:a::1/64"), gateways: addrs("10.1.0.2", "2001:db8:a::2"),
		routes: prefixes("10.64.0.0/10", "2001:db8:1000::/36"),
	},
	{
		name: "b", mtu: 1500, mac: intf.MAC{2, 0, 0, 0, 0, 0xb}, far: intf.MAC{2, 0, 0, 0, 1, 0xb},
		prefixes: prefixes("10.2.0.1/16", "2001:db8:b::1/64"), gateways: addrs("10.2.0.2", "2001:db8:b::2"),
		routes: prefixes("20.0.0.0/8", "2001:db8:2000::/36"),
	},
	{
		name: "c", mtu: 1280, mac: intf.MAC{2, 0, 0, 0, 0, 0xc}, far: intf.MAC{2, 0, 0, 0, 1, 0xc},
		prefixes: prefixes("10.3.0.1/16", "2001:db8:c::1/64"), gateways: addrs("10.3.0.2", "2001:db8:c::2"),
		routes: prefixes("30.0.0.0/8", "2001:db8:3000::/36"),
	},
	{
		name: "d", mtu: 576, mac: intf.MAC{2, 0, 0, 0, 0, 0xd}, far: intf.MAC{2, 0, 0, 0, 1, 0xd},
		prefixes: prefixes("10.4.0.1/16"), gateways: addrs("10.4.0.2"),
		routes: prefixes("40.0.0.0/8"),
	},
}

// Routes that lead nowhere, and what nothing leads to.
var (
	refused    = prefixes("50.0.0.0/8", "2001:db8:5000::/36")
	prohibited = prefixes("60.0.0.0/8", "2001:db8:6000::/36")
	discarded  = prefixes("70.0.0.0/8", "2001:db8:7000::/36")
	unknown    = prefixes("80.0.0.0/8", "2001:db8:8000::/36")
)

// nearby is a link-local source on side a. It is a neighbour that is known: what
// waits for one that is not takes up the buffer of Linux's ICMPv6 socket.
var nearby = netip.MustParseAddr("fe80::5")

// world is what the generator has to know. Destinations that only a neighbour
// could answer for are left out: what happens to them is a matter of time.
func world() frames.World {
	w := frames.World{
		Station: sides[0].mac, Host: sides[0].far,
		Sources: sides[0].routes,
		MTUs:    []int{576, 1280, 1500, 1600},
		OddSources: addrs(
			"0.0.0.0", "0.1.2.3", "10.1.0.1", "10.2.0.1", "10.1.0.2", "10.1.255.255", "10.2.255.255", "10.2.0.2", "20.1.2.3",
			"127.0.0.1", "127.255.255.255", "169.254.1.1", "192.0.2.1", "198.18.0.1", "223.255.255.255", "224.0.0.1",
			"239.1.2.3", "240.0.0.1", "255.255.255.254", "255.255.255.255",
			"::", "::1", "::2", "::1.2.3.4", "::ffff:1.2.3.4", "fe80::5", "fec0::1", "ff02::1", "ff0e::1", "2001:db8:a::1",
			"2001:db8:b::1", "2001:db8:a::2", "2001:db8:b::2", "2001:db8:2000::9", "2002:a01:1::1", "64:ff9b::1", "fd00::1", "100::1",
		),
		OddTargets: addrs(
			"0.0.0.0", "0.1.2.3", "10.2.0.2", "10.1.0.2", "10.1.255.255", "10.2.255.255", "127.0.0.1",
			"224.0.0.1", "224.0.0.5", "224.0.1.1", "239.1.2.3", "240.0.0.1", "255.255.255.254", "255.255.255.255", "10.1.0.1", "10.2.0.1",
			"169.254.1.1", "192.0.2.1",
			"::", "::1", "::2", "::ffff:1.2.3.4", "fec0::1", "ff00::1", "ff01::1", "ff02::1", "ff02::2", "ff05::2", "ff0e::1", "2001:db8:a::2",
			"2001:db8:b::2", "2001:db8:a::1", "2001:db8:b::1", "fd00::1",
		),
	}
	for _, s := range sides[1:] {
		// The links that packets are to leave by have most of them.
		w.Targets = append(w.Targets, s.routes...)
		w.Targets = append(w.Targets, s.routes...)
		w.Targets = append(w.Targets, s.routes...)
	}
	for _, more := range [][]netip.Prefix{sides[0].routes, refused, prohibited, discarded, unknown} {
		w.Targets = append(w.Targets, more...)
	}
	return w
}

// own reports whether a is one of the router's addresses.
func own(a netip.Addr) bool {
	for _, s := range sides {
		for _, p := range s.prefixes {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func addrs(texts ...string) (all []netip.Addr) {
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}
