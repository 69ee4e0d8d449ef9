package control

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"router/intf"
	"router/models"
)

func staticVia(in *models.Intent, prefix, gateway string) models.Object {
	key := models.StaticKey{Instance: "default", Prefix: netip.MustParsePrefix(prefix)}
	in.Static[key] = models.StaticSpec{Key: key, Action: models.Forward, NextHops: []models.StaticNextHop{{Gateway: netip.MustParseAddr(gateway), Weight: 1}}}
	return staticObject(key)
}

// unapplied is what is not in place, a line each.
func (l *lab) unapplied() string {
	var b strings.Builder
	l.router.EachUnapplied("", func(u models.Unapplied) bool {
		b.WriteString(u.Status.String() + " " + u.Path + "\n")
		return true
	})
	return b.String()
}

func TestStaticRouteWaitsForItsNextHop(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	var waits, better models.Object
	l.mustCommit(func(in *models.Intent) {
		waits = staticVia(in, "10.0.0.0/8", "203.0.113.1")
		better = staticVia(in, "192.0.2.0/24", "198.51.100.9") // the link's own route is preferred
	})
	u := l.router.Unapplied(waits)
	if len(u) != 1 || u[0].Status != models.ApplyPending || u[0].Reason == "" || u[0].Path != waits.Path() {
		t.Errorf("a route without a way is %+v", u)
	}
	if u := l.router.Unapplied(better); u != nil {
		t.Errorf("a route that another stands in front of is %+v", u)
	}
	if got, want := l.unapplied(), "pending "+waits.Path()+"\n"; got != want {
		t.Errorf("not in place:\n%swant\n%s", got, want)
	}

	told := make(chan Event, 1000)
	stop := l.router.Watch(func(e Event) { told <- e })
	l.plug("ge2", 3)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge2", "default", "203.0.113.2/24") })
	l.pass(3 * time.Second)
	stop()
	close(told)
	heard := false
	for e := range told {
		heard = heard || e.Object == waits || e.Table && e.Object.Instance == "default"
	}
	if u := l.router.Unapplied(waits); u != nil || !heard {
		t.Errorf("with its gateway there the route is %+v, and watchers were told: %t", u, heard)
	}
	if len(l.router.failed) != 0 {
		t.Errorf("%d failures are held", len(l.router.failed))
	}
}

// TestFailureHoldsNothingElseUp breaks the host's side of a unit, and its instance's namespace,
// after a commit: what else changes is in place, both are tried again, and other commits are taken.
func TestFailureHoldsNothingElseUp(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	ge0 := unitObject(intf.UnitKey{Device: "ge0", ID: "0"})
	l.hostErr = errors.New("no memory for a TAP")
	l.unplug("ge0")
	l.plug("ge0", 1)
	l.pass(200 * time.Millisecond)
	u := l.router.Unapplied(ge0)
	if len(u) == 0 || u[0].Status != models.ApplyError || !strings.Contains(u[0].Reason, "no memory for a TAP") || u[0].Retries == 0 || u[0].Since.IsZero() {
		t.Fatalf("the unit is %+v", u)
	}
	if n := l.router.SystemState().PendingObjects; n != 1 {
		t.Errorf("%d objects are counted:\n%s", n, l.unapplied())
	}
	since, retries := u[0].Since, u[0].Retries
	l.pass(20 * time.Second)
	u = l.router.Unapplied(ge0)
	if len(u) == 0 || u[0].Retries <= retries || u[0].Retries > retries+6 || u[0].Since != since {
		t.Errorf("20 s later the unit is %+v, after %d attempts at first", u, retries)
	}

	// Somebody else's commit goes through.
	var route models.Object
	l.mustCommit(func(in *models.Intent) { route = staticVia(in, "10.0.0.0/8", "198.51.100.9") })
	if u := l.router.Unapplied(route); u != nil {
		t.Errorf("the route is %+v", u)
	}
	// One that touches the unit hears of it, and is undone.
	err := l.commit(func(in *models.Intent) { unitOf(in, "ge0", "default", "192.0.2.77/24") })
	if err == nil || !strings.Contains(err.Error(), "no memory for a TAP") {
		t.Errorf("a commit that touches the unit: %v", err)
	}

	l.hostErr = nil
	l.pass(40 * time.Second)
	if u := l.router.Unapplied(ge0); u != nil || l.unapplied() != "" || len(l.router.failed) != 0 {
		t.Errorf("with the cause gone: %+v, %s", u, l.unapplied())
	}
	if n := l.router.SystemState().PendingObjects; n != 0 {
		t.Errorf("%d objects are counted", n)
	}
}

// TestStartGoesOnBehindAFailure starts with a namespace that can't be had.
func TestStartGoesOnBehindAFailure(t *testing.T) {
	l := newLab(t)
	l.plug("ge0", 1)
	l.spaceErr = errors.New("no permission")
	in := models.Intent{
		Devices: map[string]intf.DeviceSpec{}, Units: map[intf.UnitKey]intf.UnitSpec{}, Static: map[models.StaticKey]models.StaticSpec{},
		Instances: map[string]models.InstanceSpec{"default": {Name: "default", Cache: models.DefaultCache}, "red": {Name: "red", HostNamespace: "red", Cache: models.DefaultCache}},
	}
	unitOf(&in, "ge0", "default", "192.0.2.1/24")
	route := staticVia(&in, "10.0.0.0/8", "192.0.2.9")
	if err := l.applier.Start(t.Context(), &in); err != nil {
		t.Fatal(err)
	}
	l.pass(3 * time.Second)
	red := instanceObject("red")
	if u := l.router.Unapplied(red); len(u) != 1 || u[0].Status != models.ApplyError || !strings.Contains(u[0].Reason, "no permission") || u[0].Retries < 2 {
		t.Errorf("the instance is %+v", u)
	}
	if u := l.router.Unapplied(route); u != nil {
		t.Errorf("the route is %+v", u)
	}
	if s := l.unitState("ge0"); s.Oper != intf.OperUp {
		t.Errorf("the unit is %v: %s", s.Oper, s.OperReason)
	}
	l.spaceErr = nil
	l.pass(35 * time.Second)
	if u := l.router.Unapplied(red); u != nil {
		t.Errorf("with the cause gone the instance is %+v", u)
	}
}

// TestAddressesSayWhetherTheyAreInPlace follows an address from a link that isn't there to one that
// somebody else has: what it is, why, since when, and what is counted.
func TestAddressesSayWhetherTheyAreInPlace(t *testing.T) {
	l := newLab(t)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "2001:db8::1/64") })
	ge0 := unitObject(intf.UnitKey{Device: "ge0", ID: "0"})
	path := models.AddressPath(models.FamilyPath(ge0, "inet6"), netip.MustParsePrefix("2001:db8::1/64"))
	address := func() models.ApplyState {
		for _, f := range l.unitState("ge0").Families {
			for _, a := range f.Addresses {
				if a.Spec.Prefix.Addr() == netip.MustParseAddr("2001:db8::1") {
					return a.Apply
				}
			}
		}
		t.Fatal("there is no such address")
		return models.ApplyState{}
	}
	check := func(when string, want models.ApplyStatus, brief bool, listed int, count uint32) {
		t.Helper()
		a := address()
		if a.Status != want || a.Brief != brief || (want == models.Applied) != (a.Reason == "") || (want == models.Applied) != a.Since.IsZero() {
			t.Errorf("%s: %+v", when, a)
		}
		n := 0
		for _, u := range l.router.Unapplied(ge0) {
			if u.Path == path {
				n++
				if u.ApplyState != a {
					t.Errorf("%s: listed as %+v, state says %+v", when, u, a)
				}
			}
		}
		if n != listed {
			t.Errorf("%s: it is listed %d times, want %d", when, n, listed)
		}
		if got := l.router.SystemState().PendingObjects; got != count {
			t.Errorf("%s: %d objects are counted, want %d:\n%s", when, got, count, l.unapplied())
		}
	}
	// Its device and its unit are what waits.
	check("without the link", models.ApplyPending, false, 0, 2)
	l.plug("ge0", 1)
	l.pass(10 * time.Millisecond)
	check("while it is checked", models.ApplyPending, true, 1, 0)
	l.pass(3 * time.Second)
	check("in use", models.Applied, false, 0, 0)
	since := l.clock()
	l.router.mu.Lock()
	if err := l.router.refuseAddress(l.router.units[intf.UnitKey{Device: "ge0", ID: "0"}].index, netip.MustParseAddr("2001:db8::1"), intf.MAC{2, 9}); err != nil {
		t.Error(err)
	}
	l.router.finish()
	l.router.mu.Unlock()
	check("with a duplicate", models.ApplyError, false, 1, 1)
	if a := address(); !a.Since.Equal(since) || !strings.Contains(a.Reason, "02:09") {
		t.Errorf("the duplicate is %+v, want it since %v", a, since)
	}
	l.mustCommit(func(in *models.Intent) {
		clear(in.Devices)
		clear(in.Units)
	})
	if n, parts := l.router.SystemState().PendingObjects, l.router.parts; n != 0 || parts != 0 {
		t.Errorf("of a router without units %d objects and %d parts are counted", n, parts)
	}
}

// TestNextHopsSayWhetherTheyLeadSomewhere has a route of two ways, one of which is missing, and one
// of a single way: the group is in place, its next hop isn't, and of the other the route isn't.
func TestNextHopsSayWhetherTheyLeadSomewhere(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	var group, single models.Object
	l.mustCommit(func(in *models.Intent) {
		group = staticVia(in, "10.0.0.0/8", "192.0.2.9")
		key, _ := models.StaticKeyOf(group)
		spec := in.Static[key]
		spec.NextHops = append(spec.NextHops, models.StaticNextHop{Index: 7, Gateway: netip.MustParseAddr("203.0.113.1"), Weight: 1})
		in.Static[key] = spec
		single = staticVia(in, "20.0.0.0/8", "203.0.113.1")
	})
	key, _ := models.StaticKeyOf(group)
	u := l.router.Unapplied(group)
	if len(u) != 1 || u[0].Path != models.NextHopPath(key, 7) || u[0].Status != models.ApplyPending || u[0].Reason == "" || u[0].Since.IsZero() {
		t.Errorf("the group is %+v", u)
	}
	st, ok := l.router.StaticState(key)
	if !ok || len(st.Ways) != 2 || st.Ways[0].Status != models.Applied || st.Ways[1] != u[0].ApplyState {
		t.Errorf("its next hops are %+v", st.Ways)
	}
	other, _ := models.StaticKeyOf(single)
	if st, ok := l.router.StaticState(other); !ok || len(st.Ways) != 1 || st.Ways[0] != l.router.Apply(single) || st.Ways[0].Since.IsZero() {
		t.Errorf("the next hop of the other is %+v, its route %+v", st.Ways, l.router.Apply(single))
	}
	if got, want := l.unapplied(), "pending "+models.NextHopPath(key, 7)+"\npending "+single.Path()+"\n"; got != want {
		t.Errorf("not in place:\n%swant\n%s", got, want)
	}
	if n := l.router.SystemState().PendingObjects; n != 1 {
		t.Errorf("%d objects are counted, want the route alone", n)
	}
	l.mustCommit(func(in *models.Intent) { clear(in.Static) })
	if n := l.router.SystemState().PendingObjects; n != 0 || l.unapplied() != "" {
		t.Errorf("with the routes gone %d objects are counted: %s", n, l.unapplied())
	}
}

// TestInstanceForgetsANamespaceThatIsNotWanted undoes a commit that failed at it.
func TestInstanceForgetsANamespaceThatIsNotWanted(t *testing.T) {
	l := newLab(t)
	l.mustCommit(func(in *models.Intent) {
		in.Instances["red"] = models.InstanceSpec{Name: "red", HostNamespace: "red", Cache: models.DefaultCache}
	})
	l.spaceErr = errors.New("no permission")
	err := l.commit(func(in *models.Intent) {
		in.Instances["red"] = models.InstanceSpec{Name: "red", HostNamespace: "other", Cache: models.DefaultCache}
	})
	if err == nil {
		t.Fatal("the namespace was had")
	}
	if u := l.router.Unapplied(instanceObject("red")); u != nil {
		t.Errorf("with what was there before the instance is %+v", u)
	}
}
