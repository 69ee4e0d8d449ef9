package routing

import (
	"net/netip"
	"testing"
	"time"

	"router/intf"
)

// TestPendingRoutes follows declared routes whose gateway comes and goes, or which have no room:
// they are known while that lasts, with its beginning, and nothing is held of them afterwards.
func TestPendingRoutes(t *testing.T) {
	w := start(t)
	now := w.store.began
	w.store.config.Now = func() time.Time { return now }
	rib, f := w.store.RIB(0), w.fibs[0]
	route := user("20.0.0.0/8", via("10.0.0.9"))
	fed := user("30.0.0.0/8", via("10.0.0.9"))
	fed.Protocol = Feed
	link := onLink("10.0.0.0/24", 1)
	set := func(r Route) {
		t.Helper()
		if err := rib.Set(r); err != nil {
			t.Log(err)
		}
	}
	for _, c := range []struct {
		name    string
		do      func()
		since   time.Duration // 0: it is in place
		refused uint32
	}{
		{"made before its gateway", func() { set(route); set(fed) }, time.Second, 0},
		{"set again", func() { set(route) }, time.Second, 0},
		{"its gateway appears", func() { set(link) }, 0, 0},
		{"its link goes down", func() { _ = w.store.SetLink(1, intf.Inet, false) }, 4 * time.Second, 0},
		{"changed while it waits", func() { route.Tag = 3; set(route) }, 4 * time.Second, 0},
		{"its link comes back", func() { _ = w.store.SetLink(1, intf.Inet, true) }, 0, 0},
		{"deleted and made anew without room", func() {
			_ = rib.Delete(route.Key)
			f.room = len(f.routes)
			set(route)
		}, 7 * time.Second, 1},
		{"tried again", func() { _ = w.store.Retry(10) }, 7 * time.Second, 2},
		{"its link goes down beside", func() { f.room = 0; _ = w.store.SetLink(1, intf.Inet, false) }, 7 * time.Second, 2},
		{"all is well", func() { _ = w.store.SetLink(1, intf.Inet, true) }, 0, 0},
		{"pending, and deleted", func() { _ = w.store.SetLink(1, intf.Inet, false); _ = rib.Delete(route.Key) }, 0, 0},
	} {
		now = now.Add(time.Second)
		c.do()
		want := 0
		if c.since != 0 {
			want = 1
		}
		if n := w.store.Pending(); n != want {
			t.Errorf("%s: %d are pending, want %d", c.name, n, want)
		}
		w.store.EachPending(func(instance uint32, group netip.Addr, k Key) bool {
			e, _ := rib.Entry(k)
			if k != route.Key || instance != 0 || group.IsValid() || e.Reason == "" || e.Since.Sub(w.store.began) != c.since || e.Refused != c.refused {
				t.Errorf("%s: %+v since %v, refused %d times", c.name, e.Route, e.Since.Sub(w.store.began), e.Refused)
			}
			return true
		})
		if e, ok := rib.Entry(fed.Key); ok && !e.Since.IsZero() {
			t.Errorf("%s: a route that isn't declared is pending", c.name)
		}
	}
	if w.store.pending != nil {
		t.Error("a map is held for nothing")
	}
}

// Members of a group say since when they can't be used.
func TestMembersPendingSince(t *testing.T) {
	w := start(t)
	now := w.store.began
	w.store.config.Now = func() time.Time { return now }
	nh, err := NewGroup(intf.Inet, []Member{{NextHop: forward(1, "10.0.0.9"), Weight: 1}, {NextHop: forward(2, "10.0.1.9"), Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	rib := w.store.RIB(0)
	if err := rib.Set(user("20.0.0.0/8", nh)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(3 * time.Second)
	if err := w.store.SetLink(2, intf.Inet, false); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	e := rib.Entries(pfx("20.0.0.0/8"))[0]
	for _, m := range w.store.Members(e.ID) {
		if bad := m.NextHop.IfIndex == 2; bad != !m.Usable || bad && m.Since.Sub(w.store.began) != 3*time.Second || !bad && !m.Since.IsZero() {
			t.Errorf("%+v", m)
		}
	}
	if w.store.Pending() != 0 {
		t.Error("a route with a usable next hop is pending")
	}
}
