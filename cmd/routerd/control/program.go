package control

import (
	"net/netip"

	"router/intf"
	"router/models"
	"router/routing"
	"router/vrf"
)

// This file has what the gRIBI server programs: routes, shared next-hop groups
// and next hops that are no configuration.

// Tables are the route tables while a Program call runs. They are not to be
// kept.
type Tables struct{ r *Router }

// Program runs change while nobody else changes routes, publishes what it did,
// and runs after, which may look at what came of it. Workers follow the new
// tables when after is called. Neither function may call the Router; either may
// be nil.
func (r *Router) Program(change, after func(Tables)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// What had no room is in the state of each route.
	if change != nil {
		err := r.vrfs.Batch(func() error {
			change(Tables{r})
			return nil
		})
		if err != nil {
			r.log.Warn("programmed routes are not all in the forwarding tables", "err", err)
		}
	}
	if after != nil {
		after(Tables{r})
	}
	if change != nil {
		r.finish()
	}
}

// Instance is the index of an instance. born differs when the instance was
// deleted and made anew, and has none of the routes that it had before.
func (t Tables) Instance(name string) (index uint32, born uint64, ok bool) {
	in := t.r.instances[name]
	if in == nil || !in.applied {
		return 0, 0, false
	}
	return in.index, in.born, true
}

// Unit is the if_index of a unit by its name; a name without a unit's id means
// the unit "0".
func (t Tables) Unit(name string) (intf.Index, bool) {
	if u := t.r.tree.Unit(models.ParseUnitName(name)); u != nil {
		return u.Index, true
	}
	return 0, false
}

// Hold puts a next hop into the dataplane's table that no route need have, and
// has its neighbour asked for; LetGo ends that.
func (t Tables) Hold(f intf.Family, nh routing.NextHop) (routing.NextHopID, error) {
	return t.r.vrfs.Hold(f, nh)
}

// LetGo ends one Hold.
func (t Tables) LetGo(id routing.NextHopID) error { return t.r.vrfs.ReleaseNextHop(id) }

// NewGroup makes a next-hop group whose members can be changed; see
// [routing.Store.NewShared].
func (t Tables) NewGroup(f intf.Family, members []routing.Member) (routing.NextHop, error) {
	return t.r.vrfs.NewShared(f, members)
}

// SetGroup changes the members of a group, however many routes have it.
func (t Tables) SetGroup(group routing.NextHop, members []routing.Member) error {
	return t.r.vrfs.SetShared(group, members)
}

// DropGroup gives a group up.
func (t Tables) DropGroup(group routing.NextHop) error { return t.r.vrfs.ReleaseShared(group) }

// SetRoute adds or replaces the programmed route to a prefix, with the
// preference that is configured for them.
func (t Tables) SetRoute(instance string, prefix netip.Prefix, nh routing.NextHop) error {
	return t.r.vrfs.SetUser(instance, routing.GRIBI, vrf.UserRoute{Prefix: prefix, Preference: t.r.gribi.Preference, NextHop: nh})
}

// DeleteRoute removes the programmed route to a prefix, if there is one.
func (t Tables) DeleteRoute(instance string, prefix netip.Prefix) error {
	return t.r.vrfs.DeleteUser(instance, routing.GRIBI, prefix)
}

// Route says whether packets follow the programmed route to a prefix; full says
// why the forwarding table should have it and has not, or is empty.
func (t Tables) Route(instance string, prefix netip.Prefix) (active bool, full string) {
	e, ok := t.r.vrfs.User(instance, routing.GRIBI, prefix)
	if ok && e.Usable && !e.Active {
		full = e.Reason
	}
	return ok && e.Active, full
}

// Settings are those of the gRIBI service.
func (t Tables) Settings() models.GRIBISpec { return t.r.gribi }

// wantGRIBI notes the settings of the gRIBI service; its server follows when it
// sees the event.
func (r *Router) wantGRIBI(spec *models.GRIBISpec) error {
	want := models.DefaultGRIBI
	if spec != nil {
		want = *spec
	}
	if r.gribi.Preference != want.Preference {
		if err := r.vrfs.Prefer(routing.GRIBI, want.Preference); err != nil {
			return err
		}
	}
	r.gribi = want
	r.events.changed(models.Object{Kind: models.GRIBI})
	return nil
}
