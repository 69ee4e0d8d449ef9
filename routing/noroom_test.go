package routing

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"router/intf"
)

// TestRoutesWaitForRoom fills a FIB, makes room for some of what waits, and for all.
func TestRoutesWaitForRoom(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1))
	f, rib := w.fibs[0], w.store.RIB(0)
	const all, room = 300, 10 // the link's route is one of those in the FIB
	f.room = room
	route := func(i int) Route { return user(fmt.Sprintf("20.%d.%d.0/24", i>>8, i&255), via("10.0.0.1")) }
	for i := range all {
		if err := rib.Set(route(i)); (err != nil) != (len(f.routes) == room && i >= room-1) {
			t.Fatalf("route %d with %d in the FIB: %v", i, len(f.routes), err)
		}
	}
	waiting := func(want int) {
		t.Helper()
		if n := w.store.Waiting(); n != want || rib.Counts(intf.Inet).NoRoom != want {
			t.Errorf("%d routes wait, %d of them in the RIB: want %d", n, rib.Counts(intf.Inet).NoRoom, want)
		}
	}
	in := len(f.routes)
	waiting(all - in + 1)
	// Routes that come and go without room leave nothing behind.
	for range 3 * maxKept {
		if err := rib.Delete(route(all - 1).Key); err != nil {
			t.Fatal(err)
		}
		_ = rib.Set(route(all - 1))
	}
	waiting(all - in + 1)
	if n := len(w.store.noRoom.list); n > 2*all+maxKept {
		t.Errorf("the list of %d routes that wait has %d entries", w.store.Waiting(), n)
	}
	// Room for five.
	for i := range 5 {
		if err := rib.Delete(route(i).Key); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.store.Retry(1000); !errors.Is(err, errFull) {
		t.Errorf("with too little room: %v", err)
	}
	waiting(all - in + 1 - 5)
	if len(f.routes) != in {
		t.Errorf("%d routes are in a FIB with room for %d", len(f.routes), in)
	}
	// Room for all, which come in turn.
	f.room = 0
	if err := w.store.Retry(100); err != nil {
		t.Error(err)
	}
	if n := w.store.Waiting(); n == 0 || n > all-in+1-5-50 {
		t.Errorf("%d routes wait after some 100 were tried", n)
	}
	if err := w.store.Retry(1000); err != nil {
		t.Error(err)
	}
	waiting(0)
	for i := 5; i < all; i++ {
		if e := rib.Entries(route(i).Prefix); len(e) != 1 || !e[0].Active || e[0].Reason != "" {
			t.Fatalf("route %d: %+v", i, e)
		}
		w.oracle.routes[0][route(i).Key] = route(i)
	}
	w.check()
	if len(w.store.noRoom.list) != 0 {
		t.Errorf("the list has %d entries still", len(w.store.noRoom.list))
	}
}

// TestWhatIsGoneLeavesByRetry: a prefix that its FIB had no room to let go discards no
// longer than there is none, though nothing else changes.
func TestWhatIsGoneLeavesByRetry(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1))
	f, rib := w.fibs[0], w.store.RIB(0)
	r := user("20.0.0.0/8", via("10.0.0.1"))
	w.set(0, r)
	f.stuck = true
	if err := rib.Delete(r.Key); !errors.Is(err, errFull) {
		t.Fatalf("stuck: %v", err)
	}
	if n := w.store.Waiting(); n != 1 {
		t.Errorf("%d wait, want the prefix that can't go", n)
	}
	if err := w.store.Retry(1); !errors.Is(err, errFull) || w.store.Waiting() != 1 {
		t.Errorf("still stuck: %v, %d wait", err, w.store.Waiting())
	}
	f.stuck = false
	if err := w.store.Retry(1); err != nil {
		t.Errorf("no longer stuck: %v", err)
	}
	if _, there := f.routes[r.Prefix]; there || w.store.Waiting() != 0 {
		t.Errorf("still in the FIB: %t; %d wait", there, w.store.Waiting())
	}
	delete(w.oracle.routes[0], r.Key)
	w.check()
}

// TestFeasibleRoutesGoByRetry: what a second FIB had no room to let go is no source of
// packets until it has.
func TestFeasibleRoutesGoByRetry(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1))
	second := w.plane.fib()
	second.second = true
	rib := w.store.RIB(0)
	r := user("20.0.0.0/8", via("10.0.0.1"))
	if err := errors.Join(rib.SetFeasible(second), rib.Set(r)); err != nil {
		t.Fatal(err)
	}
	for _, freed := range []bool{true, false} { // at the end, the FIB goes instead
		second.stuck = true
		if err := rib.Delete(r.Key); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "20.0.0.0/8") {
			t.Errorf("stuck: %v", err)
		}
		if nh := w.plane.hops[second.routes[r.Prefix]].nh; nh.Kind != Discard {
			t.Errorf("stuck: the second FIB has %v, want discard", nh)
		}
		if err := w.store.Retry(1); !errors.Is(err, errFull) || w.store.Waiting() != 1 {
			t.Errorf("still stuck: %v, %d wait", err, w.store.Waiting())
		}
		second.stuck = !freed
		if !freed {
			w.plane.fibs = w.plane.fibs[:1]
			if err := rib.SetFeasible(nil); err != nil {
				t.Error(err)
			}
		}
		if err := w.store.Retry(1); err != nil {
			t.Errorf("no longer stuck: %v", err)
		}
		if _, there := second.routes[r.Prefix]; there && freed || w.store.Waiting() != 0 {
			t.Errorf("still in the second FIB: %t; %d wait", there, w.store.Waiting())
		}
		w.check()
		if freed {
			if err := rib.Set(r); err != nil {
				t.Error(err)
			}
		}
	}
	if n := w.store.nodes.used(); n != 1 {
		t.Errorf("%d nodes, want that of the network on the link", n)
	}
}

// TestFeasibleRoutesWaitForRoom: what a second FIB had no room for comes in when there
// is, or the check of sources would drop that network's packets for ever.
func TestFeasibleRoutesWaitForRoom(t *testing.T) {
	w := start(t, onLink("10.0.0.0/24", 1))
	second := w.plane.fib()
	second.second, second.room = true, 1
	rib := w.store.RIB(0)
	r, later := user("20.0.0.0/8", via("10.0.0.1")), user("30.0.0.0/8", via("10.0.0.1"))
	w.set(0, r)
	if err := rib.SetFeasible(second); !errors.Is(err, errFull) {
		t.Fatalf("a second FIB with room for one: %v", err)
	}
	if err := rib.Set(later); !errors.Is(err, errFull) {
		t.Errorf("and one more: %v", err)
	}
	if n := w.store.Waiting(); n != 2 {
		t.Errorf("%d wait, want 2", n)
	}
	if err := w.store.Retry(10); !errors.Is(err, errFull) {
		t.Errorf("without more room: %v", err)
	}
	second.room = 0
	if err := w.store.Retry(10); err != nil {
		t.Errorf("with room: %v", err)
	}
	if n := w.store.Waiting(); n != 0 || len(second.routes) != 3 {
		t.Errorf("%d wait, and %d are in the second FIB", n, len(second.routes))
	}
	// A route may go in the Batch in which there was no room for it.
	w.plane.fibs = w.plane.fibs[:1]
	third := w.plane.fib()
	third.second, third.room = true, 1
	err := w.store.Batch(func() error {
		return errors.Join(rib.SetFeasible(nil), rib.SetFeasible(third), rib.Delete(r.Key), rib.Delete(later.Key))
	})
	if !errors.Is(err, errFull) || w.store.Waiting() != 0 || len(third.routes) != 1 {
		t.Errorf("%v; %d wait, %d are in the second FIB", err, w.store.Waiting(), len(third.routes))
	}
	w.plane.fibs = w.plane.fibs[:1]
	delete(w.oracle.routes[0], r.Key)
	w.check()
}
