package dataplane

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"router/dataplane/memport"
	"router/dataplane/port"
	"router/intf"
	"router/routing"
)

// toUnits is a next hop of copies to units.
func toUnits(tb testing.TB, l routing.List) routing.NextHop {
	tb.Helper()
	nh, err := routing.NewList(l)
	if err != nil {
		tb.Fatal(err)
	}
	return nh
}

func (x *world) list(prefix string, l routing.List) {
	x.t.Helper()
	x.route(0, prefix, toUnits(x.t, l))
}

// bySource gives a group routes by source.
func (x *world) bySource(id routing.NextHopID, group string, routes map[string]routing.NextHop) {
	x.t.Helper()
	table, err := x.arena.NewTable()
	if err != nil {
		x.t.Fatal(err)
	}
	for p, nh := range routes {
		if err := table.Insert(prefix(p), uint32(x.nexthop(nh, 0))); err != nil {
			x.t.Fatal(err)
		}
	}
	x.e.SetSources(id, table)
	g := ip(group)
	if err := x.tables[0].Insert(netip.PrefixFrom(g, g.BitLen()), uint32(id)); err != nil {
		x.t.Fatal(err)
	}
}

var (
	macOf239 = intf.MAC{1, 0, 0x5e, 1, 1, 1}       // 239.1.1.1
	macOf6   = intf.MAC{0x33, 0x33, 0, 0, 0, 1}    // ff0e::1
	macAll   = intf.MAC{1, 0, 0x5e, 0x7f, 0xff, 1} // 239.255.255.1
)

func TestCopies(t *testing.T) {
	g4 := ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(40)}
	g6 := ip6{src: "2001:db8:a::10", dst: "ff0e::1", payload: data(40)}
	with4 := func(f func(*ip4)) ip4 { p := g4; f(&p); return p }
	with6 := func(f func(*ip6)) ip6 { p := g6; f(&p); return p }
	aged4 := func(p ip4) ip4 { p.ttl = 63; return p }
	aged6 := func(p ip6) ip6 { p.hops = 63; return p }
	in4 := func(p ip4) []byte { return eth4(macOf239, hostA, p) }
	in6 := func(p ip6) []byte { return eth6(macOf6, hostA, p) }
	b4 := func(p ip4) string { return frameOut("b", eth4(macOf239, routerB, p)) }
	c4 := func(p ip4) string { return frameOut("c", eth(macOf239, routerC, tagC, 0x0800, p.bytes())) }
	q4 := func(p ip4) string { return frameOut("c", eth(macOf239, routerC, tagQ, 0x0800, p.bytes())) }
	b6 := func(p ip6) string { return frameOut("b", eth6(macOf6, routerB, p)) }
	c6 := func(p ip6) string { return frameOut("c", eth(macOf6, routerC, tagC, 0x86dd, p.bytes())) }
	all := []intf.Index{unitB, unitC, unitQ}
	forward := routing.List{In: unitA, Out: all}
	igmp := with4(func(p *ip4) { p.ttl, p.proto, p.options, p.payload = 1, 2, []byte{148, 4, 0, 0}, data(8) })
	mld := func(typ int) []byte {
		body := icmp6(g6.src, g6.dst, typ, 0, 0, data(16))
		l3 := ip6{src: g6.src, dst: g6.dst, hops: 1, payload: cat([]byte{58, 0, 5, 2, 0, 0, 1, 0}, body)}.bytes()
		l3[6] = 0 // hop-by-hop options
		return l3
	}
	big4 := with4(func(p *ip4) { p.payload = data(1400) })
	big6 := with6(func(p *ip6) { p.payload = data(1400) })
	routed := with4(func(p *ip4) { p.options = []byte{131, 7, 4, 10, 0, 0, 1, 0} })
	recording := func(pointer byte, address uint32) ip4 {
		return with4(func(p *ip4) { p.options = cat([]byte{7, 7, pointer}, be32(address), []byte{0}) })
	}
	piece := func(p ip4, offset, end int, more bool) ip4 {
		p.offset, p.mf, p.payload = offset, more, p.payload[offset:end]
		return aged4(p)
	}
	for _, s := range []struct {
		step
		group string
		list  routing.List
	}{
		{step: step{name: "to every unit, each with its tags", in: "a", frame: in4(g4), out: []string{b4(aged4(g4)), c4(aged4(g4)), q4(aged4(g4))}},
			group: "239.1.0.0/16", list: forward},
		{step: step{name: "IPv6", in: "a", frame: in6(g6), out: []string{b6(aged6(g6)), c6(aged6(g6))}},
			group: "ff0e::/16", list: routing.List{Out: []intf.Index{unitB, unitC}}},
		{step: step{name: "in a unicast frame", in: "a", frame: eth4(routerA, hostA, g4), out: []string{b4(aged4(g4))}},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitB}}},
		{step: step{name: "and here, as it came", in: "a", frame: in4(g4), out: []string{b4(aged4(g4))}, host: toHost(unitA, intf.Inet, g4.bytes())},
			group: "239.1.1.1/32", list: routing.List{In: unitA, Out: []intf.Index{unitB}, Local: true}},
		{step: step{name: "here alone", in: "a", frame: in4(g4), host: toHost(unitA, intf.Inet, g4.bytes())},
			group: "239.1.1.1/32", list: routing.List{Local: true}},
		{step: step{name: "to nobody", in: "a", frame: in4(g4), drop: "discard-route"}, group: "239.1.1.1/32"},
		{step: step{name: "by another unit than the route's", in: "a", frame: in4(g4), drop: "wrong-interface"},
			group: "239.1.1.1/32", list: routing.List{In: unitB, Out: []intf.Index{unitC}, Local: true}},
		{step: step{name: "a flood, not back", in: "a", frame: in4(g4), out: []string{b4(aged4(g4)), c4(aged4(g4))}},
			group: "239.1.1.1/32", list: routing.List{Flood: true, Out: []intf.Index{unitA, unitB, unitC}}},
		{step: step{name: "a flood to where it came from alone", in: "a", frame: in4(g4), drop: "discard-route"},
			group: "239.1.1.1/32", list: routing.List{Flood: true, Out: []intf.Index{unitA}}},
		{step: step{name: "a forward back, since the list says so", in: "a", frame: in4(g4), out: []string{frameOut("a", eth4(macOf239, routerA, aged4(g4)))}},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitA}}},
		{step: step{name: "units that are gone or down get nothing", in: "a", frame: in4(g4), out: []string{b4(aged4(g4))}},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitB, 77}}},
		{step: step{name: "all units are gone", in: "a", frame: in4(g4), drop: "egress-down"},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{77}}},
		{step: step{name: "the last hop", in: "a", frame: in4(with4(func(p *ip4) { p.ttl = 2 })), out: []string{b4(with4(func(p *ip4) { p.ttl = 1 }))}},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitB}}},
		{step: step{name: "TTL 1 is silent (RFC 1112, 4)", in: "a", frame: in4(with4(func(p *ip4) { p.ttl = 1 })), drop: "ttl-exceeded"},
			group: "239.1.1.1/32", list: forward},
		{step: step{name: "TTL 1 gets here", in: "a", frame: in4(with4(func(p *ip4) { p.ttl = 1 })),
			host: toHost(unitA, intf.Inet, with4(func(p *ip4) { p.ttl = 1 }).bytes())},
			group: "239.1.1.1/32", list: routing.List{Out: all, Local: true}},
		{step: step{name: "hop limit 1", in: "a", frame: in6(with6(func(p *ip6) { p.hops = 1 })), drop: "ttl-exceeded"},
			group: "ff0e::1/128", list: forward},
		{step: step{name: "a link's groups, whatever a route says", in: "a", frame: in4(with4(func(p *ip4) { p.dst = "224.0.0.9" })), drop: "beyond-scope"},
			group: "224.0.0.9/32", list: forward},
		{step: step{name: "a link's IPv6 groups", in: "a", frame: in6(with6(func(p *ip6) { p.dst = "ff12::9" })), drop: "beyond-scope"},
			group: "ff12::/16", list: forward},
		{step: step{name: "a link-local source (RFC 4291, 2.5.6)", in: "a", frame: in6(with6(func(p *ip6) { p.src = "fe80::1:a" })), drop: "beyond-scope"},
			group: "ff0e::1/128", list: forward},
		{step: step{name: "no source", in: "a", frame: in6(with6(func(p *ip6) { p.src = "::" })), drop: "martian-source"},
			group: "ff0e::1/128", list: forward},
		{step: step{name: "IGMP is for us", in: "a", frame: in4(igmp), host: toHost(unitA, intf.Inet, igmp.bytes())},
			group: "239.1.0.0/16", list: forward},
		{step: step{name: "IGMP to a group that has no route", in: "a", frame: in4(igmp), host: toHost(unitA, intf.Inet, igmp.bytes())},
			group: "239.1.0.0/16", list: routing.List{Report: true}},
		{step: step{name: "MLD is for us", in: "a", frame: eth(macOf6, hostA, nil, 0x86dd, mld(131)), host: toHost(unitA, intf.Inet6, mld(131))},
			group: "ff0e::1/128", list: forward},
		{step: step{name: "an echo to a group with the router alert isn't MLD", in: "a", frame: eth(macOf6, hostA, nil, 0x86dd, mld(128)), drop: "ttl-exceeded"},
			group: "ff0e::1/128", list: forward},
		{step: step{name: "a source route is not followed", in: "a", frame: in4(routed), drop: "source-route"},
			group: "239.1.1.1/32", list: forward},
		{step: step{name: "a source route gets here", in: "a", frame: in4(routed), host: toHost(unitA, intf.Inet, routed.bytes())},
			group: "239.1.1.1/32", list: routing.List{Out: all, Local: true}},
		{step: step{name: "the route is recorded by each unit", in: "a", frame: in4(recording(4, 0)),
			out: []string{b4(aged4(recording(8, 0xc6336401))), c4(aged4(recording(8, 0xcb007101)))}},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitB, unitC}}},
		{step: step{name: "fragments for the unit that needs them", in: "a", frame: in4(big4), out: []string{
			b4(piece(big4, 0, 1256, true)), b4(piece(big4, 1256, 1400, false)), c4(aged4(big4))}},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitB, unitC}}},
		{step: step{name: "not to be fragmented: too big for one, and no ICMP (RFC 1812, 4.3.2.7)", in: "a",
			frame: in4(with4(func(p *ip4) { p.payload, p.df = data(1400), true })),
			out:   []string{c4(aged4(with4(func(p *ip4) { p.payload, p.df = data(1400), true })))}, drop: "too-big"},
			group: "239.1.1.1/32", list: routing.List{Out: []intf.Index{unitB, unitC}}},
		{step: step{name: "packet too big for one of the units (RFC 4443, 2.4)", in: "a", frame: in6(big6), out: []string{
			frameOut("a", eth6(hostA, routerA, ip6{src: "2001:db8:a::1", dst: "2001:db8:a::10", next: 58,
				payload: icmp6("2001:db8:a::1", "2001:db8:a::10", 2, 0, 1280, big6.bytes()[:1232])})),
			c6(aged6(big6))}, drop: "too-big"},
			group: "ff0e::1/128", list: routing.List{Out: []intf.Index{unitB, unitC}}},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.list(s.group, s.list)
			s.step.out = slices.Sorted(slices.Values(s.step.out))
			before := x.drops()
			x.push(s.in, s.frame)
			x.run()
			got := x.collect()
			slices.Sort(got)
			if !slices.Equal(got, s.out) {
				t.Errorf("frames out\n got  %v\n want %v", got, s.out)
			}
			if !slices.Equal(x.host, s.host) {
				t.Errorf("delivered\n got  %v\n want %v", x.host, s.host)
			}
			for r, n := range x.drops() {
				if n -= before[r]; n > 0 && (n > 1 || r != s.drop) {
					t.Errorf("%d dropped as %s, want %q", n, r, s.drop)
				}
			}
			if s.drop != "" && x.drops()[s.drop] == before[s.drop] {
				t.Errorf("nothing is dropped as %s", s.drop)
			}
			if len(x.punts) != 0 {
				t.Errorf("punts %v", x.punts)
			}
			x.checkAccounts()
		})
	}
}

func TestRoutesBySource(t *testing.T) {
	x := newWorld(t, worldConfig())
	to := func(i intf.Index) routing.NextHop { return toUnits(t, routing.List{Out: []intf.Index{i}}) }
	x.route(0, "239.0.0.0/8", to(unitQ))
	x.bySource(900, "239.1.1.1", map[string]routing.NextHop{
		"0.0.0.0/0": to(unitQ), "192.0.2.0/24": to(unitC), "192.0.2.10/32": to(unitB),
	})
	x.bySource(901, "ff0e::1", map[string]routing.NextHop{"2001:db8:a::/64": to(unitB)})
	way := func(frame []byte) string {
		x.push("a", frame)
		x.run()
		var ways string
		for _, f := range x.collect() {
			ways += f[:1] + f[26:30] // the port and the EtherType or TPID
		}
		return ways
	}
	for _, c := range []struct{ src, dst, want string }{
		{"192.0.2.10", "239.1.1.1", "b0800"},
		{"192.0.2.11", "239.1.1.1", "c8100"},
		{"10.9.9.9", "239.1.1.1", "c88a8"},
		{"192.0.2.10", "239.1.1.2", "c88a8"},
	} {
		if got := way(eth4(macOf239, hostA, ip4{src: c.src, dst: c.dst, payload: data(9)})); got != c.want {
			t.Errorf("from %s to %s: %s, want %s", c.src, c.dst, got, c.want)
		}
	}
	if got := way(eth6(macOf6, hostA, ip6{src: "2001:db8:a::10", dst: "ff0e::1", payload: data(9)})); got != "b86dd" {
		t.Errorf("IPv6 goes by %s", got)
	}
	// A source that the group's table has no answer for looks the group up again,
	// and if that leads there again, for a bounded time.
	if got := way(eth6(macOf6, hostA, ip6{src: "2001:db8:b::10", dst: "ff0e::1", payload: data(9)})); got != "" {
		t.Errorf("a source without an answer goes by %s", got)
	}
	if n := x.drops()["lookup-loop"]; n != 1 {
		t.Errorf("%d packets are dropped as lookup-loop, want 1: %v", n, x.drops())
	}
	x.checkAccounts()
}

// What the host sends to a group leaves by the unit that the host chose, as it
// is; and by the others of a route as if it had come in by that unit.
func TestOriginatedGroups(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.list("239.1.0.0/16", routing.List{In: unitA, Out: []intf.Index{unitA, unitB, 77}, Tally: 5, Local: true})
	x.list("ff0e::/16", routing.List{Flood: true, Out: []intf.Index{unitA, unitB, unitC}})
	x.bySource(900, "239.1.9.9", map[string]routing.NextHop{"192.0.2.0/24": toUnits(t, routing.List{Out: []intf.Index{unitC}})})
	a4 := func(p ip4) string { return frameOut("a", eth4(macOf239, routerA, p)) }
	b4 := func(p ip4) string { return frameOut("b", eth4(macOf239, routerB, p)) }
	own := ip4{src: "192.0.2.1", dst: "239.1.1.1", ttl: 8, payload: data(40)}
	older := own
	older.ttl = 7
	once := own
	once.ttl = 1
	other := own
	other.dst = "239.255.255.1"
	six := ip6{src: "2001:db8:a::1", dst: "ff0e::1", hops: 8, payload: data(40)}
	local6, older6 := six, six
	local6.src, older6.hops = "fe80::a", 7
	nine := own
	nine.dst = "239.1.9.9"
	older9 := nine
	older9.ttl = 7
	mac9 := intf.MAC{1, 0, 0x5e, 1, 9, 9}
	for _, c := range []struct {
		name string
		from intf.Index
		l3   []byte
		want []string
	}{
		{"on", unitA, own.bytes(), []string{a4(own), b4(older)}},
		{"TTL 1 stays", unitA, once.bytes(), []string{a4(once)}},
		{"by another unit than the route's", unitB, own.bytes(), []string{b4(own)}},
		{"no route", unitA, other.bytes(), []string{frameOut("a", eth4(macAll, routerA, other))}},
		{"IPv6", unitA, six.bytes(), []string{
			frameOut("a", eth6(macOf6, routerA, six)), frameOut("b", eth6(macOf6, routerB, older6)),
			frameOut("c", eth(macOf6, routerC, tagC, 0x86dd, older6.bytes()))}},
		{"a link-local source stays", unitA, local6.bytes(), []string{frameOut("a", eth6(macOf6, routerA, local6))}},
		{"by source", unitA, nine.bytes(), []string{frameOut("a", eth4(mac9, routerA, nine)), frameOut("c", eth(mac9, routerC, tagC, 0x0800, older9.bytes()))}},
	} {
		if err := x.e.Originate(0, c.from, c.l3); err != nil {
			t.Fatal(err)
		}
		x.run()
		if got := x.collect(); !slices.Equal(got, c.want) {
			t.Errorf("%s: frames out\n got  %v\n want %v", c.name, got, c.want)
		}
		if len(x.host) != 0 {
			t.Errorf("%s: delivered %v", c.name, x.host)
		}
		x.checkAccounts()
	}
	if packets, octets := x.e.Tally(5); packets != 1 || octets != 60 {
		t.Errorf("%d packets of %d octets are counted, want one of 60", packets, octets)
	}
}

// A tally survives the next hops that count there, as long as there is one.
func TestTallies(t *testing.T) {
	x := newWorld(t, worldConfig())
	send := func() {
		x.push("a", eth4(macOf239, hostA, ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(80)}))
		x.run()
		x.collect()
	}
	expect := func(number uint32, want uint64) {
		t.Helper()
		if packets, octets := x.e.Tally(number); packets != want || octets != 100*want {
			t.Errorf("tally %d has %d packets of %d octets, want %d of 100 each", number, packets, octets, want)
		}
	}
	expect(7, 0)
	x.list("239.1.1.1/32", routing.List{Out: []intf.Index{unitB}, Tally: 7})
	send()
	expect(7, 1)
	// Another list, in the same tally; then a clone's, which counts in both.
	x.list("239.1.1.1/32", routing.List{Out: []intf.Index{unitC}, Tally: 7})
	x.e.DeleteNextHop(x.nhs[toUnits(t, routing.List{Out: []intf.Index{unitB}, Tally: 7})])
	send()
	expect(7, 2)
	x.list("239.1.1.1/32", routing.List{Out: []intf.Index{unitC}, Tally: 8, Under: 7})
	send()
	expect(7, 3)
	expect(8, 1)
	// What is dropped for the wrong interface did not follow the route.
	x.list("239.1.1.1/32", routing.List{In: unitB, Tally: 8, Under: 7})
	send()
	expect(8, 1)
	for nh, id := range x.nhs {
		if nh.Tally != 0 {
			x.e.DeleteNextHop(id)
		}
	}
	expect(7, 0)
	if n := len(x.e.tallies); n != 0 {
		t.Errorf("%d tallies are left", n)
	}
	x.checkAccounts()
}

// New flows are reported, at a limited rate, and forwarded all the same.
func TestFlowReports(t *testing.T) {
	c := worldConfig()
	c.Flow = Rate{10, 3}
	x := newWorld(t, c)
	x.list("239.1.0.0/16", routing.List{In: unitA, Out: []intf.Index{unitB}, Report: true})
	x.list("224.0.0.0/4", routing.List{Report: true})
	x.list("239.9.9.9/32", routing.List{Out: []intf.Index{unitB}})
	p := ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(20)}
	header := func(p ip4) string { return fmt.Sprintf("flow %d in 0 %x", unitA, p.bytes()[:20]) }
	ask := func(p ip4) []string {
		x.push("a", eth4(macOf239, hostA, p))
		x.run()
		x.collect()
		x.checkAccounts()
		return x.punts
	}
	if got := ask(p); !slices.Equal(got, []string{header(p)}) {
		t.Errorf("the first packet is reported as %v", got)
	}
	nobody := p
	nobody.dst = "239.200.0.1"
	if got := ask(nobody); !slices.Equal(got, []string{header(nobody)}) {
		t.Errorf("a packet to nobody is reported as %v", got)
	}
	for name, quiet := range map[string]ip4{
		"a list that doesn't ask": {src: p.src, dst: "239.9.9.9"},
		"TTL 1":                   {src: p.src, dst: p.dst, ttl: 1},
		"IGMP":                    {src: p.src, dst: p.dst, proto: 2, payload: data(8)},
	} {
		if got := ask(quiet); len(got) != 0 {
			t.Errorf("%s: reported as %v", name, got)
		}
	}
	var n int
	for range 100 {
		n += len(ask(p))
	}
	if n != 1 {
		t.Errorf("%d reports of 100 packets at one instant, want the last of the burst of 3", n)
	}
	x.now += time.Second
	if got := ask(p); len(got) != 1 {
		t.Errorf("a second later there are %d reports", len(got))
	}
	if n := x.drops()["punt-policed"]; n != 0 {
		t.Errorf("%d packets are dropped for their reports", n)
	}
}

// Without buffers there are fewer copies, all accounted for, and no leak.
func TestCopiesWithoutBuffers(t *testing.T) {
	c := worldConfig()
	c.Buffers = 2 * batchSize
	x := newWorld(t, c)
	out := []intf.Index{unitB, unitC, unitQ}
	x.list("239.1.1.1/32", routing.List{Out: out, Local: true})
	w := x.e.workers[0]
	for range 40 {
		for range batchSize {
			x.push("a", eth4(macOf239, hostA, ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(40)}))
		}
		// What is queued at the ports keeps its buffers until it is collected.
		for w.runOnce() > 0 {
		}
		x.collect()
	}
	if n := x.drops()["no-buffer"]; n == 0 {
		t.Error("there was a buffer for every copy")
	}
	x.run()
	x.collect()
	x.checkAccounts()
}

// Several workers hand copies to each other.
func TestCopiesByWorkers(t *testing.T) {
	c := worldConfig()
	c.Workers = 2
	x := newWorld(t, c)
	x.list("239.1.1.1/32", routing.List{Out: []intf.Index{unitB, unitC, unitQ}, Tally: 1})
	for range 3 {
		for _, q := range x.queues["a"] {
			if !q.Push(eth4(macOf239, hostA, ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(40)}), 0) {
				t.Fatal("the queue is full")
			}
		}
	}
	x.run()
	if n := len(x.collect()); n != 18 {
		t.Errorf("%d copies of 6 packets, want 18", n)
	}
	if packets, _ := x.e.Tally(1); packets != 6 {
		t.Errorf("%d packets are counted, want 6", packets)
	}
	x.checkAccounts()
}

// listLine is an engine with n units to copy to, on ports that swallow all.
func listLine(tb testing.TB, n int, l routing.List, frame []byte) *worker {
	x, w := newLine(tb, 1<<20, func(b []byte) int { return copy(b, frame) })
	tx := x.e.Edit()
	for i := range n {
		q := memport.NewFunc(w.pool, nil, nil)
		id, err := x.e.AddPort(fmt.Sprint("out", i), []port.Queue{q}, PortOptions{})
		if err != nil {
			tb.Fatal(err)
		}
		x.ports[fmt.Sprint("out", i)] = id
		u := x.unit(intf.Index(100+i), fmt.Sprint("out", i), nil, routerB, 0, 1500)
		tx.SetUnit(u)
		l.Out = append(l.Out, u.Index)
	}
	tx.Commit()
	x.list("239.0.0.0/8", l)
	x.list("ff0e::/16", l)
	return w
}

func TestNoAllocationsPerCopy(t *testing.T) {
	for name, frame := range map[string][]byte{
		"IPv4": eth4(macOf239, hostA, ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(26)}),
		"IPv6": eth6(macOf6, hostA, ip6{src: "2001:db8:a::10", dst: "ff0e::1", payload: data(6)}),
	} {
		w := listLine(t, 4, routing.List{In: unitA, Local: true, Report: true, Tally: 1, Under: 2}, frame)
		n := testing.AllocsPerRun(200, func() {
			w.runOnce()
			for s, _ := w.hostOut.peek(); s != nil; s, _ = w.hostOut.peek() {
				w.releaseHost(s)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations in a batch", name, n)
		}
	}
}

// BenchmarkReplicate measures one packet in, of 64 octets, and its copies out.
func BenchmarkReplicate(b *testing.B) {
	frame := eth4(macOf239, hostA, ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(26)})
	for _, n := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("units=%d", n), func(b *testing.B) {
			w := listLine(b, n, routing.List{In: unitA, Tally: 1}, frame)
			b.ResetTimer()
			for done := 0; done < b.N; done += batchSize {
				w.runOnce()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/copy")
		})
	}
}
