package dataplane

import (
	"testing"

	"router/dataplane/filter"
	"router/dataplane/session"
	"router/intf"
	"router/routing"
)

// FuzzPipeline feeds arbitrary frames to every port and arbitrary packets to
// every other entrance: nothing panics, every packet is accounted for, and no
// buffer is lost.
func FuzzPipeline(f *testing.F) {
	four := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(40)}
	six := ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(40)}
	local6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", hops: 255, next: 58, payload: icmp6("2001:db8:a::10", "2001:db8:a::1", 135, 0, 0, data(24))}
	big := four
	big.payload, big.options = data(1400), []byte{148, 4, 0, 0}
	for _, frame := range [][]byte{
		eth4(routerA, hostA, four), eth6(routerA, hostA, six), eth6(routerA, hostA, local6), eth4(routerA, hostA, big),
		eth(routerC, hostC, tagC, 0x800, four.bytes()), eth(routerC, hostC, tagQ, 0x86dd, six.bytes()),
		eth(intf.Broadcast, hostA, nil, 0x806, data(28)),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "8.8.8.8", ttl: 1}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "203.0.113.99", payload: udp("192.0.2.10", "203.0.113.99", data(9), true)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "20.0.0.1", payload: portsOf(7, 9)}),
		eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2620::1", next: 44, payload: fragment6(40, false, data(40))}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", tos: 1 << 2, payload: data(40)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", tos: 2 << 2, proto: 6, payload: tcp("192.0.2.10", "198.51.100.10", 2, 1, 0, nil)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", tos: 9 << 2, payload: data(1400)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "192.0.2.1", tos: 8 << 2, payload: data(40)}),
		eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", tos: 12 << 2, payload: data(40)}),
		eth4(macOf239, hostA, ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(1400)}),
		eth4(macAll, hostA, ip4{src: "192.0.2.10", dst: "239.255.255.1", ttl: 1, proto: 2, payload: data(8)}),
		eth6(macOf6, hostA, ip6{src: "2001:db8:a::10", dst: "ff0e::1", payload: data(1300)}),
		{}, data(13), data(60),
	} {
		f.Add(frame, uint8(0))
		f.Add(frame, uint8(0xff))
	}
	x := newWorld(f, Config{Workers: 1, Buffers: 256, Spin: -1, Host: Rate{1e6, 1e6}, Neighbor: Rate{1e6, 1e6}, Unresolved: Rate{1e6, 1e6}})
	// Every consumer has something to do.
	x.e.SetClass(1, Rate{1e6, 1e6})
	for i, c := range []session.Consumer{session.ToHost, session.ToRouter, session.ToKernel, session.ToReject, session.ToDiscard} {
		for p := i; p < 256; p += 5 {
			x.e.SetSession(SessionID(p), Session{Match: ofProtocol(p), Consumer: c, Class: 1})
		}
	}
	x.e.SetSession(1001, Session{Match: toPort(1, 8), Consumer: session.ToRouter, Class: 1})
	x.e.SetSession(1002, Session{Match: toPort(58, 128), Consumer: session.ToRouter, Class: 1})
	x.e.SetSession(1003, Session{Match: toPort(6, 7), Consumer: session.ToReject, Class: 1})
	x.group(900, "20.0.0.0/8", forwardTo(unitB, "198.51.100.10"), forwardTo(unitC, "203.0.113.10"))
	x.group(901, "2620::/16", forwardTo(unitB, "2001:db8:b::10"), forwardTo(unitC, "2001:db8:c::10"))
	x.filterEverywhere()
	all := []intf.Index{unitA, unitB, unitC, unitQ, unitD}
	x.list("239.0.0.0/8", routing.List{Flood: true, Out: all, Local: true, Report: true, Tally: 1})
	x.list("ff0e::/16", routing.List{Out: all, Report: true})
	x.bySource(902, "239.1.1.1", map[string]routing.NextHop{"0.0.0.0/0": {Kind: routing.Discard}, "192.0.2.0/24": toUnits(f, routing.List{In: unitA, Out: all})})
	for i := range x.e.workers[0].rx {
		x.e.workers[0].rx[i].complete = i%2 == 0
	}
	f.Fuzz(func(t *testing.T, frame []byte, how uint8) {
		if len(frame) > 1500 {
			return
		}
		x.t = t
		for i, name := range []string{"a", "b", "c", "d"} {
			// The frame as it is, and as one that is addressed to us.
			if len(frame) > 0 || i == 0 {
				x.push(name, frame)
			}
			if len(frame) >= 14 && how&1 != 0 {
				ours := append([]byte(nil), frame...)
				copy(ours, [][]byte{routerA[:], routerB[:], routerC[:], routerD[:]}[i])
				x.push(name, ours)
			}
		}
		from := intf.Index(how >> 4 & 7)
		// An unknown unit is an error here; the packet has gone nowhere then.
		_ = x.e.Originate(uint32(how>>7), from, frame)
		_ = x.e.SendUnit(from, uint16(how)<<8, hostA, frame)
		_ = x.e.Reject(frame, from, 2)
		x.now += 1e9
		x.run()
		x.collect()
		x.checkAccounts()
	})
}

// filterEverywhere binds filters at all hooks of some units. A packet's DSCP chooses
// what they do to it: most do nothing.
func (x *world) filterEverywhere() {
	chosen := func(dscp uint32, a filter.Action) filter.Term {
		return filter.Term{Match: filter.Match{DSCP: filter.Numbers{Ranges: []filter.Range{filter.One(dscp)}}}, Action: a}
	}
	if err := x.e.Filters().SetPolicer(&filter.PolicerSpec{Name: "p", Packets: true, Rate: 2, Burst: 2, Red: filter.ColourAction{Drop: true}}); err != nil {
		x.t.Fatal(err)
	}
	for _, u := range []intf.Index{unitA, unitB, unitC, unitD} {
		for _, f := range intf.Families {
			gateway := []string{"203.0.113.10", "2001:db8:c::10"}[f]
			for h := range filter.NumHooks {
				x.bind(u, f, h,
					chosen(1, filter.Action{Kind: filter.Reject}),
					chosen(2, filter.Action{Kind: filter.Reject, Reject: filter.RejectTCPReset}),
					chosen(3, filter.Action{Kind: filter.Reject, Reject: filter.RejectProtocol, LogEvery: 2}),
					chosen(4, filter.Action{Kind: filter.Discard, Mirror: unitN}),
					chosen(5, filter.Action{DSCP: filter.Some[uint8](1)}), // rejected by the next hook
					chosen(6, filter.Action{Kind: filter.ToInstance, Instance: 1}),
					chosen(7, filter.Action{Kind: filter.ToInstance, Instance: 7}),
					chosen(8, filter.Action{Mirror: unitQ, LogEvery: 1}),
					chosen(9, filter.Action{Mirror: unitA, Mark: filter.Some[uint16](1)}),
					chosen(10, filter.Action{Police: "p"}),
					chosen(11, filter.Action{Mirror: 999}),
					chosen(12, filter.Action{Kind: filter.ToNextHop, NextHop: uint32(x.nexthop(forwardTo(unitC, gateway), 0))}),
					chosen(13, filter.Action{Kind: filter.ToNextHop, NextHop: 1 << 20}),
					filter.Term{Match: filter.Match{Options: filter.OptionMatch{Any: true}}, Action: filter.Action{Kind: filter.Discard}},
					filter.Term{Match: filter.Match{SrcPort: filter.Numbers{Ranges: []filter.Range{{Lo: 1, Hi: 3}}}}, Action: filter.Action{Kind: filter.Reject, Reject: filter.RejectPort}},
					do(filter.Action{}))
			}
		}
	}
}
