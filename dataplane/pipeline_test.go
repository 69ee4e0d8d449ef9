package dataplane

import (
	"fmt"
	"slices"
	"testing"

	"router/intf"
	"router/routing"
)

// A step is one frame in, and all that comes of it.
type step struct {
	name  string
	in    string // port
	frame []byte
	out   []string // "port hex" of frames
	punts []string
	host  []string
	drop  string // the reason of the one drop
}

func frameOut(name string, frame []byte) string { return fmt.Sprintf("%s %x", name, frame) }

func toHost(i intf.Index, f intf.Family, l3 []byte) []string {
	return []string{fmt.Sprintf("%d %v %x", i, f, l3)}
}

func (x *world) check(s step) {
	x.t.Helper()
	before := x.drops()
	x.push(s.in, s.frame)
	x.run()
	x.expect(s, before)
}

func (x *world) expect(s step, before map[string]uint64) {
	x.t.Helper()
	if got := x.collect(); !slices.Equal(got, s.out) {
		x.t.Errorf("frames out\n got  %v\n want %v", got, s.out)
	}
	if !slices.Equal(x.punts, s.punts) {
		x.t.Errorf("punts\n got  %v\n want %v", x.punts, s.punts)
	}
	if !slices.Equal(x.host, s.host) {
		x.t.Errorf("delivered\n got  %v\n want %v", x.host, s.host)
	}
	var dropped []string
	for r, n := range x.drops() {
		for range n - before[r] {
			dropped = append(dropped, r)
		}
	}
	var want []string
	if s.drop != "" {
		want = []string{s.drop}
	}
	if !slices.Equal(dropped, want) {
		x.t.Errorf("drops: got %v, want %v", dropped, want)
	}
	x.checkAccounts()
}

func TestForward4(t *testing.T) {
	ab := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(40)}
	aged := func(p ip4) ip4 { p.ttl = 63; return p }
	with := func(f func(*ip4)) ip4 { p := ab; f(&p); return p }
	toC := with(func(p *ip4) { p.dst = "203.0.113.10" })
	toQ := with(func(p *ip4) { p.dst = "10.4.0.10" })
	routerAlert := with(func(p *ip4) { p.options = []byte{148, 4, 0, 0} })
	timeExceeded := func(quoted ip4) []byte {
		return eth4(hostA, routerA, ip4{
			src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(11, 0, 0, quoted.bytes()),
		})
	}
	unreachable := func(code int, quoted ip4) []byte {
		return eth4(hostA, routerA, ip4{
			src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, code, 0, quoted.bytes()),
		})
	}
	ttl1 := with(func(p *ip4) { p.ttl = 1 })
	ttl0 := with(func(p *ip4) { p.ttl = 255; p.ttl = 1 })
	noRoute := with(func(p *ip4) { p.dst = "8.8.8.8" })
	icmpErr := with(func(p *ip4) { p.ttl, p.proto, p.payload = 1, 1, icmp4(3, 1, 0, data(28)) })
	echo := with(func(p *ip4) { p.ttl, p.proto, p.payload = 1, 1, icmp4(8, 0, 0, data(28)) })
	lateFragment := with(func(p *ip4) { p.ttl, p.offset = 1, 800 })
	badSum := eth4(routerA, hostA, ab)
	badSum[14+10] ^= 1
	version := eth4(routerA, hostA, ab)
	version[14] = 0x55
	ihl := eth4(routerA, hostA, ab)
	ihl[14] = 0x44
	long := eth4(routerA, hostA, ab)
	long[14+2] = 0xff
	for _, s := range []step{
		{name: "RFC 1812 5.2.1 untagged to untagged", in: "a", frame: eth4(routerA, hostA, ab),
			out: []string{frameOut("b", eth4(hostB, routerB, aged(ab)))}},
		{name: "short packet: padding is renewed with zeroes", in: "a",
			frame: append(eth4(routerA, hostA, with(func(p *ip4) { p.payload = data(3) }))[:37], data(23)...),
			out:   []string{frameOut("b", eth4(hostB, routerB, aged(with(func(p *ip4) { p.payload = data(3) }))))}},
		{name: "untagged to VLAN", in: "a", frame: eth4(routerA, hostA, toC),
			out: []string{frameOut("c", eth(hostC, routerC, tagC, 0x0800, aged(toC).bytes()))}},
		{name: "untagged to QinQ", in: "a", frame: eth4(routerA, hostA, toQ),
			out: []string{frameOut("c", eth(hostQ, routerC, tagQ, 0x0800, aged(toQ).bytes()))}},
		{name: "VLAN to untagged", in: "c",
			frame: eth(routerC, hostC, tagC, 0x0800, ip4{src: "203.0.113.10", dst: "192.0.2.10", payload: data(30)}.bytes()),
			out:   []string{frameOut("a", eth4(hostA, routerA, ip4{src: "203.0.113.10", dst: "192.0.2.10", ttl: 63, payload: data(30)}))}},
		{name: "VLAN to QinQ on the same port", in: "c",
			frame: eth(routerC, hostC, tagC, 0x0800, ip4{src: "203.0.113.10", dst: "10.4.0.10", payload: data(30)}.bytes()),
			out: []string{frameOut("c", eth(hostQ, routerC, tagQ, 0x0800,
				ip4{src: "203.0.113.10", dst: "10.4.0.10", ttl: 63, payload: data(30)}.bytes()))}},
		{name: "QinQ to untagged", in: "c",
			frame: eth(routerC, hostQ, tagQ, 0x0800, ip4{src: "10.4.0.10", dst: "192.0.2.10", payload: data(30)}.bytes()),
			out:   []string{frameOut("a", eth4(hostA, routerA, ip4{src: "10.4.0.10", dst: "192.0.2.10", ttl: 63, payload: data(30)}))}},
		{name: "a priority tag is no tag (802.1Q 6.9)", in: "a", frame: eth(routerA, hostA, []uint16{0x8100, 0xa000}, 0x0800, ab.bytes()),
			out: []string{frameOut("b", eth4(hostB, routerB, aged(ab)))}},
		{name: "unknown VLAN", in: "c", frame: eth(routerC, hostC, []uint16{0x8100, 101}, 0x0800, ab.bytes()), drop: "unknown-tag"},
		{name: "right id in the wrong kind of tag", in: "c", frame: eth(routerC, hostC, []uint16{0x88a8, 100}, 0x0800, ab.bytes()), drop: "unknown-tag"},
		{name: "untagged on a port of VLANs", in: "c", frame: eth4(routerC, hostC, ab), drop: "unknown-tag"},
		{name: "unknown EtherType", in: "a", frame: eth(routerA, hostA, nil, 0x88cc, data(40)), drop: "unknown-ethertype"},
		{name: "IEEE 802.3 length", in: "a", frame: eth(routerA, hostA, nil, 46, data(46)), drop: "not-ethernet-ii"},
		{name: "frame for another station", in: "a", frame: eth4(hostB, hostA, ab), drop: "not-for-us"},
		{name: "back out of the ingress unit", in: "a", frame: eth4(routerA, hostB, with(func(p *ip4) { p.src, p.dst = "198.51.100.10", "192.0.2.10" })),
			out: []string{frameOut("a", eth4(hostA, routerA, aged(with(func(p *ip4) { p.src, p.dst = "198.51.100.10", "192.0.2.10" }))))}},
		{name: "options pass unchanged", in: "a", frame: eth4(routerA, hostA, routerAlert),
			out: []string{frameOut("b", eth4(hostB, routerB, aged(routerAlert)))}},
		{name: "RFC 1812 5.2.2 bad checksum", in: "a", frame: badSum, drop: "bad-checksum"},
		{name: "RFC 1812 5.2.2 bad version", in: "a", frame: version, drop: "bad-version"},
		{name: "RFC 1812 5.2.2 header length below 20", in: "a", frame: ihl, drop: "bad-header-length"},
		{name: "RFC 1812 5.2.2 total length beyond the frame", in: "a", frame: long, drop: "truncated"},
		{name: "RFC 1812 5.3.1 TTL 1", in: "a", frame: eth4(routerA, hostA, ttl1), out: []string{frameOut("a", timeExceeded(ttl1))}, drop: "ttl-exceeded"},
		{name: "RFC 1812 5.3.1 TTL 1 on the way to an unresolved neighbour", in: "a",
			frame: eth4(routerA, hostA, with(func(p *ip4) { p.ttl, p.dst = 1, "198.51.100.99" })),
			out:   []string{frameOut("a", timeExceeded(with(func(p *ip4) { p.ttl, p.dst = 1, "198.51.100.99" })))}, drop: "ttl-exceeded"},
		{name: "RFC 1812 4.3.2.7 no error about an ICMP error", in: "a", frame: eth4(routerA, hostA, icmpErr), drop: "ttl-exceeded"},
		{name: "RFC 1812 4.3.2.7 but about an echo request", in: "a", frame: eth4(routerA, hostA, echo), out: []string{frameOut("a", timeExceeded(echo))}, drop: "ttl-exceeded"},
		{name: "RFC 1812 4.3.2.7 no error about a later fragment", in: "a", frame: eth4(routerA, hostA, lateFragment), drop: "ttl-exceeded"},
		{name: "RFC 1812 5.2.7.1 no route", in: "a", frame: eth4(routerA, hostA, noRoute), out: []string{frameOut("a", unreachable(0, noRoute))}, drop: "reject-route"},
		{name: "RFC 1812 5.3.4 unicast in a link broadcast", in: "a", frame: eth4(intf.Broadcast, hostA, ab), drop: "link-broadcast"},
		{name: "RFC 1812 4.3.2.7 and no error about it", in: "a", frame: eth4(intf.Broadcast, hostA, ttl0), drop: "link-broadcast"},
	} {
		t.Run(s.name, func(t *testing.T) { newWorld(t, worldConfig()).check(s) })
	}
}

func TestMartians4(t *testing.T) {
	for _, c := range []struct{ name, src, dst, drop string }{
		{"RFC 1812 5.3.7 source 0/8", "0.1.2.3", "198.51.100.10", "martian-source"},
		{"RFC 1812 5.3.7 unspecified source is not forwarded", "0.0.0.0", "198.51.100.10", "martian-source"},
		{"RFC 1812 5.3.7 loopback source", "127.0.0.1", "198.51.100.10", "martian-source"},
		{"RFC 1812 5.3.7 multicast source", "224.0.0.5", "198.51.100.10", "martian-source"},
		{"RFC 1812 5.3.7 class E source", "240.0.0.1", "198.51.100.10", "martian-source"},
		{"RFC 1812 5.3.7 broadcast source", "255.255.255.255", "198.51.100.10", "martian-source"},
		{"our own address as source", "192.0.2.1", "198.51.100.10", "martian-source"},
		{"loopback destination", "192.0.2.10", "127.0.0.1", "discard-route"},
		{"destination 0.0.0.0", "192.0.2.10", "0.0.0.0", "discard-route"},
		{"class E destination", "192.0.2.10", "250.0.0.1", "discard-route"},
		{"multicast that nobody routes", "192.0.2.10", "239.1.2.3", "discard-route"},
		{"RFC 2644 directed broadcast from another link", "192.0.2.10", "198.51.100.255", "directed-broadcast"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newWorld(t, worldConfig()).check(step{
				in: "a", frame: eth4(routerA, hostA, ip4{src: c.src, dst: c.dst, payload: data(30)}), drop: c.drop,
			})
		})
	}
}

func TestLocalDelivery(t *testing.T) {
	own := ip4{src: "192.0.2.10", dst: "192.0.2.1", payload: data(30)}
	other := ip4{src: "192.0.2.10", dst: "203.0.113.1", payload: data(30)}
	limited := ip4{src: "0.0.0.0", dst: "255.255.255.255", payload: data(30)}
	subnet := ip4{src: "192.0.2.10", dst: "192.0.2.255", payload: data(30)}
	ospf := ip4{src: "192.0.2.10", dst: "224.0.0.5", proto: 89, ttl: 1, payload: data(30)}
	ttl1 := ip4{src: "192.0.2.10", dst: "192.0.2.1", ttl: 1, payload: data(30)}
	fragment := ip4{src: "192.0.2.10", dst: "192.0.2.1", mf: true, payload: data(32)}
	own6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", payload: data(30)}
	ll := ip6{src: "fe80::1:a", dst: "fe80::a", payload: data(30)}
	mld := ip6{src: "fe80::1:a", dst: "ff02::16", hops: 1, next: 0, payload: cat([]byte{58, 0, 5, 2, 0, 0, 1, 0}, icmp6("fe80::1:a", "ff02::16", 143, 0, 0, nil))}
	groupMAC := intf.MAC{1, 0, 0x5e, 0, 0, 5}
	for _, s := range []step{
		{name: "own address", in: "a", frame: eth4(routerA, hostA, own), host: toHost(unitA, intf.Inet, own.bytes())},
		{name: "TTL 1 is enough for us", in: "a", frame: eth4(routerA, hostA, ttl1), host: toHost(unitA, intf.Inet, ttl1.bytes())},
		{name: "address of another unit of the instance: the ingress unit gets it", in: "a", frame: eth4(routerA, hostA, other), host: toHost(unitA, intf.Inet, other.bytes())},
		{name: "limited broadcast without a source (DHCP)", in: "a", frame: eth4(intf.Broadcast, hostA, limited), host: toHost(unitA, intf.Inet, limited.bytes())},
		{name: "subnet broadcast", in: "a", frame: eth4(intf.Broadcast, hostA, subnet), host: toHost(unitA, intf.Inet, subnet.bytes())},
		{name: "link-local group", in: "a", frame: eth4(groupMAC, hostA, ospf), host: toHost(unitA, intf.Inet, ospf.bytes())},
		{name: "a fragment goes to the host as it is", in: "a", frame: eth4(routerA, hostA, fragment), host: toHost(unitA, intf.Inet, fragment.bytes())},
		{name: "RFC 1122 3.3.6 our unicast address in a link broadcast", in: "a", frame: eth4(intf.Broadcast, hostA, own), drop: "link-broadcast"},
		{name: "overlapping address in another instance", in: "d", frame: eth4(routerD, hostD, own), host: toHost(unitD, intf.Inet, own.bytes())},
		{name: "IPv6 own address", in: "a", frame: eth6(routerA, hostA, own6), host: toHost(unitA, intf.Inet6, own6.bytes())},
		{name: "IPv6 link-local address", in: "a", frame: eth6(routerA, hostA, ll), host: toHost(unitA, intf.Inet6, ll.bytes())},
		{name: "RFC 4291 2.5.6 link-local address of another unit", in: "a", frame: eth6(routerA, hostA, ip6{src: "fe80::1:a", dst: "fe80::b", payload: data(30)}), drop: "beyond-scope"},
		{name: "MLD report goes to the host", in: "a", frame: eth6(intf.MAC{0x33, 0x33, 0, 0, 0, 0x16}, hostA, mld), host: toHost(unitA, intf.Inet6, mld.bytes())},
		{name: "a group of wider scope", in: "a", frame: eth6(intf.MAC{0x33, 0x33, 0, 0, 0, 1}, hostA, ip6{src: "2001:db8:a::10", dst: "ff0e::1", payload: data(30)}), drop: "discard-route"},
	} {
		t.Run(s.name, func(t *testing.T) { newWorld(t, worldConfig()).check(s) })
	}
}

func TestNeighborPunts(t *testing.T) {
	arp := cat(be16(1), be16(0x800), []byte{6, 4}, be16(1), hostA[:], ip("192.0.2.10").AsSlice(), make([]byte, 6), ip("192.0.2.1").AsSlice())
	padded := append(append([]byte(nil), arp...), make([]byte, 18)...)
	nsFor := func(dst string, hops int) ip6 {
		body := cat(ip("2001:db8:a::1").AsSlice(), []byte{1, 1}, hostA[:])
		return ip6{src: "2001:db8:a::10", dst: dst, hops: hops, next: 58, payload: icmp6("2001:db8:a::10", dst, 135, 0, 0, body)}
	}
	group := nsFor("ff02::1:ff00:1", 255)
	unicastNS := nsFor("2001:db8:a::1", 255)
	groupMAC := intf.MAC{0x33, 0x33, 0xff, 0, 0, 1}
	inFragments := ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", hops: 255, next: 44,
		payload: cat([]byte{58, 0, 0, 1, 0, 0, 0, 1}, unicastNS.payload)}
	neighbor := func(etherType int, dst intf.MAC, frame []byte) []string {
		return []string{fmt.Sprintf("neighbor %d %04x %v %v %x", unitA, etherType, hostA, dst, frame)}
	}
	for _, s := range []step{
		{name: "ARP request", in: "a", frame: eth(intf.Broadcast, hostA, nil, 0x0806, arp), punts: neighbor(0x0806, intf.Broadcast, padded)},
		{name: "ARP reply to us", in: "a", frame: eth(routerA, hostA, nil, 0x0806, arp), punts: neighbor(0x0806, routerA, padded)},
		{name: "ARP to another station", in: "a", frame: eth(hostB, hostA, nil, 0x0806, arp), drop: "not-for-us"},
		{name: "NS to the solicited-node group", in: "a", frame: eth6(groupMAC, hostA, group), punts: neighbor(0x86dd, groupMAC, group.bytes())},
		{name: "NS to our address", in: "a", frame: eth6(routerA, hostA, unicastNS), punts: neighbor(0x86dd, routerA, unicastNS.bytes())},
		{name: "RFC 6980 5 NS in fragments", in: "a", frame: eth6(routerA, hostA, inFragments), drop: "unknown-type"},
	} {
		t.Run(s.name, func(t *testing.T) { newWorld(t, worldConfig()).check(s) })
	}
}

func TestForward6(t *testing.T) {
	ab := ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(40)}
	with := func(f func(*ip6)) ip6 { p := ab; f(&p); return p }
	aged := func(p ip6) ip6 { p.hops = 63; return p }
	reply := func(typ, code int, rest uint32, quoted ip6) []byte {
		return eth6(hostA, routerA, ip6{src: "2001:db8:a::1", dst: "2001:db8:a::10", next: 58,
			payload: icmp6("2001:db8:a::1", "2001:db8:a::10", typ, code, rest, quoted.bytes())})
	}
	hop1 := with(func(p *ip6) { p.hops = 1 })
	noRoute := with(func(p *ip6) { p.dst = "2620::1" })
	toQ := with(func(p *ip6) { p.dst = "2001:db8:4::10" })
	linkLocal := with(func(p *ip6) { p.src = "fe80::1:a" })
	scope := eth6(hostA, routerA, ip6{src: "2001:db8:a::1", dst: "fe80::1:a", next: 58,
		payload: icmp6("2001:db8:a::1", "fe80::1:a", 1, 2, 0, linkLocal.bytes())})
	icmpErr := with(func(p *ip6) { p.hops, p.next, p.payload = 1, 58, icmp6(ab.src, ab.dst, 1, 0, 0, data(48)) })
	hopByHop := with(func(p *ip6) { p.next, p.payload = 0, cat([]byte{17, 0, 5, 2, 0, 0, 1, 0}, data(40)) })
	truncated := eth6(routerA, hostA, ab)
	truncated[14+4] = 9
	for _, s := range []step{
		{name: "RFC 8200 untagged to untagged", in: "a", frame: eth6(routerA, hostA, ab), out: []string{frameOut("b", eth6(hostB, routerB, aged(ab)))}},
		{name: "untagged to QinQ", in: "a", frame: eth6(routerA, hostA, toQ), out: []string{frameOut("c", eth(hostQ, routerC, tagQ, 0x86dd, aged(toQ).bytes()))}},
		{name: "RFC 8200 3 hop limit 1", in: "a", frame: eth6(routerA, hostA, hop1), out: []string{frameOut("a", reply(3, 0, 0, hop1))}, drop: "ttl-exceeded"},
		{name: "RFC 4443 2.4(e) no error about an error", in: "a", frame: eth6(routerA, hostA, icmpErr), drop: "ttl-exceeded"},
		{name: "RFC 4443 3.1 no route", in: "a", frame: eth6(routerA, hostA, noRoute), out: []string{frameOut("a", reply(1, 0, 0, noRoute))}, drop: "reject-route"},
		{name: "RFC 4443 3.1 link-local source beyond its scope", in: "a", frame: eth6(routerA, hostA, linkLocal), out: []string{frameOut("a", scope)}, drop: "beyond-scope"},
		{name: "hop-by-hop router alert is forwarded", in: "a", frame: eth6(routerA, hostA, hopByHop), out: []string{frameOut("b", eth6(hostB, routerB, aged(hopByHop)))}},
		{name: "payload length beyond the frame", in: "a", frame: truncated, drop: "truncated"},
		{name: "RFC 4291 2.5.3 loopback source", in: "a", frame: eth6(routerA, hostA, with(func(p *ip6) { p.src = "::1" })), drop: "martian-source"},
		{name: "RFC 4291 2.7 multicast source", in: "a", frame: eth6(routerA, hostA, with(func(p *ip6) { p.src = "ff02::1" })), drop: "martian-source"},
		{name: "RFC 4291 2.5.2 unspecified source is not forwarded", in: "a", frame: eth6(routerA, hostA, with(func(p *ip6) { p.src = "::" })), drop: "martian-source"},
		{name: "our own address as source", in: "a", frame: eth6(routerA, hostA, with(func(p *ip6) { p.src = "2001:db8:a::1" })), drop: "martian-source"},
		{name: "loopback destination", in: "a", frame: eth6(routerA, hostA, with(func(p *ip6) { p.dst = "::1" })), drop: "discard-route"},
	} {
		t.Run(s.name, func(t *testing.T) { newWorld(t, worldConfig()).check(s) })
	}
}

func TestMTU(t *testing.T) {
	// Unit B has an MTU of 1280.
	big4 := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(1480)}
	df := big4
	df.df = true
	first, rest := big4, big4
	first.ttl, first.mf, first.payload = 63, true, big4.payload[:1256]
	rest.ttl, rest.offset, rest.payload = 63, 1256, big4.payload[1256:]
	neverCopied := []byte{7, 3, 4, 1}    // record route stays in the first fragment
	alwaysCopied := []byte{148, 4, 0, 0} // router alert goes into each one
	options := cat(neverCopied, alwaysCopied)
	opt := big4
	opt.options, opt.payload = options, big4.payload[:1472]
	optFirst, optRest := opt, opt
	optFirst.ttl, optFirst.mf, optFirst.payload = 63, true, opt.payload[:1248]
	optRest.ttl, optRest.offset, optRest.payload, optRest.options = 63, 1248, opt.payload[1248:], alwaysCopied
	tooBig4 := eth4(hostA, routerA, ip4{src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1,
		payload: icmp4(3, 4, 1280, df.bytes()[:576-28])})
	big6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(1300)}
	tooBig6 := eth6(hostA, routerA, ip6{src: "2001:db8:a::1", dst: "2001:db8:a::10", next: 58,
		payload: icmp6("2001:db8:a::1", "2001:db8:a::10", 2, 0, 1280, big6.bytes()[:1280-48])})
	exact := ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(1240)}
	old := df
	old.ttl = 1
	oldReply := eth4(hostA, routerA, ip4{src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1,
		payload: icmp4(11, 0, 0, old.bytes()[:576-28])})
	for _, s := range []step{
		{name: "RFC 791 fragmentation", in: "a", frame: eth4(routerA, hostA, big4),
			out: []string{frameOut("b", eth4(hostB, routerB, first)), frameOut("b", eth4(hostB, routerB, rest))}},
		{name: "RFC 791 options in fragments", in: "a", frame: eth4(routerA, hostA, opt),
			out: []string{frameOut("b", eth4(hostB, routerB, optFirst)), frameOut("b", eth4(hostB, routerB, optRest))}},
		{name: "RFC 1191 4 fragmentation needed", in: "a", frame: eth4(routerA, hostA, df), out: []string{frameOut("a", tooBig4)}, drop: "too-big"},
		{name: "RFC 4443 3.2 packet too big", in: "a", frame: eth6(routerA, hostA, big6), out: []string{frameOut("a", tooBig6)}, drop: "too-big"},
		{name: "TTL comes before size", in: "a", frame: eth4(routerA, hostA, old), out: []string{frameOut("a", oldReply)}, drop: "ttl-exceeded"},
		{name: "exactly the MTU", in: "a", frame: eth6(routerA, hostA, exact),
			out: []string{frameOut("b", eth6(hostB, routerB, ip6{src: exact.src, dst: exact.dst, hops: 63, payload: exact.payload}))}},
	} {
		t.Run(s.name, func(t *testing.T) { newWorld(t, worldConfig()).check(s) })
	}
}

func TestNextHopKinds(t *testing.T) {
	p := ip4{src: "192.0.2.10", dst: "10.9.9.9", payload: data(30)}
	aged := p
	aged.ttl = 63
	error4 := func(code int) []string {
		return []string{frameOut("a", eth4(hostA, routerA, ip4{src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, code, 0, p.bytes())}))}
	}
	throughB := []string{frameOut("b", eth4(hostB, routerB, aged))}
	gateway := routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.10")}
	gateway6 := routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("2001:db8:b::10")}
	for _, c := range []struct {
		name string
		prep func(x *world)
		step step
	}{
		{"forward through a gateway", func(x *world) { x.route(0, "10.9.0.0/16", gateway) }, step{out: throughB}},
		{"RFC 8950 IPv4 through an IPv6 gateway", func(x *world) { x.route(0, "10.9.0.0/16", gateway6) }, step{out: throughB}},
		{"indirect", func(x *world) {
			indirect := routing.NextHop{Kind: routing.Indirect, Gateway: ip("172.16.0.1")}
			x.nexthop(indirect, x.nexthop(gateway, 0))
			x.route(0, "10.9.0.0/16", indirect)
		}, step{out: throughB}},
		{"look up in another instance", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 1})
			x.route(1, "10.9.0.0/16", gateway)
		}, step{out: throughB}},
		{"look up in another instance that owns the address", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 1})
			x.route(1, "10.9.9.9/32", routing.NextHop{Kind: routing.Receive, IfIndex: unitD})
		}, step{host: toHost(unitD, intf.Inet, p.bytes())}},
		{"address of another instance without an owner", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 1})
			x.route(1, "10.9.9.9/32", routing.NextHop{Kind: routing.Receive})
		}, step{drop: "no-owner"}},
		{"look up in circles", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 1})
			x.route(1, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 0})
		}, step{drop: "lookup-loop"}},
		{"look up in an instance that is gone", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 7})
		}, step{drop: "no-instance"}},
		{"reject: host", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Reject, Reject: routing.RejectHost})
		}, step{out: error4(1), drop: "reject-route"}},
		{"reject: administratively", func(x *world) {
			x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Reject, Reject: routing.RejectAdmin})
		}, step{out: error4(13), drop: "reject-route"}},
		{"discard", func(x *world) { x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Discard}) }, step{drop: "discard-route"}},
		{"receive by a static route", func(x *world) { x.route(0, "10.9.0.0/16", routing.NextHop{Kind: routing.Receive, IfIndex: unitC}) },
			step{host: toHost(unitA, intf.Inet, p.bytes())}},
		{"egress unit deleted", func(x *world) {
			x.route(0, "10.9.0.0/16", gateway)
			tx := x.e.Edit()
			tx.DeleteUnit(unitB)
			tx.Commit()
		}, step{drop: "egress-down"}},
		{"egress family down", func(x *world) {
			x.route(0, "10.9.0.0/16", gateway)
			u := x.unit(unitB, "b", nil, routerB, 0, 1280, "198.51.100.1")
			u.Families[intf.Inet].Up = false
			tx := x.e.Edit()
			tx.SetUnit(u)
			tx.Commit()
		}, step{drop: "egress-down"}},
		{"ingress family down", func(x *world) {
			u := x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1")
			u.Families[intf.Inet].Up = false
			tx := x.e.Edit()
			tx.SetUnit(u)
			tx.Commit()
		}, step{drop: "family-down"}},
		{"instance without a table", func(x *world) {
			tx := x.e.Edit()
			tx.DeleteInstance(0)
			tx.Commit()
		}, step{drop: "no-instance"}},
		{"no route at all", func(x *world) {
			empty, err := x.arena.NewTable()
			if err != nil {
				x.t.Fatal(err)
			}
			tx := x.e.Edit()
			tx.SetInstance(0, empty)
			tx.Commit()
		}, step{drop: "no-route"}},
		{"a changed MAC and tag of the egress unit reach its neighbours", func(x *world) {
			x.route(0, "10.9.0.0/16", gateway)
			tx := x.e.Edit()
			tx.SetUnit(x.unit(unitB, "b", []uint16{0x8100, 9}, routerD, 0, 1280, "198.51.100.1"))
			tx.Commit()
		}, step{out: []string{frameOut("b", eth(hostB, routerD, []uint16{0x8100, 9}, 0x0800, aged.bytes()))}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			c.prep(x)
			c.step.in, c.step.frame = "a", eth4(routerA, hostA, p)
			x.check(c.step)
		})
	}
}

func TestInstancesMixInOneBatch(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := ip4{src: "198.18.0.9", dst: "192.0.2.10", payload: data(30)}
	sent := p
	sent.ttl = 63
	var want []string
	for range 30 {
		x.push("d", eth4(routerD, hostD, p))
		x.push("d", eth(routerD, hostD, tagN, 0x800, p.bytes()))
		want = append(want, frameOut("a", eth4(hostA, routerA, sent)))
	}
	for range 30 {
		want = append(want, frameOut("d", eth4(hostD, routerD, sent)))
	}
	x.run()
	x.expect(step{out: want}, nil)
}
