package control

import (
	"net/netip"
	"testing"
	"time"

	"router/intf"
	"router/models"
	"router/routing"
)

// A static route with several next hops: its state names each of them, the
// weights can be changed, and one alone is no group.
func TestStaticRouteOverSeveralNextHops(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	key := models.StaticKey{Instance: "default", Prefix: netip.MustParsePrefix("10.0.0.0/8")}
	near, far := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.9")
	unit := intf.UnitKey{Device: "ge1", ID: "0"}
	commit := func(hops ...models.StaticNextHop) (s models.RouteState) {
		t.Helper()
		l.mustCommit(func(in *models.Intent) {
			in.Static[key] = models.StaticSpec{Key: key, NextHops: hops}
		})
		l.pass(3 * time.Second)
		for _, r := range l.router.Routes(nil, "default", intf.Inet, key.Prefix, netip.Prefix{}, 10) {
			if r.Protocol == routing.Static {
				return r
			}
		}
		t.Fatal("the route is not there")
		return s
	}
	first := models.StaticNextHop{Index: 0, Gateway: near, Weight: 1}
	second := models.StaticNextHop{Index: 9, Gateway: far, Interface: unit, Weight: 2, Backup: true}
	for _, weight := range []uint8{2, 5} {
		second.Weight = weight
		s := commit(first, second)
		if s.NextHop != routing.Group || !s.Active || len(s.Members) != 2 {
			t.Fatalf("weight %d: %+v", weight, s)
		}
		for _, m := range s.Members {
			want := models.MemberState{Gateway: near, Egress: "ge0.0", Resolved: m.Resolved, Weight: 1, Usable: true, Active: true}
			if m.Gateway == far {
				want = models.MemberState{Gateway: far, Egress: "ge1.0", Weight: weight, Backup: true, Usable: true}
			}
			if m != want {
				t.Errorf("weight %d: member %+v, want %+v", weight, m, want)
			}
			if m.Gateway == near && !m.Resolved.Contains(near) {
				t.Errorf("gateway %v was found through %v", near, m.Resolved)
			}
		}
	}
	if s := commit(first); s.NextHop != routing.Indirect || s.Gateway != near || len(s.Members) != 0 {
		t.Errorf("one next hop: %+v", s)
	}
	hops := l.router.vrfs.NextHops()
	commit(first, second)
	if n := l.router.vrfs.NextHops(); n <= hops {
		t.Errorf("%d next hops with a group, %d before", n, hops)
	}
	commit(first)
	if n := l.router.vrfs.NextHops(); n != hops {
		t.Errorf("%d next hops are left of %d", n, hops)
	}
}
