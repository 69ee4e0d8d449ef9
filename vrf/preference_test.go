package vrf

import (
	"net/netip"
	"testing"

	"router/routing"
)

// A declared route wins over one that is fed, unless preferences say otherwise;
// of equals, the protocol decides.
func TestPreferenceOfProtocols(t *testing.T) {
	p := netip.MustParsePrefix("20.0.0.0/8")
	for _, tt := range []struct {
		name           string
		static, fed    uint8
		want           routing.Protocol
		wantPreference uint8
	}{
		{"by default", routing.Static.Preference(), 0, routing.Static, 5},
		{"a declared route as the last resort", 250, 0, routing.Feed, 170},
		{"a feed that is preferred", 5, 4, routing.Feed, 4},
		{"equals", 9, 9, routing.Static, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newManager(t)
			must(t, m.Load(Default, routing.Feed, func(yield func(UserRoute) bool) {
				yield(UserRoute{Prefix: p, Preference: tt.fed, NextHop: discard})
			}))
			must(t, m.SetStatic(Default, p, StaticRoute{Preference: tt.static, Action: ActionReject}))
			e, ok := m.RIB(Default).Lookup(p.Addr())
			if !ok || e.Protocol != tt.want || e.Preference != tt.wantPreference || !e.Active {
				t.Errorf("packets follow %+v", e)
			}
		})
	}
}
