package vrf

import (
	"net/netip"

	"router/routing"
)

// permanent are the routes that every instance starts with, so that a lookup
// always finds something and recognises every kind of address.
var permanent = []routing.Route{
	always("0.0.0.0/0", routing.NextHop{Kind: routing.Reject, Reject: routing.RejectNet}),
	always("0.0.0.0/32", discard),  // "this host", never a destination (RFC 1122, 3.2.1.3)
	always("127.0.0.0/8", discard), // loopback never appears on a link (the same)
	always("224.0.0.0/4", groups),  // that no route knows
	always("224.0.0.0/24", receive),
	always("224.0.0.1/32", receive), // all hosts (RFC 1112, 4)
	always("240.0.0.0/4", discard),  // reserved (RFC 1112, 4)
	always("255.255.255.255/32", routing.NextHop{Kind: routing.Broadcast}),

	always("::/0", routing.NextHop{Kind: routing.Reject, Reject: routing.RejectNoRoute}),
	always("::/128", discard),  // unspecified (RFC 4291, 2.5.2)
	always("::1/128", discard), // loopback never appears on a link (RFC 4291, 2.5.3)
	always("ff00::/8", groups), // that no route knows
	always("ff01::/16", discard),
	// Link-local groups, solicited-node among them (RFC 4291, 2.7), and those of
	// them that nobody assigned (RFC 3306, 4; RFC 3956, 4).
	always("ff02::/16", receive),
	always("ff12::/16", receive),
	always("ff32::/16", receive),
	always("ff72::/16", receive),
	always("fe80::/10", routing.NextHop{Kind: routing.LinkLocal}),
}

var (
	discard = routing.NextHop{Kind: routing.Discard}
	receive = routing.NextHop{Kind: routing.Receive}
	// groups is a list of nobody: what is sent there is discarded, and its
	// sources are reported.
	groups, _ = routing.NewList(routing.List{Report: true})
)

func always(prefix string, nh routing.NextHop) routing.Route {
	return routing.Route{
		Key:     routing.Key{Prefix: netip.MustParsePrefix(prefix), Source: routing.Permanent, Protocol: routing.System},
		NextHop: nh,
	}
}
