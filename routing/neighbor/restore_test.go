package neighbor

import (
	"testing"
	"time"

	"router/intf"
)

func TestRestoredNeighborIsUsedAtOnceAndVerified(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want(lines(w.Restore(w.now, key("192.0.2.9"), theirs)), "192.0.2.9 delay 02:00:00:00:00:02")
	w.want(lines(w.Restore(w.now, key("192.0.2.9"), others))) // known by now
	// The random number of the test is one half: 5 + 15 s.
	w.want(w.pass(20*time.Second), "20s 192.0.2.9 probe 02:00:00:00:00:02", "20s send arp-request 192.0.2.1 asks 192.0.2.9 of 02:00:00:00:00:02")
	w.want(w.pass(time.Minute),
		"1s send arp-request 192.0.2.1 asks 192.0.2.9 of 02:00:00:00:00:02",
		"2s send arp-request 192.0.2.1 asks 192.0.2.9 of 02:00:00:00:00:02", "3s 192.0.2.9 removed")
}

func TestRestoredNeighborThatAnswersLivesAsAnyOther(t *testing.T) {
	w := newWorld(t, Limits{})
	w.Restore(w.now, key("2001:db8::9"), theirs)
	w.want(lines(w.Input(w.now, advert("2001:db8::9", others, "SO"))), "2001:db8::9 reachable 02:00:00:00:00:03")
}

func TestRestoredHeldNeighbor(t *testing.T) {
	w := newWorld(t, Limits{})
	w.Hold(w.now, key("192.0.2.9"))
	w.want(lines(w.Restore(w.now, key("192.0.2.9"), theirs)), "192.0.2.9 delay 02:00:00:00:00:02")
	if e, _ := w.Lookup(key("192.0.2.9")); !e.Held {
		t.Errorf("%+v", e)
	}
}

func TestRestoreRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		key Key
		mac intf.MAC
	}{
		"our own address":          {key("192.0.2.1"), theirs},
		"a unit that is not there": {Key{99, addr("192.0.2.9")}, theirs},
		"no MAC":                   {key("192.0.2.9"), intf.MAC{}},
		"a group's MAC":            {key("192.0.2.9"), intf.MAC{1, 0, 0x5e}},
		"a group":                  {key("224.0.0.5"), theirs},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			w.want(lines(w.Restore(w.now, tc.key, tc.mac)))
			if _, ok := w.Lookup(tc.key); ok {
				t.Error("there is an entry")
			}
		})
	}
	w := bare(t)
	w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true})
	w.want(lines(w.Restore(w.now, key("2001:db8::9"), theirs))) // the family is down
	limits := DefaultLimits
	limits.Entries = 1
	w = newWorld(t, limits)
	w.Restore(w.now, key("192.0.2.8"), theirs)
	w.want(lines(w.Restore(w.now, key("192.0.2.9"), theirs)))
}

func TestTrustedAddressIsUsedWithoutSearch(t *testing.T) {
	w := &world{T: t, Table: New(Options{Random: func() float64 { return 0.5 }}), now: time.Hour}
	w.AddAddress(w.now, ge0, prefix6)
	w.want(lines(w.Trust(w.now, ge0, prefix6.Addr()))) // before the family is up
	up := Interface{MAC: ours, Inet: true, Inet6: true}
	w.want(lines(w.SetInterface(w.now, ge0, up)), "2001:db8::1 ok", naLine)
	w.pass(time.Minute)
	// This once: when the link comes back, things may have changed.
	w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true})
	w.want(lines(w.SetInterface(w.now, ge0, up)), dadLine)
	w.want(lines(w.Trust(w.now, ge0, prefix6.Addr())), "2001:db8::1 ok", naLine) // while it is searched for
	w.want(lines(w.Trust(w.now, ge0, addr("2001:db8::77"))))
	w.want(lines(w.Trust(w.now, 99, prefix6.Addr())))
}

// TestTrustEnds: a link that comes up long after the start may have seen others come.
func TestTrustEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
		want []string
	}{
		{"soon", TrustTime, []string{"2001:db8::1 ok", naLine}},
		{"late", TrustTime + time.Millisecond, []string{dadLine}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{T: t, Table: New(Options{Random: func() float64 { return 0.5 }}), now: time.Hour}
			w.AddAddress(w.now, ge0, prefix6)
			w.Trust(w.now, ge0, prefix6.Addr())
			w.pass(c.wait)
			w.want(lines(w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet6: true})), c.want...)
		})
	}
}
