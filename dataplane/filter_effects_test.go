package dataplane

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"router/dataplane/filter"
	"router/intf"
	"router/routing"
)

// A copy bears the addresses of the frame that came in or goes out, and the tags
// of the unit that it leaves by.
func TestFilterMirror(t *testing.T) {
	mirrored := func(v way) string {
		dst, src, l3 := routerA, hostA, v.l3
		//exhaustive:ignore the others show the frame as it came
		switch v.hook {
		case filter.Output:
			dst, src, l3 = hostB, routerB, v.sent
		case filter.OutputLocal:
			dst, src = intf.MAC{}, routerA
		case filter.Input, filter.InputLocal:
		}
		return frameOut("d", eth(dst, src, tagN, int(etherTypes[v.fam]), l3))
	}
	t.Run("passed on", func(t *testing.T) {
		eachWay(t, func(x *world, v way) {
			x.bind(v.unit, v.fam, v.hook, do(filter.Action{Mirror: unitN}))
			x.walk(v, step{out: append(slices.Clone(v.out), mirrored(v)), host: v.host})
		})
	})
	t.Run("discarded", func(t *testing.T) {
		eachWay(t, func(x *world, v way) {
			x.bind(v.unit, v.fam, v.hook, do(filter.Action{Kind: filter.Discard, Mirror: unitN}))
			x.walk(v, step{out: []string{mirrored(v)}, drop: "filtered"})
		})
	})
	t.Run("the copy passes no filter", func(t *testing.T) {
		eachWay(t, func(x *world, v way) {
			x.bind(unitN, v.fam, filter.Output, do(filter.Action{Kind: filter.Discard}))
			x.bind(v.unit, v.fam, v.hook, do(filter.Action{Mirror: unitN}))
			x.walk(v, step{out: append(slices.Clone(v.out), mirrored(v)), host: v.host})
		})
	})
	t.Run("a unit that does not exist", func(t *testing.T) {
		eachWay(t, func(x *world, v way) {
			x.bind(v.unit, v.fam, v.hook, do(filter.Action{Mirror: 999}))
			x.walk(v, step{out: v.out, host: v.host, drop: "egress-down"})
		})
	})
	t.Run("no buffer", func(t *testing.T) {
		eachWay(t, func(x *world, v way) {
			x.bind(v.unit, v.fam, v.hook, do(filter.Action{Mirror: unitN}))
			var held []uint32
			for x.e.workers[0].pool.Free() > 1 {
				b, _ := x.e.workers[0].pool.Get()
				held = append(held, b)
			}
			defer func() {
				for _, b := range held {
					x.e.workers[0].pool.Put(b)
				}
				x.checkAccounts()
			}()
			before := x.drops()
			if v.in == "" {
				if err := x.e.Originate(0, unitA, v.l3); err != nil {
					t.Fatal(err)
				}
			} else {
				x.push(v.in, v.frame())
			}
			x.run()
			if got := x.collect(); !slices.Equal(got, v.out) || !slices.Equal(x.host, v.host) {
				t.Errorf("got %v and %v, want %v and %v", got, x.host, v.out, v.host)
			}
			if n := x.drops()["no-buffer"] - before["no-buffer"]; n != 1 {
				t.Errorf("%d copies dropped for want of a buffer", n)
			}
		})
	})
}

// A mirror that is full loses copies, and nothing else.
func TestFilterMirrorFull(t *testing.T) {
	x := newWorld(t, Config{Workers: 1, Buffers: 4096, Domain: worldConfig().Domain})
	x.bind(unitA, intf.Inet, filter.Input, do(filter.Action{Mirror: unitN}))
	frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)})
	const n = 1500
	sent := 0
	for range n {
		x.push("a", frame)
		x.run()
		for _, q := range x.queues["b"] {
			for _, ok := q.Pop(nil); ok; _, ok = q.Pop(nil) {
				sent++
			}
		}
	}
	x.collect()
	if sent != n {
		t.Errorf("%d of %d packets arrived", sent, n)
	}
	if lost := x.drops()["tx-full"]; lost != n-1024 {
		t.Errorf("%d copies dropped, want %d", lost, n-1024)
	}
	x.checkAccounts()
}

// What a filter gives a packet the next one sees, and the next packet does not.
func TestFilterLabel(t *testing.T) {
	marked := func(a filter.Action) filter.Term {
		return filter.Term{Match: filter.Match{
			Mark:            filter.Marks{Entries: []filter.MaskedMark{{Value: 0x1234, Mask: 0xffff}}},
			LossPriority:    filter.Numbers{Ranges: []filter.Range{filter.One(filter.LossHigh)}},
			ForwardingClass: filter.Numbers{Ranges: []filter.Range{filter.One(5)}},
		}, Action: a}
	}
	give := filter.Action{Mark: filter.Some[uint16](0x1234), LossPriority: filter.Some[uint8](filter.LossHigh), ForwardingClass: filter.Some[uint8](5)}
	x := newWorld(t, worldConfig())
	x.bind(unitA, intf.Inet, filter.Input, to("198.51.100.10", give), do(filter.Action{}))
	x.bind(unitB, intf.Inet, filter.Output, marked(filter.Action{Kind: filter.Discard}), do(filter.Action{}))
	x.bind(unitA, intf.Inet, filter.InputLocal, marked(filter.Action{Kind: filter.Discard}), do(filter.Action{}))
	x.neighbor(0, unitB, hostB, "198.51.100.11")
	forth := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	x.check(step{in: "a", frame: eth4(routerA, hostA, forth), drop: "filtered"})
	other := forth
	other.dst = "198.51.100.11"
	aged := other
	aged.ttl = 63
	x.check(step{in: "a", frame: eth4(routerA, hostA, other), out: []string{frameOut("b", eth4(hostB, routerB, aged))}})
	own := forth
	own.dst = "192.0.2.1"
	x.check(step{in: "a", frame: eth4(routerA, hostA, own), host: toHost(unitA, intf.Inet, own.bytes())})
}

// Each copy of a packet to a group passes the filter of where it leaves, which knows
// the frame that the packet came in.
func TestFilterCopies(t *testing.T) {
	group := ip4{src: "192.0.2.10", dst: "239.1.1.1", payload: data(40)}
	aged := group
	aged.ttl = 63
	fromA := filter.Term{Match: filter.Match{SrcMAC: filter.MACs{Entries: []filter.MaskedMAC{{MAC: hostA, Mask: intf.Broadcast}}}}}
	discard := do(filter.Action{Kind: filter.Discard})
	for _, c := range []struct {
		name  string
		units []intf.Index // with a filter that discards
		out   []string
		drops uint64
	}{
		{"the first", []intf.Index{unitB}, []string{frameOut("c", eth(macOf239, routerC, tagC, 0x800, aged.bytes()))}, 1},
		{"the last", []intf.Index{unitC}, []string{frameOut("b", eth4(macOf239, routerB, aged))}, 1},
		{"both", []intf.Index{unitB, unitC}, nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.list("239.1.1.1/32", routing.List{Out: []intf.Index{unitB, unitC}})
			x.bind(unitB, intf.Inet, filter.Output, fromA)
			x.bind(unitC, intf.Inet, filter.Output, fromA)
			for _, u := range c.units {
				x.bind(u, intf.Inet, filter.Output, discard)
			}
			x.push("a", eth4(macOf239, hostA, group))
			x.run()
			if got := x.collect(); !slices.Equal(got, c.out) {
				t.Errorf("got %v, want %v", got, c.out)
			}
			if n := x.drops()["filtered"]; n != c.drops {
				t.Errorf("%d copies filtered, want %d", n, c.drops)
			}
			x.checkAccounts()
		})
	}
}

func TestFilterLog(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.bind(unitA, intf.Inet, filter.Input, to("198.51.100.10", filter.Action{LogEvery: 1}),
		to("198.51.100.11", filter.Action{LogEvery: 1, Kind: filter.Discard}), do(filter.Action{Kind: filter.Discard}))
	x.bind(unitB, intf.Inet6, filter.Output, do(filter.Action{LogEvery: 1, Kind: filter.Reject}))
	x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: udp("192.0.2.10", "198.51.100.10", data(30), false)}))
	x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.11", proto: 1, payload: icmp4(8, 0, 0, data(30))}))
	x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.12", payload: data(30)}))
	x.push("a", eth6(routerA, hostA, ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: data(30), next: 99}))
	x.run()
	x.collect()
	var got []LogRecord
	x.e.drainLog(x.e.workers[0].logOut, func(r LogRecord) { got = append(got, r) })
	at := x.e.base.Add(time.Hour + 1)
	want := []LogRecord{
		{Time: at, Filter: "input-1-inet", Term: "t0", Hook: filter.Input, IfIndex: unitA, Verdict: filter.Accept, Family: intf.Inet,
			Src: ip("192.0.2.10"), Dst: ip("198.51.100.10"), Protocol: 17, SrcPort: 1000, DstPort: 2000, Length: 58},
		{Time: at, Filter: "input-1-inet", Term: "t1", Hook: filter.Input, IfIndex: unitA, Verdict: filter.Discard, Family: intf.Inet,
			Src: ip("192.0.2.10"), Dst: ip("198.51.100.11"), Protocol: 1, SrcPort: 8, Length: 58},
		{Time: at, Filter: "output-2-inet6", Term: "t0", Hook: filter.Output, IfIndex: unitB, Verdict: filter.Reject, Family: intf.Inet6,
			Src: ip("2001:db8:a::10"), Dst: ip("2001:db8:b::10"), Protocol: 99, Length: 70},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if x.e.LogLost() != 0 {
		t.Errorf("%d records lost", x.e.LogLost())
	}
}

// A reader that is too slow loses records, and no packets.
func TestFilterLogFull(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.bind(unitA, intf.Inet, filter.Input, do(filter.Action{LogEvery: 1}))
	const n = logRingSize + 100
	for i := range n {
		x.push("a", eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", id: 1 + i, payload: data(30)}))
		if x.run(); len(x.collect()) != 1 {
			t.Fatal("a packet is lost")
		}
	}
	if lost := x.e.LogLost(); lost != 100 {
		t.Errorf("%d records lost, want 100", lost)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	read := 0
	if err := x.e.ServeLog(ctx, func(LogRecord) {
		if read++; read == logRingSize {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if read != logRingSize {
		t.Errorf("%d records read", read)
	}
	x.checkAccounts()
}

// A policer's drops have their own reason.
func TestFilterPolice(t *testing.T) {
	x := newWorld(t, worldConfig())
	if err := x.e.Filters().SetPolicer(&filter.PolicerSpec{Name: "two", Packets: true, Rate: 1, Burst: 2, Red: filter.ColourAction{Drop: true}}); err != nil {
		t.Fatal(err)
	}
	x.bind(unitA, intf.Inet, filter.Input, do(filter.Action{Police: "two"}))
	forth := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(30)}
	aged := forth
	aged.ttl = 63
	frame, out := eth4(routerA, hostA, forth), []string{frameOut("b", eth4(hostB, routerB, aged))}
	x.check(step{in: "a", frame: frame, out: out})
	x.check(step{in: "a", frame: frame, out: out})
	x.check(step{in: "a", frame: frame, drop: "policed"})
	x.now += time.Second
	x.check(step{in: "a", frame: frame, out: out})
}
