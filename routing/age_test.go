package routing

import (
	"testing"
	"time"

	"router/intf"
)

// A route keeps when it was made or changed, not when it was confirmed as it is, nor
// when what it resolves to changes.
func TestLastChange(t *testing.T) {
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	now := began
	s := NewStore(Config{Now: func() time.Time { return now }})
	r, err := s.AddRIB(0, discardFIB{})
	if err != nil {
		t.Fatal(err)
	}
	route := user("10.0.0.0/8", via("192.0.2.9"))
	changed := func() time.Duration {
		t.Helper()
		e, ok := r.Entry(route.Key)
		if !ok {
			t.Fatal("the route is not there")
		}
		return e.Changed.Sub(began)
	}
	for _, c := range []struct {
		name string
		at   time.Duration
		do   func() error
		want time.Duration
	}{
		{"made", 1250 * time.Millisecond, func() error { return r.Set(route) }, 1200 * time.Millisecond},
		{"set again as it is", 2 * time.Second, func() error { return r.Set(route) }, 1200 * time.Millisecond},
		{"its gateway is found", 3 * time.Second, func() error {
			if err := s.SetLink(1, intf.Inet, true); err != nil {
				return err
			}
			return r.Set(onLink("192.0.2.0/24", 1))
		}, 1200 * time.Millisecond},
		{"another tag", 4 * time.Second, func() error { route.Tag = 7; return r.Set(route) }, 4 * time.Second},
		{"another preference", 5 * time.Second, func() error { route.Preference = 9; return r.Set(route) }, 5 * time.Second},
		{"another next hop, in a batch that takes its time", 6 * time.Second, func() error {
			return s.Batch(func() error {
				now = now.Add(time.Second)
				route.NextHop = via("192.0.2.8")
				return r.Set(route)
			})
		}, 6 * time.Second},
		{"the clock is set back before the start", -time.Hour, func() error { route.Tag = 8; return r.Set(route) }, 0},
		{"after 20 years", 20 * 365 * 24 * time.Hour, func() error { route.Tag = 9; return r.Set(route) }, (1<<32 - 1) * tickLength},
	} {
		now = began.Add(c.at)
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := changed(); got != c.want {
			t.Errorf("%s: last changed after %v, want %v", c.name, got, c.want)
		}
	}
}
