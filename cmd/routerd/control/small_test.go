package control

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"router/cmd/routerd/reconcile"
	"router/models"
)

// A set gives its keys in order, and is empty and small afterwards.
func TestTake(t *testing.T) {
	for _, n := range []int{0, 3, keptDirty + 1} {
		set := map[int]struct{}{}
		for i := range n {
			set[n-i] = struct{}{}
		}
		was := set
		keys := take(&set, func(a, b int) int { return a - b })
		if len(keys) != n || !slices.IsSorted(keys) || len(set) != 0 {
			t.Errorf("of %d: %d keys, sorted %v, %d left", n, len(keys), slices.IsSorted(keys), len(set))
		}
		set[-1] = struct{}{}
		if _, kept := was[-1]; kept != (n <= keptDirty) {
			t.Errorf("of %d: the map is used again: %v", n, kept)
		}
	}
}

// Commits of routes wake the timers once, for what is to be reclaimed, and not again while they
// are about to be looked at anyhow; other commits do.
func TestCommitsOfRoutesWakeNoTimers(t *testing.T) {
	l := newLab(t)
	woken := func(s reconcile.Step) bool {
		t.Helper()
		if err := l.router.Do(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := l.router.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-l.router.wake:
			return true
		default:
			return false
		}
	}
	route := func(third byte) reconcile.Step {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, third, 0}), 24)
		return reconcile.Step{Op: reconcile.Create, Kind: reconcile.StaticRoute, Instance: models.DefaultInstance, Prefix: p,
			New: reconcile.Spec{Static: &models.StaticSpec{Key: models.StaticKey{Instance: models.DefaultInstance, Prefix: p}, Action: models.Discard}}}
	}
	wait := l.router.tick(t.Context())
	for len(l.router.wake) > 0 {
		<-l.router.wake
	}
	if got, want := woken(route(1)), wait > time.Second; got != want {
		t.Errorf("woken %v by a route, with %v to go", got, wait)
	}
	l.router.nextTick = l.clock().Add(time.Second / 2)
	if woken(route(2)) {
		t.Error("woken by a route, though the timers are looked at soon")
	}
	l.router.nextTick = l.clock().Add(time.Minute)
	if !woken(route(3)) {
		t.Error("not woken by a route, though the timers are not looked at for a minute")
	}
	l.router.nextTick = l.clock()
	if !woken(reconcile.Step{Op: reconcile.Create, Kind: reconcile.Instance, Instance: "red", New: reconcile.Spec{Instance: &models.InstanceSpec{Name: "red"}}}) {
		t.Error("not woken by an instance")
	}
}
