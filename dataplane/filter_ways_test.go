package dataplane

import (
	"fmt"
	"net/netip"
	"testing"

	"router/dataplane/filter"
	"router/intf"
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
