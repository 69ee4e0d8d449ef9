package dataplane

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"router/intf"
	"router/routing"
)

// setRPF has both families of unit A check sources.
func (x *world) setRPF(mode intf.RPFCheck) {
	u := x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1", "2001:db8:a::1", "fe80::a")
	for f := range u.Families {
		u.Families[f].RPF = mode
	}
	tx := x.e.Edit()
	tx.SetUnit(u)
	tx.Commit()
}

// feasible gives instance 0 a second table with these routes, of single next
// hops or of several at once.
func (x *world) feasible(routes map[string][]routing.NextHop) {
	x.t.Helper()
	table, err := x.arena.NewTable()
	if err != nil {
		x.t.Fatal(err)
	}
	for p, nhs := range routes {
		id := x.nexthop(nhs[0], 0)
		if len(nhs) > 1 {
			var branches []routing.Branch
			for _, nh := range nhs {
				branches = append(branches, routing.Branch{ID: x.nexthop(nh, 0)})
			}
			id = routing.NextHopID(2000 + len(x.nhs))
			x.nhs[routing.NextHop{Kind: routing.Choice, Instance: uint32(id)}] = id
			x.e.SetChoice(id, branches)
		}
		if err := table.Insert(prefix(p), uint32(id)); err != nil {
			x.t.Fatal(err)
		}
	}
	tx := x.e.Edit()
	tx.SetFeasible(0, table)
	tx.Commit()
}

// backHomes are routes to sources that come in by unit A.
func backHomes(x *world) {
	a := routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: ip("192.0.2.10")}
	b := routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.10")}
	c := routing.NextHop{Kind: routing.Forward, IfIndex: unitC, Gateway: ip("203.0.113.10")}
	x.route(0, "20.1.0.0/16", a)
	x.route(0, "20.2.0.0/16", b)
	x.route(0, "20.3.0.0/16", routing.NextHop{Kind: routing.Discard})
	x.route(0, "20.4.0.0/16", routing.NextHop{Kind: routing.Reject, Reject: routing.RejectHost})
	group := func(id routing.NextHopID, p string, members ...routing.NextHop) {
		var buckets []routing.NextHopID
		for _, m := range members {
			buckets = append(buckets, x.nexthop(m, 0))
		}
		x.e.SetGroup(id, buckets)
		if err := x.tables[0].Insert(prefix(p), uint32(id)); err != nil {
			x.t.Fatal(err)
		}
	}
	group(900, "20.5.0.0/16", a, b)
	group(901, "20.6.0.0/16", b, c)
	indirect := func(p string, gateway string, via routing.NextHopID) {
		nh := routing.NextHop{Kind: routing.Indirect, Gateway: ip(gateway)}
		x.nexthop(nh, via)
		x.route(0, p, nh)
	}
	indirect("20.7.0.0/16", "10.0.0.7", x.nexthop(a, 0))
	indirect("20.8.0.0/16", "10.0.0.8", 900)
	indirect("20.9.0.0/16", "10.0.0.9", 901)
	indirect("20.10.0.0/16", "10.0.0.10", x.nexthop(routing.NextHop{Kind: routing.Discard}, 0))
	x.route(0, "20.11.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 1})
	x.route(1, "20.11.0.0/17", a)
	x.route(1, "20.11.128.0/17", b)
	x.route(0, "20.12.0.0/16", routing.NextHop{Kind: routing.Lookup, Instance: 7})
	x.route(0, "20.13.0.0/16", b) // with a worse route by a
	x.route(0, "2001:db8:14::/48", routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: ip("2001:db8:a::10")})
	x.route(0, "2001:db8:15::/48", routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("2001:db8:b::10")})
	x.feasible(map[string][]routing.NextHop{
		"20.13.0.0/16": {b, a}, "20.2.0.0/16": {b}, "20.1.0.0/16": {a}, "20.3.0.0/16": {{Kind: routing.Discard}},
		"20.11.0.0/16": {{Kind: routing.Lookup, Instance: 1}}, "192.0.2.0/24": {{Kind: routing.Resolve, IfIndex: unitA}},
	})
}

func TestRPF(t *testing.T) {
	const none, loose, strict, feasible = intf.RPFNone, intf.RPFLoose, intf.RPFStrict, intf.RPFFeasible
	for _, c := range []struct {
		name, src string
		passes    []intf.RPFCheck // of those that are asked
		asked     []intf.RPFCheck
	}{
		{"on the link", "192.0.2.77", []intf.RPFCheck{none, loose, strict, feasible}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"by a gateway on the unit", "20.1.0.1", []intf.RPFCheck{none, loose, strict, feasible}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"by another unit", "20.2.0.1", []intf.RPFCheck{none, loose}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"RFC 5635 4 discarded", "20.3.0.1", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"rejected", "20.4.0.1", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict}},
		{"nowhere", "99.0.0.1", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"a group with the unit", "20.5.0.1", []intf.RPFCheck{none, loose, strict}, []intf.RPFCheck{none, loose, strict}},
		{"a group without the unit", "20.6.0.1", []intf.RPFCheck{none, loose}, []intf.RPFCheck{none, loose, strict}},
		{"a gateway found through the unit", "20.7.0.1", []intf.RPFCheck{none, loose, strict}, []intf.RPFCheck{none, loose, strict}},
		{"a gateway found through a group with the unit", "20.8.0.1", []intf.RPFCheck{none, loose, strict}, []intf.RPFCheck{none, loose, strict}},
		{"a gateway found through a group without", "20.9.0.1", []intf.RPFCheck{none, loose}, []intf.RPFCheck{none, loose, strict}},
		{"RFC 5635 4 a gateway that is discarded", "20.10.0.1", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict}},
		{"another instance leads back", "20.11.0.1", []intf.RPFCheck{none, loose, strict, feasible}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"another instance leads elsewhere", "20.11.128.1", []intf.RPFCheck{none, loose}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"an instance that is gone", "20.12.0.1", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict}},
		{"RFC 8704 2.3 a worse route by the unit", "20.13.0.1", []intf.RPFCheck{none, loose, feasible}, []intf.RPFCheck{none, loose, strict, feasible}},
		{"the router's own address on another unit", "198.51.100.1", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict}},
		{"a broadcast address", "198.51.100.255", []intf.RPFCheck{none}, []intf.RPFCheck{none, loose, strict}},
	} {
		for _, mode := range c.asked {
			t.Run(fmt.Sprintf("%v %s", mode, c.name), func(t *testing.T) {
				x := newWorld(t, worldConfig())
				backHomes(x)
				x.setRPF(mode)
				p := ip4{src: c.src, dst: "203.0.113.10", payload: data(30)}
				aged := p
				aged.ttl = 63
				s := step{in: "a", frame: eth4(routerA, hostA, p)}
				want := uint64(0)
				if slices.Contains(c.passes, mode) {
					s.out = []string{frameOut("c", eth(hostC, routerC, tagC, 0x800, aged.bytes()))}
				} else {
					s.drop, want = "rpf-failed", 1
				}
				x.check(s)
				if got := x.e.RPFDrops(unitA); got != [2]uint64{want, 0} {
					t.Errorf("RPFDrops: %v, want %d of IPv4", got, want)
				}
			})
		}
	}
}

// What stays on its link is let in without a look at its source.
func TestRPFExceptions(t *testing.T) {
	dhcp := ip4{src: "0.0.0.0", dst: "255.255.255.255", payload: data(30)}
	dad := ip6{src: "::", dst: "ff02::1:ff00:1", hops: 255, next: 58,
		payload: icmp6("::", "ff02::1:ff00:1", 135, 0, 0, ip("2001:db8:a::1").AsSlice())}
	ll := ip6{src: "fe80::1:a", dst: "fe80::a", payload: data(30)}
	groupMAC := intf.MAC{0x33, 0x33, 0xff, 0, 0, 1}
	dadBody := cat(be32(0), ip("2001:db8:a::1").AsSlice())
	dad.payload = icmp6("::", "ff02::1:ff00:1", 135, 0, 0, dadBody[4:])
	for _, s := range []step{
		{name: "DHCP", in: "a", frame: eth4(intf.Broadcast, hostA, dhcp), host: toHost(unitA, intf.Inet, dhcp.bytes())},
		{name: "duplicate address detection", in: "a", frame: eth6(groupMAC, hostA, dad),
			punts: []string{fmt.Sprintf("neighbor %d 86dd %v %v %x", unitA, hostA, groupMAC, dad.bytes())}},
		{name: "link-local", in: "a", frame: eth6(routerA, hostA, ll), host: toHost(unitA, intf.Inet6, ll.bytes())},
		{name: "without a source, but not for us", in: "a", frame: eth4(routerA, hostA, ip4{src: "0.0.0.0", dst: "198.51.100.10", payload: data(30)}), drop: "martian-source"},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.setRPF(intf.RPFStrict)
			x.check(s)
		})
	}
	for _, c := range []struct{ src, drop string }{{"2001:db8:14::1", ""}, {"2001:db8:15::1", "rpf-failed"}, {"2620::1", "rpf-failed"}} {
		t.Run("IPv6 "+c.src, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			backHomes(x)
			x.setRPF(intf.RPFStrict)
			p := ip6{src: c.src, dst: "2001:db8:b::10", payload: data(30)}
			aged := p
			aged.hops = 63
			s := step{in: "a", frame: eth6(routerA, hostA, p), drop: c.drop}
			if c.drop == "" {
				s.out = []string{frameOut("b", eth6(hostB, routerB, aged))}
			}
			x.check(s)
		})
	}
}

// The units that a group or a gateway leads to are known from the moment at
// which they change.
func TestRPFFollowsNextHops(t *testing.T) {
	x := newWorld(t, worldConfig())
	backHomes(x)
	x.setRPF(intf.RPFStrict)
	check := func(src string, passes bool) {
		t.Helper()
		p := ip4{src: src, dst: "203.0.113.10", payload: data(30)}
		aged := p
		aged.ttl = 63
		s := step{in: "a", frame: eth4(routerA, hostA, p), drop: "rpf-failed"}
		if passes {
			s.drop, s.out = "", []string{frameOut("c", eth(hostC, routerC, tagC, 0x800, aged.bytes()))}
		}
		x.check(s)
	}
	a := x.nexthop(routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: ip("192.0.2.10")}, 0)
	b := x.nexthop(routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.10")}, 0)
	check("20.5.0.1", true)
	check("20.8.0.1", true) // through the same group
	x.e.SetGroup(900, []routing.NextHopID{b})
	check("20.5.0.1", false)
	check("20.8.0.1", false)
	x.e.SetGroup(900, []routing.NextHopID{a})
	check("20.5.0.1", true)
	check("20.8.0.1", true)
	// A member that is indirect turns elsewhere, and comes back.
	seven := routing.NextHop{Kind: routing.Indirect, Gateway: ip("10.0.0.7")}
	x.e.SetGroup(900, []routing.NextHopID{b, x.nexthop(seven, 0)})
	check("20.8.0.1", true)
	x.e.SetNextHop(x.nexthop(seven, 0), seven, b)
	check("20.7.0.1", false)
	check("20.8.0.1", false)
	x.e.SetNextHop(x.nexthop(seven, 0), seven, a)
	check("20.7.0.1", true)
	check("20.8.0.1", true)
	x.e.DeleteNextHop(900)
	if n := len(x.e.nexthops.users[b]); n != 2 { // group 901, and the choice of 20.13/16
		t.Errorf("%d next hops go on by %d, want 2", n, b)
	}
}

// A batch of packets that pass and that don't comes out as each of them alone.
func TestRPFBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	sources := []string{"20.1.0.1", "20.2.0.1", "20.3.0.1", "20.5.0.1", "20.6.0.1", "192.0.2.77", "0.0.0.0"}
	good := map[string]bool{"20.1.0.1": true, "20.5.0.1": true, "192.0.2.77": true}
	for round := range 60 {
		x := newWorld(t, worldConfig())
		backHomes(x)
		x.setRPF(intf.RPFStrict)
		x.neighbor(0, unitC, hostC, "203.0.113.11")
		var want []string
		dropped := map[string]uint64{}
		for i := range batchSize {
			p := ip4{src: sources[r.IntN(len(sources))], dst: fmt.Sprint("203.0.113.", 10+i%2), id: 1 + i, payload: data(30)}
			if round == 0 {
				p.src = sources[1] // all of them fail
			}
			x.push("a", eth4(routerA, hostA, p))
			p.ttl = 63
			switch {
			case good[p.src]:
				want = append(want, frameOut("c", eth(hostC, routerC, tagC, 0x800, p.bytes())))
			case p.src == "0.0.0.0":
				dropped["martian-source"]++
			default:
				dropped["rpf-failed"]++
			}
		}
		x.run()
		if got := x.collect(); !slices.Equal(got, want) {
			t.Fatalf("round %d: frames out\n got  %v\n want %v", round, got, want)
		}
		if got := x.drops(); got["rpf-failed"] != dropped["rpf-failed"] || got["martian-source"] != dropped["martian-source"] {
			t.Errorf("round %d: drops %v, want %v", round, got, dropped)
		}
		x.checkAccounts()
	}
}

func TestEgressSet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 70 {
		var s egressSet
		for range n {
			s = append(s, intf.Index(r.IntN(200)))
		}
		slices.Sort(s)
		s = slices.Compact(s)
		for i := range intf.Index(201) {
			if s.has(i) != slices.Contains(s, i) {
				t.Errorf("%v has %d: %v", s, i, s.has(i))
			}
		}
	}
}

// rpfLine is a line whose source is checked in each mode, with all that forward.
func rpfLine(tb testing.TB, f intf.Family, mode intf.RPFCheck) (*world, *worker) {
	tb.Helper()
	frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(26)})
	if f == intf.Inet6 {
		frame = eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(6)})
	}
	x, w := newLine(tb, 1<<20, func(b []byte) int { return copy(b, frame) })
	x.network(0, unitA, "192.0.2.1/24", "2001:db8:a::1/64")
	u := x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1", "2001:db8:a::1")
	u.Families[f].RPF = mode
	tx := x.e.Edit()
	tx.SetUnit(u)
	if mode == intf.RPFFeasible {
		second, err := x.arena.NewTable()
		if err != nil {
			tb.Fatal(err)
		}
		routes := map[netip.Prefix]uint32{}
		x.tables[0].Walk(func(p netip.Prefix, nh uint32) bool {
			routes[p] = nh
			return true
		})
		for p, nh := range routes {
			if err := second.Insert(p, nh); err != nil {
				tb.Fatal(err)
			}
		}
		tx.SetFeasible(0, second)
	}
	tx.Commit()
	return x, w
}

var rpfChecks = []intf.RPFCheck{intf.RPFNone, intf.RPFLoose, intf.RPFStrict, intf.RPFFeasible}

func TestRPFAllocatesNothing(t *testing.T) {
	for _, f := range intf.Families {
		for _, mode := range rpfChecks {
			x, w := rpfLine(t, f, mode)
			round := func() {
				x.now += time.Millisecond
				if n := w.runOnce(); n < batchSize {
					t.Fatalf("a batch of %d", n)
				}
			}
			round()
			if n := testing.AllocsPerRun(1000, round); n != 0 {
				t.Errorf("%v %v: %v allocations in a batch", f, mode, n)
			}
			if s := x.e.Totals(); s.Sent != s.Received || s.Sent == 0 {
				t.Errorf("%v %v: %+v, drops %v", f, mode, s, x.drops())
			}
		}
	}
}

// BenchmarkForwardRPF measures as BenchmarkForward does, with a check of sources.
func BenchmarkForwardRPF(b *testing.B) {
	for _, f := range intf.Families {
		for _, mode := range rpfChecks {
			b.Run(fmt.Sprintf("%v/%v", f, mode), func(b *testing.B) {
				x, w := rpfLine(b, f, mode)
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				b.ReportAllocs()
				b.ResetTimer()
				before := threadTime(b)
				for n := 0; n < b.N; n += batchSize {
					w.runOnce()
				}
				b.StopTimer()
				b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op")
				if s := x.e.Totals(); s.Sent == 0 || s.Sent != s.Received {
					b.Fatalf("not everything was forwarded: %+v, drops %v", s, x.drops())
				}
			})
		}
	}
}

// A route may name the unit that packets come in by (Ferguson, "What's In A
// Route"), and so may several to one prefix.
func TestChoice(t *testing.T) {
	b := routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.10")}
	p := ip4{src: "192.0.2.10", dst: "10.9.9.9", payload: data(30)}
	aged := p
	aged.ttl = 63
	throughB := step{out: []string{frameOut("b", eth4(hostB, routerB, aged))}}
	for _, c := range []struct {
		name     string
		branches func(x *world) []routing.Branch
		want     step
	}{
		{"of this unit", func(x *world) []routing.Branch { return []routing.Branch{{IfIndex: unitA, ID: x.nexthop(b, 0)}} }, throughB},
		{"of another unit", func(x *world) []routing.Branch { return []routing.Branch{{IfIndex: unitC, ID: x.nexthop(b, 0)}} }, step{drop: "wrong-interface"}},
		{"of all others", func(x *world) []routing.Branch {
			return []routing.Branch{{IfIndex: unitC, ID: x.nexthop(routing.NextHop{Kind: routing.Discard}, 0)}, {ID: x.nexthop(b, 0)}}
		}, throughB},
		{"not of all others", func(x *world) []routing.Branch {
			return []routing.Branch{{IfIndex: unitA, ID: x.nexthop(routing.NextHop{Kind: routing.Discard}, 0)}, {ID: x.nexthop(b, 0)}}
		}, step{drop: "discard-route"}},
		{"the second unit of one subnet", func(x *world) []routing.Branch {
			return []routing.Branch{
				{IfIndex: unitC, ID: x.nexthop(routing.NextHop{Kind: routing.Broadcast, IfIndex: unitC}, 0)},
				{IfIndex: unitA, ID: x.nexthop(routing.NextHop{Kind: routing.Broadcast, IfIndex: unitA}, 0)}}
		}, step{host: toHost(unitA, intf.Inet, p.bytes())}},
		{"the broadcast address of other units", func(x *world) []routing.Branch {
			return []routing.Branch{
				{IfIndex: unitC, ID: x.nexthop(routing.NextHop{Kind: routing.Broadcast, IfIndex: unitC}, 0)},
				{IfIndex: unitB, ID: x.nexthop(routing.NextHop{Kind: routing.Broadcast, IfIndex: unitB}, 0)}}
		}, step{drop: "directed-broadcast"}},
		{"of nobody", func(*world) []routing.Branch { return nil }, step{drop: "wrong-interface"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.e.SetChoice(900, c.branches(x))
			if err := x.tables[0].Insert(prefix("10.9.0.0/16"), 900); err != nil {
				t.Fatal(err)
			}
			c.want.in, c.want.frame = "a", eth4(routerA, hostA, p)
			x.check(c.want)
		})
	}
	t.Run("originated by no unit in particular", func(t *testing.T) {
		x := newWorld(t, worldConfig())
		x.e.SetChoice(900, []routing.Branch{{IfIndex: unitC, ID: x.nexthop(b, 0)}})
		if err := x.tables[0].Insert(prefix("10.9.0.0/16"), 900); err != nil {
			t.Fatal(err)
		}
		ours := ip4{src: "192.0.2.1", dst: "10.9.9.9", payload: data(30)}
		if err := x.e.Originate(0, unitA, ours.bytes()); err != nil {
			t.Fatal(err)
		}
		x.run()
		x.expect(step{out: []string{frameOut("b", eth4(hostB, routerB, ours))}}, nil)
	})
}
