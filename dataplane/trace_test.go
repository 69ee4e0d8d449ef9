package dataplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/session"
	"router/intf"
	"router/routing"
)

// An outcome is what became of a packet, in a form to compare.
type outcome struct{ frames, host, punts, drops []string }

func (o *outcome) sort() {
	for _, list := range []([]string){o.frames, o.host, o.punts, o.drops} {
		slices.Sort(list)
	}
}

// outcomeOf is what a trace says.
func (x *world) outcomeOf(tr Trace) (o outcome) {
	for _, s := range tr.Steps {
		switch s.Kind {
		case TraceSent:
			o.frames = append(o.frames, fmt.Sprintf("%d %x", s.Port, s.Frame))
		case TraceDelivered:
			o.host = append(o.host, fmt.Sprintf("%d %x", s.IfIndex, s.Frame))
		case TraceUnresolved:
			o.punts = append(o.punts, fmt.Sprintf("unresolved %d %v %x", s.IfIndex, s.Addr, s.Frame))
		case TraceControl:
			o.punts = append(o.punts, fmt.Sprintf("neighbor %d", s.IfIndex))
		case TraceReported:
			o.punts = append(o.punts, "flow")
		case TraceDropped:
			o.drops = append(o.drops, s.Reason.String())
		case TraceArrived, TraceOriginated, TraceFilter, TraceSource, TraceLookup, TraceNextHop, TraceBucket, TraceNeighbor,
			TraceFragmented, TraceSession, TraceICMP, TraceEcho, TraceReset, TraceRedirect:
		}
	}
	o.sort()
	return o
}

// happened is what the workers did since drops were read.
func (x *world) happened(before map[string]uint64) (o outcome) {
	for name, id := range x.ports {
		for _, q := range x.queues[name] {
			for f, ok := q.Pop(nil); ok; f, ok = q.Pop(nil) {
				o.frames = append(o.frames, fmt.Sprintf("%d %x", id, f))
			}
		}
	}
	for _, w := range x.e.workers {
		for _, r := range w.punts {
			for x.e.drainPunts(r, func(p Punt) {
				switch p.Kind {
				case PuntUnresolved:
					o.punts = append(o.punts, fmt.Sprintf("unresolved %d %v %x", p.IfIndex, p.Addr, p.Frame))
				case PuntNeighbor:
					o.punts = append(o.punts, fmt.Sprintf("neighbor %d", p.IfIndex))
				case PuntFlow:
					o.punts = append(o.punts, "flow")
				case PuntStaleUse:
				}
			}) {
			}
		}
		for s, l3 := w.hostOut.peek(); s != nil; s, l3 = w.hostOut.peek() {
			o.host = append(o.host, fmt.Sprintf("%d %x", s.ifindex, l3))
			w.releaseHost(s)
		}
	}
	for r, n := range x.drops() {
		for range n - before[r] {
			o.drops = append(o.drops, r)
		}
	}
	o.sort()
	return o
}

// A randomTrace makes packets and tables of the world's addresses.
type randomTrace struct {
	*rand.Rand
	x *world
}

var (
	traced4 = []string{
		"192.0.2.10", "192.0.2.1", "192.0.2.99", "192.0.2.255", "198.51.100.10", "198.51.100.77", "198.51.100.1", "198.51.100.255",
		"203.0.113.10", "203.0.113.1", "10.4.0.10", "10.4.0.9", "20.0.0.1", "20.1.2.3", "10.9.9.9", "10.10.1.1", "8.8.8.8", "127.0.0.1",
		"255.255.255.255", "224.0.0.5", "239.1.1.1", "239.2.2.2", "0.0.0.0", "240.0.0.1",
	}
	traced6 = []string{
		"2001:db8:a::10", "2001:db8:a::1", "2001:db8:b::10", "2001:db8:b::99", "2001:db8:c::10", "2001:db8:4::10", "2620::1", "2001:db8:9::9",
		"fe80::1:a", "fe80::a", "ff02::1", "ff0e::1", "ff0e::2", "::1", "::", "2001:db8:10::1",
	}
	tracedMACs = []intf.MAC{hostA, hostB, hostC, hostQ, hostD}
)

func (r randomTrace) pick(list []string) string { return list[r.IntN(len(list))] }

func (r randomTrace) packet() []byte {
	payload := data([]int{0, 3, 8, 30, 200, 1300, 1400, 1460}[r.IntN(8)])
	proto := []int{6, 17, 1, 99, 17, 6}[r.IntN(6)]
	ttl := []int{1, 2, 64, 64, 64}[r.IntN(5)]
	tos := r.IntN(20) << 2
	if r.IntN(2) == 0 {
		p := ip4{src: r.pick(traced4), dst: r.pick(traced4), ttl: ttl, proto: proto, tos: tos, df: r.IntN(2) == 0, payload: payload}
		if r.IntN(3) > 0 {
			p.src = "192.0.2.10"
		}
		switch {
		case r.IntN(12) == 0:
			p.options = []byte{148, 4, 0, 0}
		case r.IntN(12) == 0:
			p.offset, p.df = 800, false
		}
		switch {
		case proto == 1:
			p.payload = icmp4(8, 0, 0, payload)
		case proto == 17 && r.IntN(2) == 0:
			p.payload = udp(p.src, p.dst, payload, false)
		case proto == 6 && r.IntN(2) == 0:
			p.payload = tcp(p.src, p.dst, 2, 1, 0, payload)
		}
		return p.bytes()
	}
	p := ip6{src: r.pick(traced6), dst: r.pick(traced6), hops: ttl, next: proto, payload: payload}
	if r.IntN(3) > 0 {
		p.src = "2001:db8:a::10"
	}
	switch {
	case proto == 1:
		p.next, p.payload = 58, icmp6(p.src, p.dst, []int{128, 135, 1}[r.IntN(3)], 0, 0, payload)
	case proto == 17 && r.IntN(2) == 0:
		p.payload = udp(p.src, p.dst, payload, false)
	}
	b := p.bytes()
	b[0] |= byte(tos >> 4)
	b[1] |= byte(tos << 4)
	return b
}

// route changes where some prefix leads.
func (r randomTrace) route() {
	prefixes := []string{"10.9.0.0/16", "10.10.1.0/24", "8.8.8.8/32", "10.0.0.0/8", "2001:db8:9::/48", "2001:db8:10::1/128"}
	p := netip.MustParsePrefix(r.pick(prefixes))
	four := p.Addr().Is4()
	gateway := func(a, b string) netip.Addr {
		if four {
			return ip(a)
		}
		return ip(b)
	}
	forward := func() routing.NextHop {
		switch r.IntN(3) {
		case 0:
			return routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: gateway("198.51.100.10", "2001:db8:b::10")}
		case 1:
			return routing.NextHop{Kind: routing.Forward, IfIndex: unitC, Gateway: gateway("203.0.113.77", "2001:db8:c::77")}
		}
		return routing.NextHop{Kind: routing.Forward, IfIndex: unitA, Gateway: gateway("192.0.2.10", "fe80::1:a")}
	}
	nh := forward()
	via := routing.NextHopID(0)
	switch r.IntN(8) {
	case 0:
		nh = routing.NextHop{Kind: routing.Discard}
	case 1:
		nh = routing.NextHop{Kind: routing.Reject, Reject: routing.RejectHost}
	case 2:
		nh = routing.NextHop{Kind: routing.Lookup, Instance: uint32(r.IntN(3))}
	case 3:
		via = r.x.nexthop(nh, 0)
		nh = routing.NextHop{Kind: routing.Indirect, Gateway: gateway("172.16.0.1", "2001:db8:ffff::1"), Instance: uint32(via)}
	case 4:
		nh = routing.NextHop{Kind: routing.Resolve, IfIndex: []intf.Index{unitB, unitN, 999}[r.IntN(3)]}
	case 5:
		id := routing.NextHopID(3000 + r.IntN(4))
		r.x.group(id, p.String(), forward(), forward(), forward(), forward())
		return
	}
	if err := r.x.tables[0].Insert(p, uint32(r.x.nexthop(nh, via))); err != nil {
		r.x.t.Fatal(err)
	}
}

// tracedWorld has something of everything that can befall a packet.
func tracedWorld(t *testing.T) *world {
	x := newWorld(t, Config{Workers: 1, Buffers: 512, Spin: -1, FlowSeed: 7,
		Host: Rate{1e6, 1e6}, Neighbor: Rate{1e6, 1e6}, Unresolved: Rate{1e6, 1e6}, Flow: Rate{1e6, 1e6}})
	x.e.SetClass(1, Rate{1e6, 1e6})
	x.e.SetClass(2, Rate{1, 1}) // of a packet each ten seconds nearly all pass
	for i, c := range []session.Consumer{session.ToHost, session.ToRouter, session.ToKernel, session.ToReject, session.ToDiscard} {
		x.e.SetSession(SessionID(i), Session{Match: ofProtocol([]int{99, 1, 200, 17, 201}[i]), Consumer: c, Class: 1})
	}
	x.e.SetSession(58, Session{Match: ofProtocol(58), Consumer: session.ToRouter, Class: 2})
	x.group(900, "20.0.0.0/8", forwardTo(unitB, "198.51.100.10"), forwardTo(unitC, "203.0.113.10"))
	x.group(901, "2620::/16", forwardTo(unitB, "2001:db8:b::10"), forwardTo(unitC, "2001:db8:c::10"))
	x.filterEverywhere()
	all := []intf.Index{unitA, unitB, unitC, unitQ, unitD}
	x.list("239.0.0.0/8", routing.List{Flood: true, Out: all, Local: true, Report: true, Tally: 1})
	x.list("ff0e::/16", routing.List{Out: all, Report: true})
	x.bySource(902, "239.1.1.1", map[string]routing.NextHop{"0.0.0.0/0": {Kind: routing.Discard}, "192.0.2.0/24": toUnits(t, routing.List{In: unitA, Out: all})})
	return x
}

// TestTraceIsWhatHappens holds Engine.Trace to the pipeline: for random tables and
// packets it tells what the next packet of that kind then meets, and does nothing
// itself.
func TestTraceIsWhatHappens(t *testing.T) {
	const packets = 6000
	kinds := map[TraceKind]int{}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			x := tracedWorld(t)
			r := randomTrace{rand.New(rand.NewPCG(seed, 5)), x}
			for range packets {
				if r.IntN(8) == 0 {
					r.route()
				}
				if r.IntN(64) == 0 {
					u := x.e.snapshot.Load().units.at(uint32(unitA)).spec
					for f := range u.Families {
						u.Families[f].RPF = intf.RPFCheck(r.IntN(4))
						u.Families[f].Redirects = [][]netip.Prefix{nil, {netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8:a::1/64")}}[r.IntN(2)]
					}
					tx := x.e.Edit()
					tx.SetUnit(u)
					tx.Commit()
				}
				x.now += 10e9
				x.e.workers[0].ipID = 0
				spec := TraceSpec{
					Packet: r.packet(), Unit: []intf.Index{unitA, unitA, unitA, unitB, unitC, unitQ, unitD}[r.IntN(7)],
					Station: tracedMACs[r.IntN(len(tracedMACs))], FromHost: r.IntN(4) == 0, Instance: uint32(r.IntN(5) / 3),
				}
				totals, before := x.e.Totals(), x.drops()
				tr, err := x.e.Trace(spec)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range tr.Steps {
					kinds[s.Kind]++
				}
				if after := x.e.Totals(); after != totals {
					t.Fatalf("tracing counted: %+v, before %+v", after, totals)
				}
				if spec.FromHost {
					if err := x.e.Originate(spec.Instance, spec.Unit, spec.Packet); err != nil {
						t.Fatal(err)
					}
				} else {
					x.inject(spec)
				}
				x.run()
				want, got := x.happened(before), x.outcomeOf(tr)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("packet %.200x by %d, host %v, instance %d:\ntraced   %.500s\nhappened %.500s\nsteps %v",
						spec.Packet, spec.Unit, spec.FromHost, spec.Instance, fmt.Sprint(got), fmt.Sprint(want), kindsOf(tr))
				}
				x.checkAccounts()
			}
		})
	}
	for k := TraceArrived; k <= TraceDropped; k++ {
		if kinds[k] == 0 {
			t.Errorf("no packet met a step of kind %d", k)
		}
	}
}

func kindsOf(tr Trace) (kinds []TraceKind) {
	for _, s := range tr.Steps {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

// inject pushes a packet as the frame that a neighbour would send.
func (x *world) inject(s TraceSpec) {
	u := x.e.snapshot.Load().units.at(uint32(s.Unit))
	frame := make([]byte, packet.EthernetLen(u.spec.VLAN))
	typ := uint16(packet.EtherTypeIPv4)
	if s.Packet[0]>>4 == 6 {
		typ = packet.EtherTypeIPv6
	}
	packet.PutEthernet(frame, stationFor(s.Packet, u), s.Station, u.spec.VLAN, typ)
	for name, id := range x.ports {
		if id == u.port {
			x.push(name, append(frame, s.Packet...))
		}
	}
}

// TestTraceTells has a packet take the way of the manual, and looks at each step.
func TestTraceTells(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.group(900, "20.0.0.0/8", forwardTo(unitB, "198.51.100.10"), forwardTo(unitB, "198.51.100.10"))
	x.bind(unitA, intf.Inet, filter.Input,
		filter.Term{Name: "count", Action: filter.Action{Kind: filter.NextTerm}}, filter.Term{Name: "rest", Action: filter.Action{}})
	tr, err := x.e.Trace(TraceSpec{Packet: ip4{src: "192.0.2.10", dst: "20.0.0.1", payload: data(30)}.bytes(), Unit: unitA, Station: hostA})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range tr.Steps {
		line := fmt.Sprint(s.Kind)
		for _, term := range s.Terms {
			line += " " + term.Term
		}
		if s.Kind == TraceNextHop {
			line += " " + s.Via.String()
		}
		got = append(got, line)
	}
	want := []string{
		fmt.Sprint(TraceArrived), fmt.Sprint(TraceFilter, " count rest"), fmt.Sprint(TraceLookup), fmt.Sprint(TraceNextHop, " group"),
		fmt.Sprint(TraceBucket), fmt.Sprint(TraceNextHop, " forward"), fmt.Sprint(TraceNeighbor), fmt.Sprint(TraceSent),
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps\n got  %v\n want %v", got, want)
	}
	last := tr.Steps[len(tr.Steps)-1]
	if last.IfIndex != unitB || last.MAC != hostB || last.MTU != 1280 || last.Packet()[8] != 63 {
		t.Errorf("sent: %+v", last)
	}
	if c := x.e.Filters().Counts(fmt.Sprintf("%v-%d-%v", filter.Input, unitA, intf.Inet)); c[0].Packets != 0 {
		t.Errorf("the traced packet was counted: %+v", c)
	}
}

func TestTraceRefuses(t *testing.T) {
	x := newWorld(t, worldConfig())
	p := ip4{src: "192.0.2.10", dst: "20.0.0.1", payload: data(30)}.bytes()
	tx := x.e.Edit()
	lonely := x.unit(77, "a", nil, routerA, 0, 1500)
	lonely.Port = 0
	tx.SetUnit(lonely)
	tx.Commit()
	for _, tt := range []struct {
		name string
		spec TraceSpec
		want error
	}{
		{"unknown unit", TraceSpec{Packet: p, Unit: 99}, ErrNoUnit},
		{"unit without port", TraceSpec{Packet: p, Unit: 77}, ErrNoPort},
		{"too long", TraceSpec{Packet: make([]byte, 20000), Unit: unitA}, ErrTooLong},
	} {
		if _, err := x.e.Trace(tt.spec); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, junk := range [][]byte{nil, {0x45}, {0x60, 0, 0}, data(60)} {
		for _, host := range []bool{false, true} {
			if tr, err := x.e.Trace(TraceSpec{Packet: junk, Unit: unitA, FromHost: host}); err != nil || len(x.outcomeOf(tr).drops) != 1 {
				t.Errorf("%x: %v, %+v", junk, err, tr)
			}
		}
	}
}

// TestTraceBesideWorkers traces while workers forward and tables change: for the race
// detector, and for grace periods, which must not wait for a tracer that is done.
func TestTraceBesideWorkers(t *testing.T) {
	c := worldConfig()
	c.Workers = 2
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	x := settle(t, e)
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	p := ip4{src: "192.0.2.10", dst: "10.9.9.9", payload: data(30)}.bytes()
	frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "10.9.9.9", payload: data(30)})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 300 {
				tr, err := e.Trace(TraceSpec{Packet: p, Unit: unitA, Station: hostA})
				if err != nil || len(tr.Steps) < 3 {
					t.Errorf("%v, %+v", err, tr)
					return
				}
			}
		})
	}
	for i := range 300 {
		x.queues["a"][0].Push(frame, 0)
		x.route(0, "10.9.0.0/16", []routing.NextHop{forwardTo(unitB, "198.51.100.10"), {Kind: routing.Discard}}[i%2])
		e.DeleteNextHop(7000)
		e.SetNextHop(7000, forwardTo(unitC, "203.0.113.10"), 0)
	}
	wg.Wait()
}
