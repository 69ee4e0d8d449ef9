package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"router/dataplane/filter"
	"router/intf"
	"router/routing"
)

// bind gives a unit's family a filter of its own at a hook.
func (x *world) bind(i intf.Index, f intf.Family, h filter.Hook, terms ...filter.Term) {
	x.t.Helper()
	place := filter.Place{Hook: h, Unit: i}
	x.setFilters(f, bindings{place: x.compile(fmt.Sprintf("%v-%d-%v", h, i, f), place, f, terms...)})
}

type bindings map[filter.Place]*filter.Bound

// setFilters gives families of units other filters, all with one Edit.
func (x *world) setFilters(f intf.Family, filters bindings) {
	tx := x.e.Edit()
	for place, b := range filters {
		u := x.e.snapshot.Load().units.at(uint32(place.Unit)).spec
		u.Families[f].Filters[place.Hook] = b
		tx.SetUnit(u)
	}
	tx.Commit()
}

// compile makes a filter, its terms named t0 and up, and binds it.
func (x *world) compile(name string, place filter.Place, f intf.Family, terms ...filter.Term) *filter.Bound {
	x.t.Helper()
	for i := range terms {
		if terms[i].Name == "" {
			terms[i].Name = fmt.Sprintf("t%d", i)
		}
	}
	p, err := filter.Compile(&filter.Spec{Name: name, Family: f, Terms: terms})
	if err != nil {
		x.t.Fatal(err)
	}
	x.e.Filters().SetFilter(p)
	b, err := x.e.Filters().Bind(name, place)
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

func do(a filter.Action) filter.Term { return filter.Term{Action: a} }

func to(dst string, a filter.Action) filter.Term {
	p := ip(dst)
	return filter.Term{Match: filter.Match{Dst: filter.Addresses{Prefixes: []netip.Prefix{netip.PrefixFrom(p, p.BitLen())}}}, Action: a}
}

// A way is one that a packet takes past one hook.
type way struct {
	name string
	hook filter.Hook
	unit intf.Index // where the hook is
	fam  intf.Family
	in   string // port; empty: the host sends it by unitA
	l3   []byte
	out  []string // what comes of it without a filter
	host []string
	sent []byte // the packet as it leaves, if it does
}

func (v way) frame() []byte {
	station := map[string][2]intf.MAC{"a": {routerA, hostA}, "b": {routerB, hostB}}[v.in]
	return eth(station[0], station[1], nil, int(etherTypes[v.fam]), v.l3)
}

// dst is the packet's destination.
func (v way) dst() string {
	if v.fam == intf.Inet {
		return addr4At(v.l3[16:])
	}
	return addr6At(v.l3[24:])
}

// ways are one past each hook for each family.
func ways() []way {
	forth := ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: udp("192.0.2.10", "198.51.100.10", data(30), false)}
	aged := forth
	aged.ttl = 63
	own := ip4{src: "192.0.2.10", dst: "192.0.2.1", payload: udp("192.0.2.10", "192.0.2.1", data(30), false)}
	mine := ip4{src: "192.0.2.1", dst: "198.51.100.10", payload: udp("192.0.2.1", "198.51.100.10", data(30), false)}
	forth6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:b::10", payload: udp("2001:db8:a::10", "2001:db8:b::10", data(30), false)}
	aged6 := forth6
	aged6.hops = 63
	own6 := ip6{src: "2001:db8:a::10", dst: "2001:db8:a::1", payload: udp("2001:db8:a::10", "2001:db8:a::1", data(30), false)}
	mine6 := ip6{src: "2001:db8:a::1", dst: "2001:db8:b::10", payload: udp("2001:db8:a::1", "2001:db8:b::10", data(30), false)}
	toB4 := func(p ip4) []string { return []string{frameOut("b", eth4(hostB, routerB, p))} }
	toB6 := func(p ip6) []string { return []string{frameOut("b", eth6(hostB, routerB, p))} }
	return []way{
		{"input", filter.Input, unitA, intf.Inet, "a", forth.bytes(), toB4(aged), nil, aged.bytes()},
		{"output", filter.Output, unitB, intf.Inet, "a", forth.bytes(), toB4(aged), nil, aged.bytes()},
		{"output of the router's own", filter.Output, unitB, intf.Inet, "", mine.bytes(), toB4(mine), nil, mine.bytes()},
		{"input of a local packet", filter.Input, unitA, intf.Inet, "a", own.bytes(), nil, toHost(unitA, intf.Inet, own.bytes()), nil},
		{"input-local", filter.InputLocal, unitA, intf.Inet, "a", own.bytes(), nil, toHost(unitA, intf.Inet, own.bytes()), nil},
		{"output-local", filter.OutputLocal, unitA, intf.Inet, "", mine.bytes(), toB4(mine), nil, mine.bytes()},
		{"input6", filter.Input, unitA, intf.Inet6, "a", forth6.bytes(), toB6(aged6), nil, aged6.bytes()},
		{"output6", filter.Output, unitB, intf.Inet6, "a", forth6.bytes(), toB6(aged6), nil, aged6.bytes()},
		{"output6 of the router's own", filter.Output, unitB, intf.Inet6, "", mine6.bytes(), toB6(mine6), nil, mine6.bytes()},
		{"input6 of a local packet", filter.Input, unitA, intf.Inet6, "a", own6.bytes(), nil, toHost(unitA, intf.Inet6, own6.bytes()), nil},
		{"input-local6", filter.InputLocal, unitA, intf.Inet6, "a", own6.bytes(), nil, toHost(unitA, intf.Inet6, own6.bytes()), nil},
		{"output-local6", filter.OutputLocal, unitA, intf.Inet6, "", mine6.bytes(), toB6(mine6), nil, mine6.bytes()},
	}
}

// walk sends the way's packet and expects s to come of it.
func (x *world) walk(v way, s step) {
	x.t.Helper()
	before := x.drops()
	if v.in == "" {
		if err := x.e.Originate(0, unitA, v.l3); err != nil {
			x.t.Fatal(err)
		}
	} else {
		x.push(v.in, v.frame())
	}
	x.run()
	x.expect(s, before)
}

// eachWay runs a test on a new world for each way.
func eachWay(t *testing.T, f func(x *world, v way)) {
	for _, v := range ways() {
		t.Run(v.name, func(t *testing.T) { f(newWorld(t, worldConfig()), v) })
	}
}

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
