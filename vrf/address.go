package vrf

import (
	"net/netip"

	"router/intf"
	"router/routing"
)

// addressRoutes are the routes that an address adds while its family is up.
// The local one stays when the family is down.
//
//	multi-access IPv4   local, destination, broadcast, network
//	multi-access IPv6   local, destination, subnet-router anycast
//	/31, /127           local, destination (RFC 3021, 2.1; RFC 6164, 6)
//	/32, /128           local
//	with a peer         local, destination (the peer alone)
//	fe80::/10           none: the permanent LinkLocal route recognises them
func addressRoutes(ifindex intf.Index, a intf.AddressSpec) []routing.Route {
	addr := a.Prefix.Addr().WithZone("")
	if linkLocal6(addr) {
		return nil
	}
	route := func(p netip.Prefix, s routing.Source, nh routing.NextHop) routing.Route {
		return routing.Route{
			Key:     routing.Key{Prefix: p, Source: s, Protocol: routing.Direct, IfIndex: ifindex},
			NextHop: nh,
		}
	}
	host := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	own := routing.NextHop{Kind: routing.Receive, IfIndex: ifindex}

	routes := []routing.Route{route(host(addr), routing.InterfaceLocal, own)}
	if peer := a.Peer.WithZone(""); peer.IsValid() {
		// The peer is the only destination, so its next hop is itself.
		return append(routes, route(host(peer), routing.InterfaceDestination,
			routing.NextHop{Kind: routing.Forward, IfIndex: ifindex, Gateway: peer}))
	}
	subnet := netip.PrefixFrom(addr, a.Prefix.Bits()).Masked()
	hostBits := addr.BitLen() - subnet.Bits()
	if hostBits == 0 {
		return routes
	}
	routes = append(routes, route(subnet, routing.InterfaceDestination,
		routing.NextHop{Kind: routing.Resolve, IfIndex: ifindex}))
	if hostBits == 1 {
		return routes
	}
	if addr.Is6() {
		// RFC 4291, 2.6.1: the router answers to the prefix itself.
		if subnet.Addr() != addr {
			routes = append(routes, route(host(subnet.Addr()), routing.InterfaceLocal, own))
		}
		return routes
	}
	return append(routes,
		incoming(route(host(lastAddr(subnet)), routing.Interface, routing.NextHop{Kind: routing.Broadcast, IfIndex: ifindex})),
		// RFC 1812, 4.2.2.11 (d): host part 0 is an obsolete broadcast.
		route(host(subnet.Addr()), routing.Interface, discard))
}

// ignored reports whether the address would have a route ignored. Its own
// address stays the router's.
func ignored(a intf.AddressSpec, r routing.Route) bool {
	return a.Ignore && r.Source != routing.InterfaceLocal
}

// incoming has a route take packets only that came in by its unit: a subnet's
// broadcast address belongs to each unit that has the subnet.
func incoming(r routing.Route) routing.Route {
	r.Incoming = true
	return r
}

// destination is the key of the route to what is on the link of ifindex.
func destination(ifindex intf.Index, p netip.Prefix) routing.Key {
	return routing.Key{Prefix: p, Source: routing.InterfaceDestination, Protocol: routing.Direct, IfIndex: ifindex}
}

// neighborRoute is the host route of a resolved neighbour.
func neighborRoute(ifindex intf.Index, a netip.Addr) routing.Route {
	return routing.Route{
		Key: routing.Key{
			Prefix: netip.PrefixFrom(a, a.BitLen()), Source: routing.Interface,
			Protocol: routing.Neighbor, IfIndex: ifindex,
		},
		NextHop: routing.NextHop{Kind: routing.Forward, IfIndex: ifindex, Gateway: a},
	}
}

// lastAddr is the highest address of an IPv4 prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// linkLocal6 reports whether a is in fe80::/10.
func linkLocal6(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }
