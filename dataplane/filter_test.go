package dataplane

import (
	"fmt"
	"slices"
	"testing"

	"router/dataplane/filter"
	"router/intf"
)

func TestFilterAccept(t *testing.T) {
	eachWay(t, func(x *world, v way) {
		x.bind(v.unit, v.fam, v.hook, do(filter.Action{}))
		x.walk(v, step{out: v.out, host: v.host})
	})
}

func TestFilterDiscard(t *testing.T) {
	eachWay(t, func(x *world, v way) {
		x.bind(v.unit, v.fam, v.hook, do(filter.Action{Kind: filter.Discard}))
		x.walk(v, step{drop: "filtered"})
	})
}

func TestFilterWithoutTermsDiscards(t *testing.T) {
	eachWay(t, func(x *world, v way) {
		x.bind(v.unit, v.fam, v.hook)
		x.walk(v, step{drop: "filtered"})
	})
}

// A filter concerns its own unit, family and hook.
func TestFilterConcernsNobodyElse(t *testing.T) {
	eachWay(t, func(x *world, v way) {
		for _, u := range []intf.Index{unitA, unitB, unitC, unitD} {
			for _, f := range intf.Families {
				for h := range filter.NumHooks {
					// A received packet does not pass the hooks of those the router sends, and
					// the other way round; it does pass both of input and output.
					concerned := u == v.unit && h == v.hook ||
						v.in != "" && (u == unitA && h == filter.Input || u == unitA && h == filter.InputLocal && v.host != nil) ||
						v.in == "" && u == unitA && h == filter.OutputLocal ||
						v.host == nil && u == unitB && h == filter.Output
					if f != v.fam || !concerned {
						x.bind(u, f, h, do(filter.Action{Kind: filter.Discard}))
					}
				}
			}
		}
		x.walk(v, step{out: v.out, host: v.host})
	})
}

func TestFilterDSCP(t *testing.T) {
	remark := func(l3 []byte) []byte {
		l3 = slices.Clone(l3)
		if l3[0]>>4 == 6 {
			l3[0], l3[1] = 0x6b, 0x80
			return l3
		}
		l3[1], l3[10], l3[11] = 46<<2, 0, 0
		copy(l3[10:], be16(int(^onesSum(l3[:20]))))
		return l3
	}
	eachWay(t, func(x *world, v way) {
		x.bind(v.unit, v.fam, v.hook, do(filter.Action{DSCP: filter.Some[uint8](46)}))
		if v.sent == nil {
			x.walk(v, step{host: toHost(unitA, v.fam, remark(v.l3))})
			return
		}
		x.walk(v, step{out: []string{frameOut("b", eth(hostB, routerB, nil, int(etherTypes[v.fam]), remark(v.sent)))}})
	})
}

func TestFilterInstance(t *testing.T) {
	back := ip4{src: "198.51.100.10", dst: "192.0.2.10", payload: data(30)}
	aged := back
	aged.ttl = 63
	mine := ip4{src: "198.51.100.1", dst: "192.0.2.10", payload: data(30)}
	own := ip4{src: "198.51.100.10", dst: "192.0.2.1", payload: data(30)}
	toOne := do(filter.Action{Kind: filter.ToInstance, Instance: 1})
	t.Run("received", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitB, intf.Inet, filter.Input, toOne)
		x.check(step{in: "b", frame: eth4(routerB, hostB, back), out: []string{frameOut("d", eth4(hostD, routerD, aged))}})
	})
	t.Run("an address of the other instance", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitB, intf.Inet, filter.Input, toOne)
		x.check(step{in: "b", frame: eth4(routerB, hostB, own), host: toHost(unitD, intf.Inet, own.bytes())})
	})
	t.Run("the router's own", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitB, intf.Inet, filter.OutputLocal, toOne)
		before := x.drops()
		if err := x.e.Originate(0, unitB, mine.bytes()); err != nil {
			t.Fatal(err)
		}
		x.run()
		x.expect(step{out: []string{frameOut("d", eth4(hostD, routerD, mine))}}, before)
	})
	t.Run("inet6", func(t *testing.T) {
		back6 := ip6{src: "2001:db8:b::10", dst: "2001:db8:a::10", payload: data(30)}
		aged6 := back6
		aged6.hops = 63
		x := newWorld(t, worldConfig())
		x.bind(unitB, intf.Inet6, filter.Input, toOne)
		x.check(step{in: "b", frame: eth6(routerB, hostB, back6), out: []string{frameOut("d", eth6(hostD, routerD, aged6))}})
	})
	t.Run("an instance that does not exist", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitB, intf.Inet, filter.Input, do(filter.Action{Kind: filter.ToInstance, Instance: 7}))
		x.check(step{in: "b", frame: eth4(routerB, hostB, back), drop: "no-instance"})
	})
	t.Run("where nothing is looked up any more", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Output, toOne)
		x.check(step{in: "b", frame: eth4(routerB, hostB, back), out: []string{frameOut("a", eth4(hostA, routerA, aged))}})
	})
}

func TestFilterNextHop(t *testing.T) {
	forth := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	aged := forth
	aged.ttl = 63
	expired := forth
	expired.ttl = 1
	toC := func(x *world) filter.Term {
		return do(filter.Action{Kind: filter.ToNextHop, NextHop: uint32(x.nexthop(forwardTo(unitC, "203.0.113.10"), 0))})
	}
	byC := func(p ip4) []string { return []string{frameOut("c", eth(hostC, routerC, tagC, 0x0800, p.bytes()))} }
	t.Run("received", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, toC(x))
		x.check(step{in: "a", frame: eth4(routerA, hostA, forth), out: byC(aged)})
	})
	t.Run("what would have been for us", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, toC(x))
		own := forth
		own.dst = "192.0.2.1"
		gone := own
		gone.ttl = 63
		x.check(step{in: "a", frame: eth4(routerA, hostA, own), out: byC(gone)})
	})
	t.Run("TTL 1", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, toC(x))
		x.check(step{in: "a", frame: eth4(routerA, hostA, expired), drop: "ttl-exceeded", out: []string{frameOut("a", eth4(hostA, routerA, ip4{
			src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(11, 0, 0, expired.bytes()),
		}))}})
	})
	t.Run("the router's own", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.OutputLocal, toC(x))
		before := x.drops()
		if err := x.e.Originate(0, unitA, forth.bytes()); err != nil {
			t.Fatal(err)
		}
		x.run()
		x.expect(step{out: byC(forth)}, before)
	})
	t.Run("a next hop that does not exist", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.bind(unitA, intf.Inet, filter.Input, do(filter.Action{Kind: filter.ToNextHop, NextHop: 999}))
		x.check(step{in: "a", frame: eth4(routerA, hostA, forth), drop: "no-route"})
	})
}

// In one batch some packets pass, some don't, and some are steered: those that
// leave by one port keep their order.
func TestFilterBatch(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.bind(unitA, intf.Inet, filter.Input,
		to("198.51.100.11", filter.Action{Kind: filter.Discard}),
		to("198.51.100.12", filter.Action{Kind: filter.ToNextHop, NextHop: uint32(x.nexthop(forwardTo(unitB, "198.51.100.10"), 0))}),
		do(filter.Action{}))
	var want []string
	for i := range 60 {
		p := ip4{src: "192.0.2.10", dst: fmt.Sprintf("198.51.100.%d", 10+i%3), id: 100 + i, payload: data(30)}
		x.push("a", eth4(routerA, hostA, p))
		if p.ttl = 63; i%3 != 1 {
			want = append(want, frameOut("b", eth4(hostB, routerB, p)))
		}
		// Without a filter, and of the other family, in the same batch.
		q := ip6{src: "2001:db8:a::10", dst: "2001:db8:c::10", payload: data(i)}
		x.push("a", eth6(routerA, hostA, q))
	}
	x.run()
	got := x.collect()
	if six := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s[0] != 'c' }); len(six) != 60 {
		t.Errorf("%d packets of inet6 came out", len(six))
	}
	if got = slices.DeleteFunc(got, func(s string) bool { return s[0] != 'b' }); !slices.Equal(got, want) {
		t.Errorf("got %d frames\n%v\nwant %d\n%v", len(got), got, len(want), want)
	}
	if n := x.drops()["filtered"]; n != 20 {
		t.Errorf("%d packets filtered, want 20", n)
	}
	x.checkAccounts()
}

// Neighbour discovery is ICMPv6 and has to pass like all of it; ARP is not IPv4.
func TestFilterAndNeighbors(t *testing.T) {
	discard := do(filter.Action{Kind: filter.Discard})
	solicit := ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", hops: 255, next: 58,
		payload: icmp6("2001:db8:a::10", "2001:db8:a::1", 135, 0, 0, data(24))}
	arp := eth(routerA, hostA, nil, 0x806, data(28))
	for _, h := range []filter.Hook{filter.Input, filter.InputLocal} {
		t.Run(h.String(), func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.bind(unitA, intf.Inet6, h, discard)
			x.bind(unitA, intf.Inet, h, discard)
			x.check(step{in: "a", frame: eth6(routerA, hostA, solicit), drop: "filtered"})
			x.push("a", arp)
			x.run()
			if x.collect(); len(x.punts) != 1 {
				t.Errorf("punts: %v", x.punts)
			}
		})
	}
	for _, h := range []filter.Hook{filter.Output, filter.OutputLocal} {
		t.Run(h.String()+" of the router's own", func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.bind(unitA, intf.Inet6, h, discard)
			if err := x.e.SendUnit(unitA, 0x86dd, hostA, solicit.bytes()); err != nil {
				t.Fatal(err)
			}
			x.run()
			if got := x.collect(); len(got) != 1 {
				t.Errorf("got %v", got)
			}
		})
	}
}

// The local filters of a loopback are asked about all packets of its instance, after
// those of the unit.
func TestFilterOfLoopback(t *testing.T) {
	const lo0, lo1 = 50, 51
	own := ip4{src: "192.0.2.10", dst: "192.0.2.1", payload: data(30)}
	mine := ip4{src: "192.0.2.1", dst: "198.51.100.10", payload: data(30)}
	forth := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	aged := forth
	aged.ttl = 63
	marked := func(mark, next uint16) filter.Term {
		return filter.Term{
			Match:  filter.Match{Mark: filter.Marks{Entries: []filter.MaskedMark{{Value: mark, Mask: 0xffff}}}},
			Action: filter.Action{Mark: filter.Some(next)},
		}
	}
	x := newWorld(t, worldConfig())
	loopback := func(i intf.Index, instance uint32) {
		u := x.unit(i, "", nil, intf.MAC{}, instance, 1500, "10.0.0.1")
		u.Loopback = true
		tx := x.e.Edit()
		tx.SetUnit(u)
		tx.Commit()
	}
	received := step{in: "a", frame: eth4(routerA, hostA, own), host: toHost(unitA, intf.Inet, own.bytes())}
	dropped := step{in: "a", frame: received.frame, drop: "filtered"}
	forwarded := step{in: "a", frame: eth4(routerA, hostA, forth), out: []string{frameOut("b", eth4(hostB, routerB, aged))}}
	foreign := step{in: "d", frame: eth4(routerD, hostD, own), host: toHost(unitD, intf.Inet, own.bytes())}
	sends := func(s step) {
		t.Helper()
		before := x.drops()
		if err := x.e.Originate(0, unitA, mine.bytes()); err != nil {
			t.Fatal(err)
		}
		x.run()
		x.expect(s, before)
	}
	loopback(lo0, 0)
	loopback(lo1, 0)
	x.check(received)
	x.bind(lo0, intf.Inet, filter.InputLocal, do(filter.Action{Kind: filter.Discard}))
	x.check(dropped)
	x.check(forwarded)
	x.check(foreign)
	sends(step{out: []string{frameOut("b", eth4(hostB, routerB, mine))}})
	x.bind(lo0, intf.Inet, filter.OutputLocal, do(filter.Action{Kind: filter.Discard}))
	sends(step{drop: "filtered"})
	x.bind(lo0, intf.Inet, filter.OutputLocal,
		do(filter.Action{Kind: filter.ToNextHop, NextHop: uint32(x.nexthop(forwardTo(unitC, "203.0.113.10"), 0))}))
	sends(step{out: []string{frameOut("c", eth(hostC, routerC, tagC, 0x800, mine.bytes()))}})
	// What the unit does to a packet, its instance's loopbacks see, in order.
	x.bind(unitA, intf.Inet, filter.InputLocal, marked(0, 1))
	x.bind(lo0, intf.Inet, filter.InputLocal, marked(1, 2))
	x.bind(lo1, intf.Inet, filter.InputLocal, marked(2, 3))
	x.check(received)
	x.bind(lo0, intf.Inet, filter.InputLocal, marked(3, 2))
	x.check(dropped)
	// An instance that is made anew is guarded, too, and one that the loopback has
	// left is not.
	tx := x.e.Edit()
	tx.DeleteInstance(0)
	tx.SetInstance(0, x.tables[0])
	tx.Commit()
	x.check(dropped)
	loopback(lo0, 1)
	x.bind(lo0, intf.Inet, filter.InputLocal, do(filter.Action{Kind: filter.Discard}))
	x.bind(lo1, intf.Inet, filter.InputLocal, do(filter.Action{}))
	x.check(received)
	foreign.host, foreign.drop = nil, "filtered"
	x.check(foreign)
	tx = x.e.Edit()
	tx.DeleteUnit(lo0)
	tx.DeleteUnit(lo1)
	tx.Commit()
	foreign.host, foreign.drop = toHost(unitD, intf.Inet, own.bytes()), ""
	x.check(foreign)
	x.check(received)
}

// Senders are redirected past an output filter, but not to where a filter sends them.
func TestFilterRedirects(t *testing.T) {
	p := ip4{src: "192.0.2.10", dst: "10.20.0.9", payload: data(30)}
	sent := p
	sent.ttl = 63
	told := ip4{src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(5, 1, 0xc0000214, sent.bytes())}
	forth := frameOut("a", eth4(macOther, routerA, sent))
	x := redirecting(t)
	x.bind(unitA, intf.Inet, filter.Output, do(filter.Action{}))
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: []string{forth, frameOut("a", eth4(hostA, routerA, told))}})
	x = redirecting(t)
	x.bind(unitA, intf.Inet, filter.Input,
		do(filter.Action{Kind: filter.ToNextHop, NextHop: uint32(x.nexthop(forwardTo(unitA, "192.0.2.20"), 0))}))
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: []string{forth}})
	x.bind(unitA, intf.Inet, filter.Input, do(filter.Action{Kind: filter.ToInstance, Instance: 0}))
	x.check(step{in: "a", frame: eth4(routerA, hostA, p), out: []string{forth}})
}

// Broadcasts and groups for the router are local packets, too.
func TestFilterLocalGroups(t *testing.T) {
	for _, s := range []step{
		{name: "limited broadcast", frame: eth4(intf.Broadcast, hostA, ip4{src: "0.0.0.0", dst: "255.255.255.255", payload: data(30)})},
		{name: "subnet broadcast", frame: eth4(intf.Broadcast, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.255", payload: data(30)})},
		{name: "group", frame: eth4(intf.MAC{1, 0, 0x5e, 0, 0, 5}, hostA, ip4{src: "192.0.2.10", dst: "224.0.0.5", proto: 89, ttl: 1, payload: data(30)})},
		{name: "group6", frame: eth6(intf.MAC{0x33, 0x33, 0, 0, 0, 5}, hostA, ip6{src: "fe80::1:a", dst: "ff02::5", next: 89, hops: 1, payload: data(30)})},
		{name: "link-local address", frame: eth6(routerA, hostA, ip6{src: "fe80::1:a", dst: "fe80::a", payload: data(30)})},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			for _, f := range intf.Families {
				x.bind(unitA, f, filter.InputLocal, do(filter.Action{Kind: filter.Discard}))
			}
			s.in, s.drop = "a", "filtered"
			x.check(s)
		})
	}
}

// A filter sees whole packets: what leaves in fragments is filtered once, before.
func TestFilterOutputFragments(t *testing.T) {
	big := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(1400)}
	whole := filter.Term{Match: filter.Match{Fragment: filter.FragmentNone, Length: filter.Numbers{Ranges: []filter.Range{{Lo: 1420, Hi: 1420}}}}}
	df := big
	df.df = true
	aged := df
	aged.ttl = 63
	x := newWorld(t, worldConfig())
	x.bind(unitB, intf.Inet, filter.Output, whole)
	x.push("a", eth4(routerA, hostA, big))
	x.run()
	if got := x.collect(); len(got) != 2 {
		t.Errorf("%d fragments: %v", len(got), got)
	}
	if s := x.e.Totals(); s.Created != 2 || s.Absorbed != 1 {
		t.Errorf("%+v", s)
	}
	x.checkAccounts()
	// The filter comes before the size: who may not pass does not learn the MTU.
	x.check(step{in: "a", frame: eth4(routerA, hostA, df), drop: "too-big", out: []string{frameOut("a", eth4(hostA, routerA, ip4{
		src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(3, 4, 1280, aged.bytes()[:548]),
	}))}})
	x.bind(unitB, intf.Inet, filter.Output, do(filter.Action{Kind: filter.Discard}))
	x.check(step{in: "a", frame: eth4(routerA, hostA, df), drop: "filtered"})
}

// A packet whose neighbour is unknown is filtered before it waits, and not again.
func TestFilterOutputUnresolved(t *testing.T) {
	lost := ip4{src: "192.0.2.10", dst: "198.51.100.99", payload: data(30)}
	x := newWorld(t, worldConfig())
	x.bind(unitB, intf.Inet, filter.Output, do(filter.Action{Mirror: unitN}))
	x.push("a", eth4(routerA, hostA, lost))
	x.run()
	lost.ttl = 63
	if got, want := x.collect(), frameOut("d", eth(intf.MAC{}, routerB, tagN, 0x800, lost.bytes())); len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(x.punts) != 1 {
		t.Fatalf("punts: %v", x.punts)
	}
	x.bind(unitB, intf.Inet, filter.Output, do(filter.Action{Kind: filter.Discard}))
	if err := x.e.SendUnit(unitB, 0x800, hostB, x.packet); err != nil {
		t.Fatal(err)
	}
	x.run()
	if got := x.collect(); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	x.check(step{in: "a", frame: eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.99", payload: data(30)}), drop: "filtered"})
}

// Filters come, change and go with their units.
func TestFilterEdit(t *testing.T) {
	forth := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	aged := forth
	aged.ttl = 63
	passes := step{in: "a", frame: eth4(routerA, hostA, forth), out: []string{frameOut("b", eth4(hostB, routerB, aged))}}
	fails := step{in: "a", frame: passes.frame, drop: "filtered"}
	for _, place := range []filter.Place{{Hook: filter.Input, Unit: unitA}, {Hook: filter.Output, Unit: unitB}} {
		x := newWorld(t, worldConfig())
		discard := x.compile("discard", place, intf.Inet, do(filter.Action{Kind: filter.Discard}))
		accept := x.compile("accept", place, intf.Inet, do(filter.Action{}))
		for _, s := range []struct {
			bound *filter.Bound
			want  step
		}{{nil, passes}, {discard, fails}, {accept, passes}, {discard, fails}, {nil, passes}, {discard, fails}} {
			x.setFilters(intf.Inet, bindings{place: s.bound})
			x.check(s.want)
		}
		// What else changes leaves them alone.
		tx := x.e.Edit()
		tx.SetInstance(0, x.tables[0])
		u := x.e.snapshot.Load().units.at(uint32(place.Unit)).spec
		u.Families[intf.Inet].MTU = 1400
		tx.SetUnit(u)
		tx.Commit()
		x.check(fails)
		x.e.SetAdjacency(unitB, ip("198.51.100.10"), hostB, true)
		x.check(fails)
		tx = x.e.Edit()
		tx.DeleteUnit(place.Unit)
		tx.SetUnit(x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1"))
		tx.SetUnit(x.unit(unitB, "b", nil, routerB, 0, 1280, "198.51.100.1"))
		tx.Commit()
		x.push("a", passes.frame)
		x.run()
		if got := x.collect(); !slices.Equal(got, passes.out) {
			t.Errorf("without the filter: got %v, want %v", got, passes.out)
		}
		x.checkAccounts()
	}
}
