package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"router/intf"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }

func user(prefix string, nh NextHop) Route {
	return Route{Key: Key{Prefix: pfx(prefix), Source: User, Protocol: Static}, NextHop: nh}
}

func via(gateway string) NextHop { return NextHop{Kind: Indirect, Gateway: ip(gateway)} }
func forward(i intf.Index, gateway string) NextHop {
	return NextHop{Kind: Forward, IfIndex: i, Gateway: ip(gateway)}
}
func onLink(prefix string, i intf.Index) Route {
	return Route{Key: Key{Prefix: pfx(prefix), Source: InterfaceDestination, Protocol: Direct, IfIndex: i}, NextHop: NextHop{Kind: Resolve, IfIndex: i}}
}

func local(prefix string, i intf.Index) Route {
	return Route{Key: Key{Prefix: pfx(prefix), Source: InterfaceLocal, Protocol: Direct, IfIndex: i}, NextHop: NextHop{Kind: Receive, IfIndex: i}}
}

func permanent(prefix string, nh NextHop) Route {
	return Route{Key: Key{Prefix: pfx(prefix), Source: Permanent, Protocol: System}, NextHop: nh}
}

var noRoute = permanent("0.0.0.0/0", NextHop{Kind: Reject, Reject: RejectNet})

// start is a world with instance 0 and units 1 to 3 up.
func start(t testing.TB, routes ...Route) *world {
	t.Helper()
	w := newWorld(t)
	w.addRIB(0)
	for i := range intf.Index(3) {
		w.setLink(i+1, intf.Inet, true)
		w.setLink(i+1, intf.Inet6, true)
	}
	for _, r := range routes {
		w.set(0, r)
	}
	return w
}

func TestPreference(t *testing.T) {
	// Best first. Every pair is tried in both orders.
	p := pfx("192.0.2.0/24")
	row := func(s Source, preference uint8, i intf.Index, protocol Protocol) Route {
		return Route{Key: Key{Prefix: p, Source: s, IfIndex: i, Protocol: protocol}, Preference: preference, NextHop: NextHop{Kind: Discard}}
	}
	ofUnit := func(r Route) Route { r.Incoming = true; return r }
	rows := []Route{
		row(User, 1, 9, Feed),
		ofUnit(row(User, 5, 8, Feed)),
		row(User, 5, 0, Static),
		row(User, 5, 7, Static),
		row(User, 5, 0, Feed),
		row(User, 255, 0, System),
		row(Permanent, 0, 0, System),
		row(InterfaceLocal, 9, 4, Direct),
		row(InterfaceLocal, 0, 5, Direct),
		row(InterfaceDestination, 0, 1, Direct),
		row(Interface, 0, 1, Direct),
		row(Interface, 0, 1, Neighbor),
		row(Clone, 0, 1, Direct),
	}
	for i, better := range rows {
		for _, worse := range rows[i+1:] {
			for _, order := range [][2]Route{{better, worse}, {worse, better}} {
				w := start(t, order[0], order[1])
				if e, ok := w.store.RIB(0).Lookup(ip("192.0.2.1")); !ok || e.Route != better || !e.Active {
					t.Errorf("%+v against %+v: best is %+v", better, worse, e.Route)
				}
			}
		}
	}
}

func TestResolution(t *testing.T) {
	const up, down = true, false
	for _, tt := range []struct {
		name    string
		routes  []Route
		gateway string
		want    NextHop // zero: unresolved
		through string
		reason  string
		dead    []intf.Index
	}{
		{"on a link", []Route{noRoute, onLink("10.0.0.0/24", 1)}, "10.0.0.9", forward(1, "10.0.0.9"), "10.0.0.0/24", "", nil},
		{"the longest prefix decides", []Route{onLink("10.0.0.0/8", 1), onLink("10.0.0.0/24", 2)}, "10.0.0.9", forward(2, "10.0.0.9"), "10.0.0.0/24", "", nil},
		{"a link that is down doesn't count", []Route{onLink("10.0.0.0/8", 1), onLink("10.0.0.0/24", 2)}, "10.0.0.9", forward(1, "10.0.0.9"), "10.0.0.0/8", "", []intf.Index{2}},
		{"the lower of two links", []Route{onLink("10.0.0.0/24", 3), onLink("10.0.0.0/24", 2)}, "10.0.0.9", forward(2, "10.0.0.9"), "10.0.0.0/24", "", nil},
		{"a known neighbour", []Route{onLink("10.0.0.0/24", 1), {Key: Key{Prefix: pfx("10.0.0.9/32"), Source: Interface, Protocol: Neighbor, IfIndex: 1}, NextHop: forward(1, "10.0.0.9")}},
			"10.0.0.9", forward(1, "10.0.0.9"), "10.0.0.9/32", "", nil},
		{"the link before a user's route to it", []Route{onLink("10.0.0.0/24", 1), user("10.0.0.0/24", forward(2, "10.9.0.1"))}, "10.0.0.9", forward(1, "10.0.0.9"), "10.0.0.0/24", "", nil},
		{"a user's route to it once the link is down", []Route{onLink("10.0.0.0/24", 1), user("10.0.0.0/24", forward(2, "10.9.0.1"))}, "10.0.0.9", forward(2, "10.9.0.1"), "10.0.0.0/24", "", []intf.Index{1}},
		{"a route through itself doesn't count", []Route{onLink("10.0.0.0/24", 1), user("10.0.0.9/32", via("10.0.0.9"))}, "10.0.0.9", forward(1, "10.0.0.9"), "10.0.0.0/24", "", nil},
		{"through another gateway", []Route{onLink("10.0.0.0/24", 1), user("20.0.0.0/8", via("10.0.0.1"))}, "20.0.0.9", forward(1, "10.0.0.1"), "20.0.0.0/8", "", nil},
		{"through two others", []Route{onLink("10.0.0.0/24", 1), user("20.0.0.0/8", via("10.0.0.1")), user("30.0.0.0/8", via("20.0.0.1"))},
			"30.0.0.9", forward(1, "10.0.0.1"), "30.0.0.0/8", "", nil},
		{"through a configured neighbour", []Route{user("20.0.0.0/8", forward(2, "10.0.0.1"))}, "20.0.0.9", forward(2, "10.0.0.1"), "20.0.0.0/8", "", nil},
		{"through a unit without a subnet", []Route{user("20.0.0.0/8", NextHop{Kind: Resolve, IfIndex: 2})}, "20.0.0.9", forward(2, "20.0.0.9"), "20.0.0.0/8", "", nil},
		{"past an unresolved route to a shorter prefix", []Route{onLink("10.0.0.0/8", 1), user("10.0.0.0/24", via("99.0.0.1"))}, "10.0.0.9", forward(1, "10.0.0.9"), "10.0.0.0/8", "", nil},
		{"a user's default", []Route{noRoute, onLink("10.0.0.0/24", 1), user("0.0.0.0/0", via("10.0.0.1"))}, "20.0.0.9", forward(1, "10.0.0.1"), "0.0.0.0/0", "", nil},
		{"a user's discard (RFC 5635)", []Route{user("192.0.2.1/32", NextHop{Kind: Discard})}, "192.0.2.1", NextHop{Kind: Discard}, "192.0.2.1/32", "", nil},

		{"nothing at all", nil, "10.0.0.9", NextHop{}, "", "there is no route to it", nil},
		{"the permanent default", []Route{noRoute}, "10.0.0.9", NextHop{}, "", "there is no route to it", nil},
		{"default through itself", []Route{noRoute, user("0.0.0.0/0", via("10.0.0.9"))}, "10.0.0.9", NextHop{}, "", "only a route through itself", nil},
		{"a martian", []Route{onLink("0.0.0.0/0", 1), permanent("127.0.0.0/8", NextHop{Kind: Discard})}, "127.0.0.1", NextHop{}, "", "there is no route to it", nil},
		{"own address", []Route{onLink("10.0.0.0/24", 1), local("10.0.0.9/32", 1)}, "10.0.0.9", NextHop{}, "", "an address of this router", nil},
		{"broadcast address", []Route{onLink("10.0.0.0/24", 1), {Key: Key{Prefix: pfx("10.0.0.255/32"), Source: Interface, Protocol: Direct, IfIndex: 1}, NextHop: NextHop{Kind: Broadcast, IfIndex: 1}}},
			"10.0.0.255", NextHop{}, "", "a broadcast address", nil},
		{"link-local without a unit", []Route{permanent("fe80::/10", NextHop{Kind: LinkLocal})}, "fe80::1", NextHop{}, "", "link-local", nil},
		{"every link down", []Route{noRoute, onLink("10.0.0.0/24", 1)}, "10.0.0.9", NextHop{}, "", "there is no route to it", []intf.Index{1}},
		{"a circle of two", []Route{onLink("0.0.0.0/0", 1), user("10.0.0.0/8", via("20.0.0.1")), user("20.0.0.0/8", via("10.0.0.9"))},
			"10.0.0.9", NextHop{}, "", "in a circle: 10.0.0.9 to 20.0.0.1 to 10.0.0.9", nil},
		{"a circle of three", []Route{onLink("0.0.0.0/0", 1), user("10.0.0.0/8", via("20.0.0.1")), user("20.0.0.0/8", via("30.0.0.1")), user("30.0.0.0/8", via("10.0.0.9"))},
			"10.0.0.9", NextHop{}, "", "in a circle: 10.0.0.9 to 20.0.0.1 to 30.0.0.1 to 10.0.0.9", nil},
		{"behind a circle there is the next route", []Route{onLink("0.0.0.0/0", 1), user("10.0.0.0/8", via("20.0.0.1")), user("20.0.0.0/8", via("30.0.0.1")), user("30.0.0.0/8", via("20.0.0.9")), user("30.0.0.1/32", via("20.0.0.1"))},
			"10.0.0.9", forward(1, "10.0.0.9"), "0.0.0.0/0", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The routes in one order and in the other, before the gateway and after.
			for turn := range 4 {
				w := start(t)
				for _, i := range tt.dead {
					w.setLink(i, intf.Inet, down)
				}
				p := "203.0.113.0/24"
				if strings.Contains(tt.gateway, ":") {
					p = "2001:db8::/32"
				}
				probe := user(p, via(tt.gateway))
				if turn%2 == 0 {
					w.set(0, probe)
				}
				for i := range tt.routes {
					if turn/2 == 1 {
						i = len(tt.routes) - 1 - i
					}
					w.set(0, tt.routes[i])
				}
				w.set(0, probe)
				w.check()
				e := w.store.RIB(0).Entries(probe.Prefix)[0]
				if e.Via != tt.want || e.Usable != (tt.want.Kind != 0) || e.Active != e.Usable {
					t.Errorf("resolves to %v (%s), want %v", e.Via, e.Reason, tt.want)
				}
				if got := fmt.Sprint(e.Through); e.Usable && got != tt.through {
					t.Errorf("resolves through %v, want %v", got, tt.through)
				}
				if !strings.Contains(e.Reason, tt.reason) {
					t.Errorf("reason %q, want %q", e.Reason, tt.reason)
				}
				for _, i := range tt.dead {
					w.setLink(i, intf.Inet, up)
				}
				w.check()
				w.empty()
			}
		})
	}
}

func TestResolutionAcrossInstances(t *testing.T) {
	look := func(i uint32) NextHop { return NextHop{Kind: Lookup, Instance: i} }
	probe := user("203.0.113.0/24", via("10.0.0.9"))
	state := func(w *world) Entry { return w.store.RIB(0).Entries(probe.Prefix)[0] }

	w := start(t, noRoute, user("10.0.0.0/8", look(1)), probe)
	if e := state(w); e.Usable || !strings.Contains(e.Reason, "there is no route") {
		t.Errorf("instance 1 is not there: %v %s", e.Via, e.Reason)
	}
	w.addRIB(1)
	w.set(1, onLink("10.0.0.0/24", 2))
	if e := state(w); e.Via != forward(2, "10.0.0.9") || e.Through != pfx("10.0.0.0/8") {
		t.Errorf("through instance 1: %v through %v, %s", e.Via, e.Through, e.Reason)
	}
	w.set(1, user("10.0.0.9/32", look(0)))
	if e := state(w); e.Usable || !strings.Contains(e.Reason, "circle") {
		t.Errorf("there and back: %v, %s", e.Via, e.Reason)
	}
	w.delete(1, user("10.0.0.9/32", look(0)).Key)
	w.check()
	w.removeRIB(1)
	w.check()
	if e := state(w); e.Usable {
		t.Errorf("after instance 1 is gone: %v", e.Via)
	}
	// A lookup in the instance itself would go on for ever.
	w.set(0, user("30.0.0.0/8", look(0)))
	if e := w.store.RIB(0).Entries(pfx("30.0.0.0/8"))[0]; e.Usable || e.Active || e.Reason == "" {
		t.Errorf("lookup in itself: usable %v, reason %q", e.Usable, e.Reason)
	}
	w.check()
	w.empty()
}

func TestLongChains(t *testing.T) {
	hop := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)}) }
	chain := func(n int) *world {
		w := start(t, onLink("10.0.0.0/24", 1))
		w.plane.quiet = true
		if err := w.store.Batch(func() error {
			for i := range n {
				r := Route{Key: Key{Prefix: netip.PrefixFrom(hop(i), 32), Protocol: Static}, NextHop: NextHop{Kind: Indirect, Gateway: hop(i + 1)}}
				if i == n-1 {
					r.NextHop.Gateway = ip("10.0.0.1")
				}
				if err := w.store.RIB(0).Set(r); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := chain(maxDepth + 1)
	for i := range maxDepth + 1 {
		e := w.store.RIB(0).Entries(netip.PrefixFrom(hop(i), 32))[0]
		if e.Usable != (i > 0) {
			t.Errorf("route %d of %d: usable %v, %s", i, maxDepth+1, e.Usable, e.Reason)
		}
	}
	// Far beyond what the recursion follows: no route may crash the router.
	w = chain(5 * maxPath)
	_, active := w.store.RIB(0).Counts(intf.Inet).Total()
	if active != maxDepth+1 {
		t.Errorf("%d routes active of a long chain, want %d and the link", active, maxDepth)
	}
	if err := w.store.RemoveRIB(w.store.RIB(0)); err != nil {
		t.Fatal(err)
	}
	w.oracle.routes = map[uint32]map[Key]Route{}
	w.empty()
}

func TestWinnerIsReplacedInOneStep(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1), onLink("10.0.0.0/24", 2))
	f := w.fibs[0]
	for _, tt := range []struct {
		name             string
		do               func()
		inserts, deletes int
	}{
		{"a better one", func() { w.set(0, user("10.0.0.0/24", forward(3, "10.1.0.1"))) }, 1, 0},
		{"another next hop", func() { w.set(0, user("10.0.0.0/24", forward(3, "10.1.0.2"))) }, 1, 0},
		{"another tag", func() {
			r := user("10.0.0.0/24", forward(3, "10.1.0.2"))
			r.Tag = 7
			w.set(0, r)
		}, 0, 0},
		{"a worse one", func() { w.set(0, onLink("10.0.0.0/24", 3)) }, 0, 0},
		{"the best one's link goes down", func() { w.setLink(3, intf.Inet, false) }, 1, 0},
		{"and comes back", func() { w.setLink(3, intf.Inet, true) }, 1, 0},
		{"the best one goes", func() { w.delete(0, user("10.0.0.0/24", NextHop{}).Key) }, 1, 0},
		{"moved within a batch", func() {
			if err := w.store.Batch(func() error {
				w.delete(0, onLink("10.0.0.0/24", 1).Key)
				w.delete(0, onLink("10.0.0.0/24", 2).Key)
				w.set(0, onLink("10.0.0.0/24", 1))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}, 1, 0},
		{"set and deleted within a batch", func() {
			if err := w.store.Batch(func() error {
				w.set(0, user("10.7.0.0/24", forward(3, "10.1.0.1")))
				w.delete(0, user("10.7.0.0/24", NextHop{}).Key)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}, 0, 0},
		{"the last ones go", func() {
			w.delete(0, onLink("10.0.0.0/24", 1).Key)
			w.delete(0, onLink("10.0.0.0/24", 3).Key)
		}, 1, 1},
	} {
		f.inserts, f.deletes = 0, 0
		tt.do()
		w.check()
		if f.inserts != tt.inserts || f.deletes != tt.deletes {
			t.Errorf("%s: %d inserts and %d deletes, want %d and %d", tt.name, f.inserts, f.deletes, tt.inserts, tt.deletes)
		}
	}
	w.empty()
}

func TestFullFIB(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1))
	w.fibs[0].room = 1
	rib := w.store.RIB(0)
	first, second := user("20.0.0.0/8", via("10.0.0.1")), user("30.0.0.0/8", via("10.0.0.1"))
	if err := rib.Set(first); !errors.Is(err, errFull) {
		t.Errorf("no room: error %v", err)
	}
	e := rib.Entries(first.Prefix)[0]
	if !e.Usable || e.Active || !strings.Contains(e.Reason, "no room") {
		t.Errorf("no room: usable %v, active %v, reason %q", e.Usable, e.Active, e.Reason)
	}
	err := w.store.Batch(func() error { return errors.Join(rib.Set(second), rib.Set(first)) })
	if err == nil || strings.Contains(err.Error(), "more") {
		t.Errorf("one of two tried: error %v", err)
	}
	w.fibs[0].room = 0
	changed := first
	changed.Tag = 1
	for _, r := range []Route{changed, second} {
		r.Preference = 9
		if err := rib.Set(r); err != nil {
			t.Errorf("room again: %v", err)
		}
		if e := rib.Entries(r.Prefix)[0]; !e.Active || e.Reason != "" {
			t.Errorf("room again: active %v, reason %q", e.Active, e.Reason)
		}
		w.oracle.routes[0][r.Key] = r
	}
	w.check()

	// A prefix that the FIB can't let go discards, and goes with the next change.
	w.fibs[0].stuck = true
	if err := rib.Delete(second.Key); !errors.Is(err, errFull) {
		t.Errorf("stuck: error %v", err)
	}
	if nh := w.plane.hops[w.fibs[0].routes[second.Prefix]].nh; nh.Kind != Discard {
		t.Errorf("stuck: packets get %v, want discard", nh)
	}
	w.fibs[0].stuck = false
	delete(w.oracle.routes[0], second.Key)
	w.set(0, user("40.0.0.0/8", via("10.0.0.1")))
	if id, there := w.fibs[0].routes[second.Prefix]; there {
		t.Errorf("no longer stuck: still there with %v", w.plane.hops[id].nh)
	}
	// One that is stuck while its instance goes.
	w.fibs[0].stuck = true
	if err := rib.Delete(first.Key); !errors.Is(err, errFull) {
		t.Errorf("stuck again: error %v", err)
	}
	if err := w.store.RemoveRIB(rib); !errors.Is(err, errFull) {
		t.Errorf("instance removed with routes stuck: error %v", err)
	}
	if n := w.store.nodes.used(); n != 0 {
		t.Errorf("%d nodes left", n)
	}
}

func TestWhatIsNoRouteIsRefused(t *testing.T) {
	for name, r := range map[string]Route{
		"no prefix":                 {NextHop: NextHop{Kind: Discard}},
		"host bits":                 user("10.0.0.1/24", NextHop{Kind: Discard}),
		"no next hop":               user("10.0.0.0/24", NextHop{}),
		"unknown kind":              user("10.0.0.0/24", NextHop{Kind: 99}),
		"unknown source":            {Key: Key{Prefix: pfx("10.0.0.0/24"), Source: 99}, NextHop: NextHop{Kind: Discard}},
		"forward without gateway":   user("10.0.0.0/24", NextHop{Kind: Forward, IfIndex: 1}),
		"forward without unit":      user("10.0.0.0/24", NextHop{Kind: Forward, Gateway: ip("10.0.0.1")}),
		"resolve without unit":      user("10.0.0.0/24", NextHop{Kind: Resolve}),
		"indirect without gateway":  user("10.0.0.0/24", NextHop{Kind: Indirect}),
		"gateway of other family":   user("10.0.0.0/24", via("2001:db8::1")),
		"gateway with a zone":       user("2001:db8::/32", forward(1, "fe80::1%eth0")),
		"reject without a code":     user("10.0.0.0/24", NextHop{Kind: Reject}),
		"mapped gateway for inet":   user("10.0.0.0/24", via("::ffff:10.0.0.1")),
		"unmasked ipv6 with length": user("2001:db8::1/64", NextHop{Kind: Discard}),
	} {
		w := start(t)
		if err := w.store.RIB(0).Set(r); err == nil {
			t.Errorf("%s: accepted", name)
		}
		w.check()
		w.empty()
	}
	w := start(t)
	rib := w.store.RIB(0)
	w.removeRIB(0)
	if err := rib.Set(user("10.0.0.0/24", NextHop{Kind: Discard})); err == nil {
		t.Error("removed instance: route accepted")
	}
	if err := rib.Delete(Key{Prefix: pfx("10.0.0.0/24")}); err != nil {
		t.Errorf("removed instance: %v", err)
	}
	if err := rib.Delete(Key{}); err != nil {
		t.Errorf("no prefix: %v", err)
	}
}

func TestLookupByMetadata(t *testing.T) {
	w := start(t, noRoute, onLink("10.0.0.0/24", 1), onLink("10.0.0.0/24", 2), onLink("10.0.0.0/16", 3),
		user("10.0.0.0/24", via("10.0.1.1")), user("10.0.0.9/32", forward(3, "10.0.0.9")), user("10.0.0.8/32", forward(3, "10.0.0.1")))
	rib := w.store.RIB(0)
	for _, tt := range []struct {
		addr    string
		ifindex intf.Index
		want    NextHop
	}{
		{"10.0.0.5", 0, NextHop{Kind: Resolve, IfIndex: 1}},
		{"10.0.0.5", 2, NextHop{Kind: Resolve, IfIndex: 2}},
		{"10.0.0.5", 3, NextHop{Kind: Resolve, IfIndex: 3}},
		{"10.0.0.5", 4, NextHop{}},
		{"10.0.0.9", 0, forward(3, "10.0.0.9")},
		{"10.0.0.8", 0, NextHop{Kind: Resolve, IfIndex: 1}},
		{"99.0.0.1", 0, NextHop{}},
	} {
		if e, ok := rib.LookupDirect(ip(tt.addr), tt.ifindex); ok != (tt.want.Kind != 0) || e.NextHop != tt.want {
			t.Errorf("%s directly on %d: %v, want %v", tt.addr, tt.ifindex, e.NextHop, tt.want)
		}
	}
	if e, ok := rib.Lookup(ip("10.0.0.5")); !ok || e.NextHop != via("10.0.1.1") || e.Via != forward(3, "10.0.1.1") {
		t.Errorf("packets follow %v, %v", e.NextHop, e.Via)
	}
	if _, ok := rib.Lookup(netip.Addr{}); ok {
		t.Error("no address, but a route")
	}
	// Longest usable match that isn't a user's.
	e, _ := rib.LookupFunc(ip("10.0.0.9"), func(e Entry) bool { return e.Source != User })
	if e.NextHop != (NextHop{Kind: Resolve, IfIndex: 1}) {
		t.Errorf("without user routes: %v", e.NextHop)
	}
	if got := len(rib.Entries(pfx("10.0.0.77/24"))); got != 3 {
		t.Errorf("%d routes to 10.0.0.0/24, want 3", got)
	}
	if rib.Entries(pfx("1.0.0.0/8")) != nil || rib.Entries(netip.Prefix{}) != nil {
		t.Error("routes to a prefix that has none")
	}
	var within []netip.Prefix
	rib.WalkWithin(pfx("10.0.0.8/29"), func(e Entry) bool { within = append(within, e.Prefix); return true })
	if fmt.Sprint(within) != "[10.0.0.8/32 10.0.0.9/32]" {
		t.Errorf("within 10.0.0.8/29: %v", within)
	}
	n := 0
	rib.Walk(intf.Inet, func(Entry) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("walk went on after it was told to stop: %d", n)
	}
}

func TestNextHopsAreSharedAndIDsRest(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1), user("20.0.0.0/8", via("10.0.0.1")), user("30.0.0.0/8", via("10.0.0.1")))
	w.addRIB(1)
	w.set(1, user("20.0.0.0/8", via("10.0.0.1")))
	if n := w.store.NextHops(); n != 3 { // resolve, indirect, forward
		t.Errorf("%d next hops, want 3", n)
	}
	id := w.store.RIB(0).Entries(pfx("20.0.0.0/8"))[0].ID
	if nh, through, ok := w.store.NextHop(id); !ok || nh != via("10.0.0.1") || through != forward(1, "10.0.0.1") {
		t.Errorf("next hop %d is %v through %v", id, nh, through)
	}
	var gateways []string
	w.store.Gateways(func(i intf.Index, a netip.Addr) bool { gateways = append(gateways, fmt.Sprint(i, " ", a)); return true })
	if fmt.Sprint(gateways) != "[1 10.0.0.1]" {
		t.Errorf("gateways in use: %v", gateways)
	}
	for _, p := range []string{"20.0.0.0/8", "30.0.0.0/8"} {
		w.delete(0, user(p, NextHop{}).Key)
	}
	w.delete(1, user("20.0.0.0/8", NextHop{}).Key)
	w.check()
	if _, _, ok := w.store.NextHop(id); ok {
		t.Errorf("next hop %d is still there", id)
	}
	// The id is not given out again soon.
	for i := range quarantine - 1 {
		r := user("40.0.0.0/8", forward(1, fmt.Sprintf("10.1.%d.%d", i/256, i%256)))
		w.set(0, r)
		if got := w.store.RIB(0).Entries(r.Prefix)[0].ID; got == id {
			t.Fatalf("next hop %d is given out again after %d others", id, i)
		}
	}
	top := len(w.store.hops.byID)
	for i := range 2 * quarantine {
		w.set(0, user("40.0.0.0/8", forward(1, fmt.Sprintf("10.2.%d.%d", i/256, i%256))))
	}
	if n := len(w.store.hops.byID); n > top+3 {
		t.Errorf("%d ids in use for a handful of next hops", n)
	}
	w.empty()
}

func TestOnRouteTellsWhatChanged(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1), user("20.0.0.0/8", via("10.0.0.1")))
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"the same again", func() { w.set(0, user("20.0.0.0/8", via("10.0.0.1"))) }, "map[]"},
		{"a tag", func() {
			r := user("20.0.0.0/8", via("10.0.0.1"))
			r.Tag = 1
			w.set(0, r)
		}, "map[0 20.0.0.0/8:1]"},
		{"a route that becomes unusable", func() { w.setLink(1, intf.Inet, false) }, "map[0 10.0.0.0/24:1 0 20.0.0.0/8:1]"},
		{"a link of no matter", func() { w.setLink(2, intf.Inet, false) }, "map[]"},
		{"nothing deleted", func() { w.delete(0, onLink("10.0.0.0/24", 2).Key) }, "map[]"},
		{"a deleted route", func() { w.delete(0, onLink("10.0.0.0/24", 1).Key) }, "map[0 10.0.0.0/24:1]"},
	} {
		clear(w.plane.told)
		tt.do()
		if got := fmt.Sprint(w.plane.told); got != tt.want {
			t.Errorf("%s: told %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAddRIBTwice(t *testing.T) {
	w := start(t)
	if _, err := w.store.AddRIB(0, w.plane.fib()); err == nil {
		t.Error("a second RIB for instance 0 accepted")
	}
}
