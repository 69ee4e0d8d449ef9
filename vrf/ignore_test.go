package vrf

import (
	"net/netip"
	"slices"
	"testing"

	"router/intf"
	"router/routing"
)

// describe is the routes to a prefix: source, unit, and what becomes of them.
func describe(m *Manager, prefix string) (list []string) {
	for _, e := range m.RIB(Default).Entries(netip.MustParsePrefix(prefix)) {
		s := e.Source.String() + " " + e.NextHop.Kind.String()
		switch {
		case e.Ignored:
			s += " ignored"
		case e.Active:
			s += " active"
		}
		list = append(list, s)
	}
	return list
}

// An address may have the routes to its network ignored; two addresses of one
// network have to agree on it.
func TestIgnoredNetworks(t *testing.T) {
	m := newManager(t)
	const unit = intf.Index(1)
	must(t, m.SetFamily(unit, intf.Inet, Default, true))
	one := intf.AddressSpec{Prefix: netip.MustParsePrefix("192.0.2.1/24"), Ignore: true}
	two := intf.AddressSpec{Prefix: netip.MustParsePrefix("192.0.2.2/24")}
	check := func(prefix string, want ...string) {
		t.Helper()
		if got := describe(m, prefix); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
	must(t, m.AddAddress(unit, one))
	must(t, m.AddNeighbor(unit, netip.MustParseAddr("192.0.2.9")))
	check("192.0.2.1/32", "interface-local receive active")
	check("192.0.2.0/24", "interface-destination resolve ignored")
	check("192.0.2.255/32", "interface broadcast ignored")
	check("192.0.2.0/32", "interface discard ignored")
	check("192.0.2.9/32", "interface forward ignored")
	if e, ok := m.RIB(Default).Lookup(netip.MustParseAddr("192.0.2.9")); !ok || e.NextHop.Kind != routing.Reject {
		t.Errorf("packets follow %+v", e)
	}

	// A second address that wants the network.
	must(t, m.AddAddress(unit, two))
	check("192.0.2.0/24", "interface-destination resolve active")
	check("192.0.2.9/32", "interface forward active")
	two.Ignore = true
	must(t, m.AddAddress(unit, two))
	check("192.0.2.0/24", "interface-destination resolve ignored")
	check("192.0.2.9/32", "interface forward ignored")

	// An ignored route is last, even behind those of a lesser source.
	must(t, m.SetFamily(unit+1, intf.Inet, Default, true))
	must(t, m.AddAddress(unit+1, intf.AddressSpec{Prefix: netip.MustParsePrefix("192.0.2.3/24")}))
	check("192.0.2.0/24", "interface-destination resolve active", "interface-destination resolve ignored")

	// Down and up again, it is what it was.
	must(t, m.SetFamily(unit, intf.Inet, Default, false))
	must(t, m.SetFamily(unit, intf.Inet, Default, true))
	check("192.0.2.9/32", "interface forward ignored")
	must(t, m.RemoveAddress(unit, one.Prefix))
	two.Ignore = false
	must(t, m.AddAddress(unit, two))
	check("192.0.2.0/24", "interface-destination resolve active", "interface-destination resolve")
	check("192.0.2.9/32", "interface forward active")
}

// A subnet on two units has its broadcast address on both.
func TestBroadcastOfTwoUnits(t *testing.T) {
	m := newManager(t)
	for i, a := range []string{"192.0.2.1/24", "192.0.2.129/24"} {
		must(t, m.SetFamily(intf.Index(1+i), intf.Inet, Default, true))
		must(t, m.AddAddress(intf.Index(1+i), intf.AddressSpec{Prefix: netip.MustParsePrefix(a)}))
	}
	if got := describe(m, "192.0.2.255/32"); !slices.Equal(got, []string{"interface broadcast active", "interface broadcast active"}) {
		t.Errorf("broadcast: %q", got)
	}
	must(t, m.RemoveAddress(1, netip.MustParsePrefix("192.0.2.1/24")))
	if got := describe(m, "192.0.2.255/32"); !slices.Equal(got, []string{"interface broadcast active"}) {
		t.Errorf("broadcast: %q", got)
	}
}

// A static route names one incoming unit at most, and changing it leaves
// nothing behind.
func TestStaticIncoming(t *testing.T) {
	m := newManager(t)
	p := netip.MustParsePrefix("10.0.0.0/8")
	for _, i := range []intf.Index{0, 3, 4, 4, 0} {
		must(t, m.SetStatic(Default, p, StaticRoute{Action: ActionDiscard, Incoming: i}))
		list := m.RIB(Default).Entries(p)
		if len(list) != 1 || list[0].IfIndex != i || list[0].Incoming != (i != 0) || !list[0].Active {
			t.Errorf("of unit %d: %+v", i, list)
		}
	}
	must(t, m.SetStatic(Default, p, StaticRoute{Action: ActionDiscard, Incoming: 7}))
	must(t, m.DeleteStatic(Default, p))
	if list := m.RIB(Default).Entries(p); len(list) != 0 {
		t.Errorf("left over: %+v", list)
	}
}
