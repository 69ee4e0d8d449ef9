package bpf

import (
	"fmt"
	"net/netip"

	"router/dataplane"
	"router/dataplane/filter"
	"router/intf"
)

// The filters of a randomWorld: some for each family, which units have at input and output.
const randomFilters = 8

func (w *randomWorld) filterName(f intf.Family, n int) string { return fmt.Sprint(f, n) }

// setFilters makes all filters anew.
func (w *randomWorld) setFilters() {
	for _, p := range []filter.PolicerSpec{
		{Name: "wide", Rate: 1 << 40, Burst: 1 << 30, Red: filter.ColourAction{Drop: true}},
		{Name: "marks", Rate: 1 << 40, Burst: 1 << 30, Green: filter.ColourAction{DSCP: filter.Some[uint8](34), LossPriority: filter.Some[uint8](1)}},
	} {
		if err := w.engine.Filters().SetPolicer(&p); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, f := range intf.Families {
		for n := range randomFilters {
			w.setFilter(f, n)
		}
	}
}

func (w *randomWorld) setFilter(f intf.Family, n int) {
	s := &filter.Spec{Name: w.filterName(f, n), Family: f, InterfaceSpecific: w.rng.IntN(4) == 0}
	for i := range []int{1, 4, 30, 100, 700}[w.rng.IntN(5)] {
		t := filter.Term{Name: fmt.Sprint("t", i), Match: w.match(f), Action: w.action(f, n)}
		s.Terms = append(s.Terms, t)
	}
	// Most packets pass, or the test shows nothing of what comes behind.
	s.Terms = append(s.Terms, filter.Term{Name: "rest"})
	p, err := filter.Compile(s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine.Filters().SetFilter(p)
}

func (w *randomWorld) prefix(f intf.Family) netip.Prefix {
	if f == intf.Inet {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(w.rng.IntN(32)), byte(w.rng.Uint32()), byte(w.rng.Uint32())}), 11+w.rng.IntN(22))
	}
	a := netip.MustParseAddr("2001:db8::").As16()
	a[5], a[6], a[7], a[15] = byte(w.rng.IntN(4)), byte(w.rng.Uint32()), byte(w.rng.Uint32()), byte(w.rng.Uint32())
	return netip.PrefixFrom(netip.AddrFrom16(a), 46+w.rng.IntN(83))
}

func (w *randomWorld) match(f intf.Family) (m filter.Match) {
	numbers := func(of ...uint32) filter.Numbers {
		return filter.Numbers{Ranges: []filter.Range{filter.One(of[w.rng.IntN(len(of))])}, Except: w.rng.IntN(8) == 0}
	}
	for range 1 + w.rng.IntN(3) {
		switch w.rng.IntN(14) {
		case 0, 1, 2:
			m.Src.Prefixes = append(m.Src.Prefixes, w.prefix(f))
		case 3, 4, 5:
			m.Dst.Prefixes = append(m.Dst.Prefixes, w.prefix(f))
		case 6:
			m.Protocol = numbers(6, 17, 1, 58, 47)
		case 7:
			m.DstPort = filter.Numbers{Ranges: []filter.Range{{Lo: w.rng.Uint32N(30000), Hi: 30000 + w.rng.Uint32N(30000)}}}
		case 8:
			m.DSCP = numbers(0, 8, 34, 46)
		case 9:
			m.TTL = numbers(1, 2, 63, 64, 254)
		case 10:
			m.Length = filter.Numbers{Ranges: []filter.Range{{Lo: w.rng.Uint32N(100), Hi: 100 + w.rng.Uint32N(1400)}}}
		case 11:
			m.VLAN = numbers(7, 100)
		case 12:
			m.Interface = numbers(1, 2, 3, 4, 5, 6)
		case 13:
			m.Group = numbers(1, 2, 70000)
		}
	}
	return m
}

func (w *randomWorld) action(f intf.Family, n int) (a filter.Action) {
	switch w.rng.IntN(20) {
	case 0, 1:
		a.Kind = filter.Discard
	case 2:
		a.Kind = filter.NextTerm
	case 3:
		if n+1 < randomFilters {
			a.Kind, a.NextFilter = filter.NextFilter, w.filterName(f, n+1)
		}
	case 4:
		a.Kind, a.Instance = filter.ToInstance, uint32(w.rng.IntN(randomInstances+1))
	case 5:
		a.Kind, a.NextHop = filter.ToNextHop, uint32(w.id())
	case 6:
		if w.rng.IntN(8) == 0 {
			a.Kind = filter.Reject
		}
	}
	switch w.rng.IntN(20) {
	case 0:
		a.Police = "wide"
	case 1:
		a.Police = "marks"
	case 2, 3:
		a.DSCP = filter.Some(uint8(w.rng.IntN(64)))
	case 4:
		a.Mark = filter.Some(uint16(w.rng.IntN(3)))
	case 5:
		if w.rng.IntN(8) == 0 {
			a.LogEvery = 4
		}
	}
	a.CountPerInterface = w.rng.IntN(8) == 0
	return a
}

// bindFilters gives a unit's family filters, or none.
func (w *randomWorld) bindFilters(i intf.Index, f intf.Family, spec *dataplane.UnitFamily) {
	spec.Group = []uint32{0, 1, 2, 70000}[w.rng.IntN(4)]
	for _, h := range []filter.Hook{filter.Input, filter.Output} {
		if w.rng.IntN(3) == 0 {
			continue
		}
		b, err := w.engine.Filters().Bind(w.filterName(f, w.rng.IntN(randomFilters)), filter.Place{Hook: h, Unit: i})
		if err != nil {
			w.t.Fatal(err)
		}
		spec.Filters[h] = b
	}
}

// changeFilter makes a filter anew, and binds all units anew.
func (w *randomWorld) changeFilter() {
	w.setFilter(intf.Families[w.rng.IntN(2)], w.rng.IntN(randomFilters))
	for _, u := range w.units {
		w.setUnit(u)
	}
}

// compareTerms: each term has counted the packets that the program handled twice, once on each
// path.
func (w *randomWorld) compareTerms() {
	counted := uint64(0)
	for _, f := range intf.Families {
		for n := range randomFilters {
			for _, c := range w.engine.Filters().Counts(w.filterName(f, n)) {
				if counted += c.Packets; c.Packets%2 != 0 || c.Octets%2 != 0 {
					w.t.Errorf("filter %s term %s counts %+v: want twice what the program counts", w.filterName(f, n), c.Term, c.Count)
				}
			}
		}
	}
	if counted == 0 {
		w.t.Error("no filter has seen a packet: the test shows nothing")
	}
}
