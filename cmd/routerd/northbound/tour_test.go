package northbound

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/intf"
	"router/models"
)

// quietly changes the state and tells nobody yet.
func (f *fakeState) quietly(edit func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit()
}

// looked waits until all that has changed has been looked at.
func (f *feed) looked(t *testing.T) {
	eventually(t, "all has been looked at", func() bool {
		f.mu.Lock() // nobody looks now
		defer f.mu.Unlock()
		f.changes.mu.Lock()
		defer f.changes.mu.Unlock()
		return len(f.changes.order) == 0
	})
}

// What was gone when a client's own reading came by, and is there again as it was before
// anybody else looks, reaches that client.
func TestGoneForAMoment(t *testing.T) {
	ge1 := models.DeviceState{Name: "ge1", Oper: intf.OperUp}
	device := StateChange{Object: models.Object{Kind: models.Device, Device: "ge1"}}
	unit := intf.UnitKey{Device: "ge1", ID: "0"}
	prefix := netip.MustParsePrefix("10.3.0.0/16")
	for _, tc := range []struct {
		name, path, origin string
		goes, comes        func(s *fakeState)
		change             StateChange
	}{
		{"a device", "/interface", "",
			func(s *fakeState) { delete(s.devices, "ge1") },
			func(s *fakeState) { s.devices["ge1"] = ge1 }, device},
		{"a device, for a pattern", "/.../oper-status", "",
			func(s *fakeState) { delete(s.devices, "ge1") },
			func(s *fakeState) { s.devices["ge1"] = ge1 }, device},
		{"a device, for a container of it", "/interface/state", "",
			func(s *fakeState) { delete(s.devices, "ge1") },
			func(s *fakeState) { s.devices["ge1"] = ge1 }, device},
		{"a leaf", "/interface", "",
			func(s *fakeState) { s.devices["ge1"] = models.DeviceState{Name: "ge1"} },
			func(s *fakeState) { s.devices["ge1"] = ge1 }, device},
		{"a unit", "/", "",
			func(s *fakeState) { delete(s.units, unit) },
			func(s *fakeState) { s.units[unit] = models.UnitState{Key: unit} },
			StateChange{Object: models.Object{Kind: models.Unit, Device: "ge1", Unit: "0"}}},
		{"a route", "/instance/rib/route", "",
			func(s *fakeState) {
				s.routes["default"] = slices.DeleteFunc(slices.Clone(s.routes["default"]), func(r models.RouteState) bool { return r.Prefix == prefix })
			},
			func(s *fakeState) {
				s.routes["default"] = slices.Insert(slices.Clone(s.routes["default"]), 3, models.RouteState{Prefix: prefix, Preference: 5})
			},
			StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: prefix}},
		{"a device, in the view", "/interfaces", openconfigOrigin,
			func(s *fakeState) { delete(s.devices, "ge1") },
			func(s *fakeState) { s.devices["ge1"] = ge1 }, device},
	} {
		list := func(t *testing.T, mode gnmi.SubscriptionList_Mode) *gnmi.SubscriptionList {
			l := subs(t, mode, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, tc.path)
			l.Subscription[0].Path.Origin = tc.origin
			return l
		}
		setUp := func(t *testing.T) *bed {
			b := furnished(t)
			b.state.quietly(func() {
				b.state.devices["ge1"] = ge1
				b.state.units[unit] = models.UnitState{Key: unit}
			})
			return b
		}
		t.Run(tc.name+" ahead of sync", func(t *testing.T) {
			b := setUp(t)
			first := b.watch(list(t, live))
			first.waitSync(t)
			b.state.quietly(func() { tc.goes(b.state) })
			c := b.watch(list(t, live))
			c.waitSync(t)
			b.state.change(tc.change, func() { tc.comes(b.state) })
			b.agree("in the end", list(t, once), first, c)
		})
		t.Run(tc.name+" in arrears", func(t *testing.T) {
			b := setUp(t)
			b.state.quietly(func() { tc.goes(b.state) })
			c := b.watch(list(t, live))
			c.waitSync(t)
			f := b.feed()
			c.stall(true)
			// Something waits for the client, and then what it will miss.
			b.state.change(StateChange{Object: models.Object{Kind: models.Device, Device: "ge0"}}, func() {
				b.state.devices["ge0"] = models.DeviceState{Name: "ge0", Oper: intf.OperDown}
			})
			other := StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: netip.MustParsePrefix("192.0.2.0/24")}
			b.state.change(other, func() {
				b.state.routes["default"] = append(b.state.routes["default"], models.RouteState{Prefix: other.Route})
			})
			eventually(t, "a message waits", c.waits)
			f.looked(t)
			b.state.change(tc.change, func() { tc.comes(b.state) })
			f.looked(t)
			f.oweLog()
			b.state.quietly(func() { tc.goes(b.state) })
			c.stall(false)
			eventually(t, "nothing is owed", func() bool {
				f.logMu.Lock()
				defer f.logMu.Unlock()
				for m := range f.members {
					if m.owes != nil || !m.idle {
						return false
					}
				}
				return true
			})
			b.state.change(tc.change, func() { tc.comes(b.state) })
			b.agree("in the end", list(t, once), c)
		})
	}
}

// A route that a client's walk finds changed is read once more for the others, and may have
// changed again by then: the client is told of that, too.
func TestChangedAgainForTheOthers(t *testing.T) {
	b := furnished(t)
	list := subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/instance/rib/route")
	first := b.watch(list)
	first.waitSync(t)
	tag := func(n uint32) {
		b.state.routes["default"] = slices.Clone(b.state.routes["default"])
		b.state.routes["default"][3].Tag = n
	}
	b.state.quietly(func() {
		tag(1)
		b.state.read = func() { tag(2) }
	})
	c := b.watch(list)
	c.waitSync(t)
	b.state.change(StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}, Route: b.state.routes["default"][3].Prefix}, func() {})
	b.agree("in the end", subs(t, live, &gnmi.Subscription{}, "/instance/rib/route"), first, c)
}

// A walk reads on when the client has read. A route that was gone when it came by is there
// again, and has been looked at, before it ends.
func TestGoneForAMomentOfAWalk(t *testing.T) {
	b := newBed(t, nil)
	flap(b, 2500, true, 1)
	list := subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}, "/instance/rib/route")
	first := b.watch(list)
	first.waitSync(t)
	all := b.state.routes["default"]
	b.state.quietly(func() { b.state.routes["default"] = slices.Concat(all[:10], all[20:]) })
	walks := b.stalled(list)
	eventually(t, "a message waits", walks.waits)
	change := StateChange{Object: models.Object{Kind: models.Instance, Instance: "default"}}
	tell := func(list []models.RouteState) {
		for _, r := range list {
			change.Route = r.Prefix
			b.state.change(change, func() {})
		}
	}
	b.state.quietly(func() { b.state.routes["default"] = all[:2490] })
	tell(all[10:20])
	b.feed().looked(t)
	walks.stall(false)
	walks.waitSync(t)
	if last := all[2499].Prefix; walks.has()[fmt.Sprintf("/instance[name=default]/rib[afi=inet]/route[prefix=%v]/prefix", last)] != "" {
		t.Errorf("%v, gone after the first message, has been sent: the walk has read on while the client did not", last)
	}
	b.state.quietly(func() { b.state.routes["default"] = all })
	tell(all[2490:])
	b.agree("in the end", subs(t, live, &gnmi.Subscription{}, "/instance/rib/route"), first, walks)
}
