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
	l.router.EachUnapplied(func(u models.Unapplied) bool {
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
