package vrf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"router/intf"
	"router/routing"
	"router/vrf/epoch"
	"router/vrf/fib"
)

func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }
func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// newManager is a Manager with units 1 and 2 up in the default instance.
func newManager(tb testing.TB) *Manager {
	tb.Helper()
	arena, err := fib.NewHeapArena(8<<20, epoch.New())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := New(Config{Arena: arena})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range intf.Index(2) {
		for _, f := range intf.Families {
			must(tb, m.SetFamily(i+1, f, Default, true))
		}
	}
	return m
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func address(p string) intf.AddressSpec { return intf.AddressSpec{Prefix: pfx(p)} }

// lookup is what packets to a get in an instance, by its FIB.
func lookup(m *Manager, instance string, a netip.Addr) routing.NextHop {
	t := m.FIB(instance)
	var id uint32
	if a.Is4() {
		b := a.As4()
		id = t.Lookup4(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	} else {
		b := a.As16()
		var hi, lo uint64
		for i := range 8 {
			hi, lo = hi<<8|uint64(b[i]), lo<<8|uint64(b[i+8])
		}
		id = t.Lookup6(hi, lo)
	}
	nh, via, _ := m.NextHop(routing.NextHopID(id))
	if nh.Kind == routing.Indirect {
		return via
	}
	return nh
}

// dump lists the routes of an instance that it wasn't made with.
func dump(m *Manager, instance string) []string {
	list := []string{}
	for _, f := range intf.Families {
		m.Routes(instance, f, func(e routing.Entry) bool {
			if e.Source != routing.Permanent {
				list = append(list, fmt.Sprintf("%v %v %v", e.Prefix, e.Source, e.NextHop))
			}
			return true
		})
	}
	return list
}

func TestPermanentRoutesRecogniseEveryKindOfAddress(t *testing.T) {
	m := newManager(t)
	must(t, m.AddInstance("red", 4))
	for addr, want := range map[string]string{
		"203.0.113.1":          "reject net-unreachable",
		"0.0.0.0":              "discard",
		"0.0.0.1":              "reject net-unreachable",
		"127.0.0.1":            "discard",
		"224.0.0.1":            "receive for 0",
		"224.0.0.5":            "receive for 0",
		"224.0.1.1":            "multicast to 0 units",
		"239.1.2.3":            "multicast to 0 units",
		"240.0.0.1":            "discard",
		"255.255.255.254":      "discard",
		"255.255.255.255":      "broadcast on 0",
		"2001:db8::1":          "reject no-route",
		"::":                   "discard",
		"::1":                  "discard",
		"ff01::1":              "discard",
		"ff02::1":              "receive for 0",
		"ff02::1:ff00:1":       "receive for 0",
		"ff05::2":              "multicast to 0 units",
		"ff12::1:2":            "receive for 0",
		"ff32::1:2":            "receive for 0",
		"ff72::1:2":            "receive for 0",
		"ff15::1:2":            "multicast to 0 units",
		"fe80::1":              "link-local",
		"fec0::1":              "reject no-route",
		"::ffff:192.0.2.1":     "reject no-route",
		"ffff:ffff:ffff::ffff": "multicast to 0 units",
	} {
		for _, instance := range []string{Default, "red"} {
			if got := lookup(m, instance, ip(addr)).String(); got != want {
				t.Errorf("%s %s: %s, want %s", instance, addr, got, want)
			}
		}
	}
}

func TestAddressRoutes(t *testing.T) {
	peer := func(p, far string) intf.AddressSpec {
		return intf.AddressSpec{Prefix: pfx(p), Peer: ip(far)}
	}
	for _, tt := range []struct {
		name string
		spec intf.AddressSpec
		want []string
	}{
		{"multi-access IPv4", address("192.0.2.1/24"), []string{
			"192.0.2.0/24 interface-destination resolve on 1",
			"192.0.2.0/32 interface discard",
			"192.0.2.1/32 interface-local receive for 1",
			"192.0.2.255/32 interface broadcast on 1"}},
		{"/30", address("192.0.2.6/30"), []string{
			"192.0.2.4/30 interface-destination resolve on 1",
			"192.0.2.4/32 interface discard",
			"192.0.2.6/32 interface-local receive for 1",
			"192.0.2.7/32 interface broadcast on 1"}},
		{"/31 (RFC 3021)", address("192.0.2.1/31"), []string{
			"192.0.2.0/31 interface-destination resolve on 1",
			"192.0.2.1/32 interface-local receive for 1"}},
		{"/32", address("192.0.2.1/32"), []string{"192.0.2.1/32 interface-local receive for 1"}},
		{"point-to-point IPv4", peer("192.0.2.1/32", "198.51.100.7"), []string{
			"192.0.2.1/32 interface-local receive for 1",
			"198.51.100.7/32 interface-destination forward to 198.51.100.7 on 1"}},
		{"multi-access IPv6", address("2001:db8::1/64"), []string{
			"2001:db8::/64 interface-destination resolve on 1",
			"2001:db8::/128 interface-local receive for 1",
			"2001:db8::1/128 interface-local receive for 1"}},
		{"IPv6 on the anycast address itself", address("2001:db8::/64"), []string{
			"2001:db8::/64 interface-destination resolve on 1",
			"2001:db8::/128 interface-local receive for 1"}},
		{"/127 (RFC 6164)", address("2001:db8::1/127"), []string{
			"2001:db8::/127 interface-destination resolve on 1",
			"2001:db8::1/128 interface-local receive for 1"}},
		{"/128", address("2001:db8::1/128"), []string{"2001:db8::1/128 interface-local receive for 1"}},
		{"point-to-point IPv6", peer("2001:db8::1/128", "2001:db8:9::1"), []string{
			"2001:db8::1/128 interface-local receive for 1",
			"2001:db8:9::1/128 interface-destination forward to 2001:db8:9::1 on 1"}},
		{"link-local", address("fe80::1/64"), []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t)
			must(t, m.AddAddress(1, tt.spec))
			if got := dump(m, Default); !slices.Equal(got, tt.want) {
				t.Errorf("routes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			must(t, m.AddAddress(1, tt.spec))
			must(t, m.RemoveAddress(1, tt.spec.Prefix))
			must(t, m.RemoveAddress(1, tt.spec.Prefix))
			if got := dump(m, Default); len(got) > 0 {
				t.Errorf("after removal: %v", got)
			}
		})
	}
}

func TestAddressesOfOneSubnetShareItsRoutes(t *testing.T) {
	m := newManager(t)
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	must(t, m.AddAddress(1, address("192.0.2.2/24")))
	must(t, m.RemoveAddress(1, pfx("192.0.2.1/24")))
	want := []string{
		"192.0.2.0/24 interface-destination resolve on 1",
		"192.0.2.0/32 interface discard",
		"192.0.2.2/32 interface-local receive for 1",
		"192.0.2.255/32 interface broadcast on 1",
	}
	if got := dump(m, Default); !slices.Equal(got, want) {
		t.Errorf("routes %v, want %v", got, want)
	}
	// Two units on one subnet: both routes stand, the lower unit's is used.
	must(t, m.AddAddress(2, address("192.0.2.3/24")))
	if got := lookup(m, Default, ip("192.0.2.77")); got.IfIndex != 1 {
		t.Errorf("with two units: %v", got)
	}
	must(t, m.SetFamily(1, intf.Inet, Default, false))
	if got := lookup(m, Default, ip("192.0.2.77")); got.IfIndex != 2 {
		t.Errorf("with unit 1 down: %v", got)
	}
}

func TestPeerCanChange(t *testing.T) {
	m := newManager(t)
	a := address("192.0.2.1/32")
	for _, far := range []string{"198.51.100.7", "198.51.100.8"} {
		a.Peer = ip(far)
		must(t, m.AddAddress(1, a))
		want := []string{"192.0.2.1/32 interface-local receive for 1",
			far + "/32 interface-destination forward to " + far + " on 1"}
		if got := dump(m, Default); !slices.Equal(got, want) {
			t.Errorf("peer %s: %v, want %v", far, got, want)
		}
	}
}

func TestOnlyLocalAddressesStayWhenTheFamilyIsDown(t *testing.T) {
	m := newManager(t)
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	must(t, m.AddAddress(1, address("2001:db8::1/64")))
	must(t, m.AddNeighbor(1, ip("192.0.2.9")))
	before := dump(m, Default)
	must(t, m.SetFamily(1, intf.Inet, Default, false))
	want := []string{
		"192.0.2.1/32 interface-local receive for 1",
		"2001:db8::/64 interface-destination resolve on 1",
		"2001:db8::/128 interface-local receive for 1",
		"2001:db8::1/128 interface-local receive for 1",
	}
	if got := dump(m, Default); !slices.Equal(got, want) {
		t.Errorf("inet down: %v, want %v", got, want)
	}
	must(t, m.SetFamily(1, intf.Inet, Default, true))
	if got := dump(m, Default); !slices.Equal(got, before) {
		t.Errorf("inet up again: %v, want %v", got, before)
	}
	must(t, m.RemoveFamily(1, intf.Inet))
	must(t, m.RemoveFamily(1, intf.Inet))
	must(t, m.RemoveFamily(1, intf.Inet6))
	if got := dump(m, Default); len(got) > 0 {
		t.Errorf("families removed: %v", got)
	}
}

func TestMovingAFamilyMovesItsRoutes(t *testing.T) {
	m := newManager(t)
	must(t, m.AddInstance("red", 7))
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	must(t, m.AddNeighbor(1, ip("192.0.2.9")))
	must(t, m.AddAddress(2, address("192.0.2.1/24")))
	before := dump(m, Default)
	must(t, m.SetFamily(2, intf.Inet, "red", true))
	if got := dump(m, "red"); len(got) != 4 || lookup(m, "red", ip("192.0.2.1")).IfIndex != 2 {
		t.Errorf("red: %v", got)
	}
	for _, r := range dump(m, Default) {
		if strings.HasSuffix(r, "2") {
			t.Errorf("default still has %s", r)
		}
	}
	if err := m.DeleteInstance("red"); err == nil {
		t.Error("an instance with a family in it was deleted")
	}
	must(t, m.SetFamily(2, intf.Inet, Default, true))
	if got := dump(m, Default); !slices.Equal(got, before) {
		t.Errorf("moved back: %v, want %v", got, before)
	}
	must(t, m.DeleteInstance("red"))
	must(t, m.DeleteInstance("red"))
	if _, ok := m.Index("red"); ok || m.FIB("red") != nil || m.RIB("red") != nil {
		t.Error("red is still there")
	}
}

func TestNeighborsStandBelowTheirSubnet(t *testing.T) {
	m := newManager(t)
	host := func(a string) bool {
		return len(m.RIB(Default).Entries(netip.PrefixFrom(ip(a), ip(a).BitLen()))) > 0
	}
	for _, a := range []string{"192.0.2.9", "198.51.100.9", "2001:db8::9", "fe80::9"} {
		must(t, m.AddNeighbor(1, ip(a)))
		must(t, m.AddNeighbor(1, ip(a)))
		if host(a) {
			t.Errorf("%s has a route without a subnet", a)
		}
	}
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	must(t, m.AddAddress(1, address("2001:db8::1/64")))
	for a, want := range map[string]bool{"192.0.2.9": true, "198.51.100.9": false, "2001:db8::9": true, "fe80::9": false} {
		if host(a) != want {
			t.Errorf("%s has a route: %v, want %v", a, !want, want)
		}
	}
	if got := lookup(m, Default, ip("192.0.2.9")); got != (routing.NextHop{Kind: routing.Forward, IfIndex: 1, Gateway: ip("192.0.2.9")}) {
		t.Errorf("packets to the neighbour get %v", got)
	}
	must(t, m.RemoveNeighbor(1, ip("2001:db8::9")))
	must(t, m.RemoveNeighbor(1, ip("2001:db8::9")))
	must(t, m.RemoveAddress(1, pfx("192.0.2.1/24")))
	if host("192.0.2.9") || host("2001:db8::9") {
		t.Error("a neighbour outlived its subnet, or itself")
	}
	if err := m.AddNeighbor(9, ip("192.0.2.9")); err == nil {
		t.Error("a neighbour on a unit that isn't there")
	}
	if err := m.AddNeighbor(1, netip.Addr{}); err == nil {
		t.Error("a neighbour without an address")
	}
	must(t, m.RemoveNeighbor(9, ip("192.0.2.9")))
}

func TestStaticRoutes(t *testing.T) {
	m := newManager(t)
	must(t, m.AddInstance("red", 7))
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	must(t, m.AddAddress(1, address("2001:db8::1/64")))
	for _, tt := range []struct {
		name   string
		prefix string
		s      StaticRoute
		want   string // what packets get, or the error
	}{
		{"gateway", "20.0.0.0/8", StaticRoute{Gateway: ip("192.0.2.9")}, "forward to 192.0.2.9 on 1"},
		{"gateway and unit", "20.0.0.0/8", StaticRoute{Gateway: ip("198.51.100.9"), IfIndex: 2}, "forward to 198.51.100.9 on 2"},
		{"link-local gateway and unit", "2001:db8:7::/48", StaticRoute{Gateway: ip("fe80::9"), IfIndex: 2}, "forward to fe80::9 on 2"},
		{"unit", "20.0.0.0/8", StaticRoute{IfIndex: 2}, "resolve on 2"},
		{"other instance", "20.0.0.0/8", StaticRoute{Lookup: "red"}, "lookup in instance 7"},
		{"reject", "20.0.0.0/8", StaticRoute{Action: ActionReject}, "reject host-unreachable"},
		{"discard", "20.0.0.0/8", StaticRoute{Action: ActionDiscard}, "discard"},
		{"receive", "20.0.0.0/8", StaticRoute{Action: ActionReceive}, "receive for 0"},
		{"unresolved gateway", "20.0.0.0/8", StaticRoute{Gateway: ip("99.0.0.1")}, "reject net-unreachable"},
		{"link-local gateway alone", "2001:db8:7::/48", StaticRoute{Gateway: ip("fe80::9")}, "reject no-route"},
		{"unit that is not there", "20.0.0.0/8", StaticRoute{IfIndex: 99}, "reject net-unreachable"},
		{"own instance", "20.0.0.0/8", StaticRoute{Lookup: Default}, "reject net-unreachable"},

		{"several", "20.0.0.0/8", StaticRoute{Members: []Member{
			{Gateway: ip("192.0.2.9"), Weight: 1}, {Gateway: ip("198.51.100.9"), IfIndex: 2, Weight: 2}, {IfIndex: 2, Weight: 1, Backup: true},
		}}, "group of 3"},
		{"several, none of them usable", "20.0.0.0/8", StaticRoute{Members: []Member{{Gateway: ip("99.0.0.1"), Weight: 1}, {IfIndex: 99, Weight: 1}}}, "reject net-unreachable"},
		{"several and a gateway", "20.0.0.0/8", StaticRoute{Gateway: ip("192.0.2.9"), Members: []Member{{IfIndex: 2, Weight: 1}}}, "error: exclude a single one"},
		{"several, one of the other family", "20.0.0.0/8", StaticRoute{Members: []Member{{Gateway: ip("192.0.2.9"), Weight: 1}, {Gateway: ip("2001:db8::9"), Weight: 1}}}, "error: not of the prefix's family"},
		{"several without weight", "20.0.0.0/8", StaticRoute{Members: []Member{{Gateway: ip("192.0.2.9")}, {IfIndex: 2}}}, "error: weight 0"},
		{"nothing", "20.0.0.0/8", StaticRoute{}, "error: needs a gateway"},
		{"unknown instance", "20.0.0.0/8", StaticRoute{Lookup: "blue"}, "error: instance blue does not exist"},
		{"gateway of the other family", "20.0.0.0/8", StaticRoute{Gateway: ip("2001:db8::9")}, "error: not of the prefix's family"},
		{"a gateway that the other instance does not find", "20.0.0.0/8", StaticRoute{Lookup: "red", Gateway: ip("192.0.2.9")}, "reject net-unreachable"},
		{"instance and unit", "20.0.0.0/8", StaticRoute{Lookup: "red", IfIndex: 2}, "error: excludes"},
		{"a look-up among several", "20.0.0.0/8", StaticRoute{Members: []Member{{Lookup: "red", Weight: 1}, {IfIndex: 2, Weight: 1}}}, "error: stands alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pfx(tt.prefix)
			err := m.SetStatic(Default, p, tt.s)
			if want, isError := strings.CutPrefix(tt.want, "error: "); isError {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), tt.prefix) {
					t.Errorf("error %v, want %s", err, want)
				}
				return
			}
			must(t, err)
			if got := lookup(m, Default, p.Addr().Next()).String(); got != tt.want {
				t.Errorf("packets get %s, want %s", got, tt.want)
			}
			if n := len(m.RIB(Default).Entries(p)); n != 1 {
				t.Errorf("%d routes, want 1: a static route replaces the one before", n)
			}
		})
	}
	for _, p := range []string{"20.0.0.0/8", "2001:db8:7::/48", "1.0.0.0/8"} {
		must(t, m.DeleteStatic(Default, pfx(p)))
	}
	must(t, m.DeleteStatic("blue", pfx("20.0.0.0/8")))
	if err := m.SetStatic("blue", pfx("20.0.0.0/8"), StaticRoute{Action: ActionDiscard}); err == nil {
		t.Error("a route in an instance that isn't there")
	}
	for _, r := range dump(m, Default) {
		if strings.Contains(r, "user") {
			t.Errorf("still there: %s", r)
		}
	}
}

func TestInstancesAreNamedOnce(t *testing.T) {
	m := newManager(t)
	must(t, m.AddInstance("red", 7))
	must(t, m.AddInstance("red", 7))
	for name, err := range map[string]error{
		"another index":      m.AddInstance("red", 8),
		"a taken index":      m.AddInstance("blue", 7),
		"the default's":      m.AddInstance("blue", 0),
		"the default itself": m.DeleteInstance(Default),
		"an unknown one":     m.SetFamily(3, intf.Inet, "blue", true),
		"no family":          m.AddAddress(9, address("192.0.2.1/24")),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	must(t, m.DeleteInstance("blue"))
	if got := fmt.Sprintf("%v %q %q", m.Instances(), m.Name(7), m.Name(9)); got != `[default red] "red" ""` {
		t.Errorf("instances %s", got)
	}
	if i, ok := m.Index("red"); i != 7 || !ok {
		t.Errorf("red has index %d", i)
	}
}

func TestLoadAndUnload(t *testing.T) {
	m := newManager(t)
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	gateways := map[string]bool{}
	nh := routing.NextHop{Kind: routing.Indirect, Gateway: ip("192.0.2.9")}
	prefixes := []netip.Prefix{pfx("20.0.0.0/8"), pfx("30.0.0.0/8")}
	must(t, m.Load(Default, routing.Feed, func(yield func(UserRoute) bool) {
		for _, p := range prefixes {
			if !yield(UserRoute{Prefix: p, Preference: 1, NextHop: nh, Tag: 5}) {
				return
			}
		}
	}))
	must(t, m.SetStatic(Default, prefixes[0], StaticRoute{Preference: 5, Action: ActionDiscard}))
	if got := lookup(m, Default, ip("20.0.0.1")).Kind; got != routing.Forward {
		t.Errorf("a feed's route of lower preference: %v", got)
	}
	m.Gateways(func(i intf.Index, a netip.Addr) bool { gateways[fmt.Sprint(i, " ", a)] = true; return true })
	if !gateways["1 192.0.2.9"] || len(gateways) != 1 {
		t.Errorf("gateways in use: %v", gateways)
	}
	if c := m.Counts(Default, intf.Inet); c.Routes[routing.User] != 3 || c.Active[routing.User] != 2 {
		t.Errorf("counts %+v", c)
	}
	bad := func(yield func(UserRoute) bool) { yield(UserRoute{Prefix: prefixes[0]}) }
	if err := m.Load(Default, routing.Feed, bad); err == nil {
		t.Error("a route without a next hop was loaded")
	}
	if err := m.Load("blue", routing.Feed, bad); err == nil {
		t.Error("routes of an instance that isn't there were loaded")
	}
	must(t, m.Unload(Default, routing.Feed, slices.Values(prefixes)))
	must(t, m.Unload(Default, routing.Feed, slices.Values(prefixes)))
	must(t, m.Unload("blue", routing.Feed, slices.Values(prefixes)))
	if got := lookup(m, Default, ip("20.0.0.1")).Kind; got != routing.Discard {
		t.Errorf("after unloading: %v", got)
	}
	if c := m.Counts("blue", intf.Inet); c != (routing.Counts{}) || m.NextHops() == 0 {
		t.Errorf("counts of no instance: %v", c)
	}
	m.Routes("blue", intf.Inet, func(routing.Entry) bool { t.Error("a route of no instance"); return false })
}

// BenchmarkManyOnOneUnit puts 5,000 subnets with a neighbour each on one unit.
func BenchmarkManyOnOneUnit(b *testing.B) {
	for b.Loop() {
		m := newManager(b)
		for i := range 5000 {
			net := [4]byte{10, byte(i >> 6), byte(i << 2), 1}
			must(b, m.AddAddress(1, intf.AddressSpec{Prefix: netip.PrefixFrom(netip.AddrFrom4(net), 30)}))
			net[3] = 2
			must(b, m.AddNeighbor(1, netip.AddrFrom4(net)))
		}
	}
}

func TestFullArenaIsAnErrorAndNothingElse(t *testing.T) {
	arena, err := fib.NewHeapArena(1<<15, epoch.New())
	must(t, err)
	m, err := New(Config{Arena: arena})
	must(t, err)
	must(t, m.SetFamily(1, intf.Inet, Default, true))
	must(t, m.AddAddress(1, address("192.0.2.1/24")))
	n := uint32(1)
	for ; err == nil && n < 1000; n++ {
		err = m.AddInstance(fmt.Sprint("i", n), n)
	}
	if err == nil {
		t.Fatal("a thousand instances fit 32 kB")
	}
	last := fmt.Sprint("i", n-1)
	if m.RIB(last) != nil || len(m.Instances()) != int(n-1) {
		t.Errorf("instance %s is there though it failed: %v", last, err)
	}
	if got := lookup(m, Default, ip("192.0.2.1")).Kind; got != routing.Receive {
		t.Errorf("the default instance receives no more: %v", got)
	}
	// What one instance gives back is room for another.
	must(t, m.DeleteInstance("i1"))
	arena.Reclaim()
	if err := m.AddInstance("again", n); err != nil {
		t.Errorf("room was made: %v", err)
	}
	// Routes without room are in the RIB, inactive, and the error says so.
	for i := 0; err == nil || i == 0; i++ {
		err = m.SetStatic(Default, netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(i >> 8), byte(i)}), 24), StaticRoute{Gateway: ip("192.0.2.9")})
		if i == 0xffff {
			t.Fatal("65,535 routes fit 32 kB")
		}
	}
	c := m.Counts(Default, intf.Inet)
	if c.Routes[routing.User] != c.Active[routing.User]+1 {
		t.Errorf("%d user routes, %d active, want one without room", c.Routes[routing.User], c.Active[routing.User])
	}
}
