package control

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"router/intf"
	"router/models"
	"router/routing"
)

// This file says of each object that can be declared whether it is in place, and why
// not. That is read from what is there: the tree, the RIB, the failures that are held. An object
// that is in place costs nothing.

// pendingFor is the state of what the tree has as status, for reason, since then.
func pendingFor(status intf.OperStatus, reason string, since time.Time) models.ApplyState {
	if status == intf.OperPending {
		return models.ApplyState{Status: models.ApplyPending, Reason: reason, Since: since}
	}
	return models.ApplyState{}
}

func (d *device) apply(t *intf.Device) models.ApplyState {
	if d.err != nil {
		return models.ApplyState{Status: models.ApplyError, Reason: d.err.Error(), Retries: d.failures, Since: d.failing}
	}
	return pendingFor(t.Down.Status(), t.Reason, d.changed)
}

// unitApply is that of a unit: it waits for its device to be opened, too.
func (r *Router) unitApply(t *intf.Unit) models.ApplyState {
	if f := r.failed[unitObject(t.Spec.Key)]; f != nil {
		return f.state()
	}
	if d := r.devices[t.Spec.Key.Device]; d != nil && d.err != nil {
		return models.ApplyState{Status: models.ApplyPending, Reason: "interface " + d.name + ": " + d.err.Error(), Since: d.failing}
	}
	var since time.Time
	if u := r.units[t.Spec.Key]; u != nil {
		since = u.changed
	}
	return pendingFor(t.Down.Status(), t.Reason, since)
}

// instanceApply is that of an instance.
func (r *Router) instanceApply(name string, in *instance) models.ApplyState {
	if f := r.failed[instanceObject(name)]; f != nil {
		return f.state()
	}
	if in.reason != "" {
		return models.ApplyState{Status: models.ApplyError, Reason: in.reason}
	}
	return models.ApplyState{}
}

// staticEntry is a declared route as the RIB has it; the zero Entry when it hasn't.
func (r *Router) staticEntry(key models.StaticKey) routing.Entry {
	if e, ok := r.vrfs.User(key.Instance, routing.Static, key.Prefix); ok {
		return e
	}
	if rib := r.vrfs.RIB(key.Instance); rib != nil {
		// It takes packets of one unit only.
		for _, e := range rib.Entries(key.Prefix) {
			if e.Source == routing.User && e.Protocol == routing.Static {
				return e
			}
		}
	}
	return routing.Entry{}
}

// routeApply is that of a declared route: it waits for a next hop, or for room in the
// forwarding table. One that another route is preferred to is in place.
func routeApply(e routing.Entry) models.ApplyState {
	if e.Since.IsZero() {
		return models.ApplyState{}
	}
	return models.ApplyState{Status: models.ApplyPending, Reason: e.Reason, Retries: e.Refused, Since: e.Since}
}

// staticApply is that of a static route. It costs a look at the RIB only while a route waits.
func (r *Router) staticApply(key models.StaticKey) models.ApplyState {
	if len(r.failed) > 0 {
		if f := r.failed[staticObject(key)]; f != nil {
			return f.state()
		}
	}
	if r.vrfs.Pending() == 0 {
		return models.ApplyState{}
	}
	return routeApply(r.staticEntry(key))
}

// multicastApply is that of a route of groups, which has not failed.
func (r *Router) multicastApply(key models.MulticastKey) models.ApplyState {
	if r.vrfs.Pending() == 0 {
		return models.ApplyState{}
	}
	e, _, _ := r.vrfs.Group(key.Instance, groupKey(key))
	return routeApply(e)
}

// wayStates are those of the next hops of a static route that is in the RIB, in the order of
// want; nil when all lead somewhere. A route of one waits for it, with it.
func (r *Router) wayStates(key models.StaticKey, want *models.StaticSpec) []models.ApplyState {
	switch n := len(want.NextHops); {
	case n == 0 || n == 1 && r.vrfs.Pending() == 0:
		return nil
	case n == 1:
		if e := r.staticEntry(key); !e.Usable && !e.Since.IsZero() {
			return []models.ApplyState{routeApply(e)}
		}
		return nil
	}
	var states []models.ApplyState
	for _, m := range r.vrfs.Members(r.staticEntry(key).ID) {
		if m.Usable {
			continue
		}
		for i, nh := range want.NextHops {
			if r.leads(key.Instance, nh, m.NextHop) {
				if states == nil {
					states = make([]models.ApplyState, len(want.NextHops))
				}
				states[i] = models.ApplyState{Status: models.ApplyPending, Reason: m.Reason, Since: m.Since}
			}
		}
	}
	return states
}

// leads reports whether a declared next hop of a route in an instance became nh.
func (r *Router) leads(instance string, way models.StaticNextHop, nh routing.NextHop) bool {
	if way.Gateway.WithZone("") != nh.Gateway {
		return false
	}
	if way.Interface != (intf.UnitKey{}) {
		t := r.tree.Unit(way.Interface)
		return t != nil && t.Index == nh.IfIndex
	}
	index, ok := r.vrfs.Index(cmp.Or(way.Instance, instance))
	return ok && nh.Kind == routing.Indirect && nh.Instance == index
}

// Apply says whether an object is in place, of those whose own state doesn't say it.
func (r *Router) Apply(o models.Object) models.ApplyState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key, ok := models.StaticKeyOf(o); ok {
		return r.staticApply(key)
	}
	if f := r.failed[o]; f != nil {
		return f.state()
	}
	if key, ok := models.MulticastKeyOf(o); ok {
		return r.multicastApply(key)
	}
	return models.ApplyState{}
}

// Failing reports whether an object could not be put in place, or not be taken away.
func (r *Router) Failing(o models.Object) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed[o] != nil
}

// Unapplied lists what of an object is not in place, none for an object that is
// or that there isn't.
func (r *Router) Unapplied(o models.Object) []models.Unapplied {
	var list []models.Unapplied
	add := func(path string, s models.ApplyState) {
		if s.Status != models.Applied {
			list = append(list, models.Unapplied{Path: path, ApplyState: s})
		}
	}
	switch o.Kind {
	case models.Device:
		if s, ok := r.DeviceState(o.Device); ok {
			add(o.Path(), s.Apply)
		}
	case models.Unit:
		s, ok := r.UnitState(intf.UnitKey{Device: o.Device, ID: o.Unit})
		if !ok {
			return nil
		}
		add(o.Path(), s.Apply)
		for _, f := range s.Families {
			path := models.FamilyPath(o, f.Family.String())
			// What all of the unit or of the family wait for is said once.
			if s.Apply.Status == models.Applied {
				add(path, f.Apply)
			}
			if f.Apply.Status != models.Applied {
				continue
			}
			for _, a := range f.Addresses {
				add(models.AddressPath(path, a.Spec.Prefix), a.Apply)
			}
		}
	case models.Instance:
		if s, ok := r.InstanceState(o.Instance); ok {
			add(o.Path(), s.Apply)
		}
	case models.Static:
		if key, ok := models.StaticKeyOf(o); ok {
			return r.unappliedStatics([]models.StaticKey{key})
		}
	case models.System, models.Class, models.Session, models.PrefixList, models.Policer, models.Filter,
		models.Multicast, models.GRIBI, models.User, models.Role, models.LogServer:
		add(o.Path(), r.Apply(o))
	case models.FilterLog, models.Audit:
	}
	return list
}

// staticsAtOnce bounds how many routes are looked at while commits and neighbours wait.
const staticsAtOnce = 512

// EachUnapplied calls f for all that is declared and not in place, until it returns false: devices
// with their units first, then the other objects, then routes; where root is not empty, only what
// stands in that list or container of the model. It looks at the router piece by piece, so what
// changes meanwhile is seen or not.
func (r *Router) EachUnapplied(root string, f func(models.Unapplied) bool) {
	objects, statics := r.candidates(root)
	for _, o := range objects {
		for _, u := range r.Unapplied(o) {
			if !f(u) {
				return
			}
		}
	}
	for piece := range slices.Chunk(statics, staticsAtOnce) {
		for _, u := range r.unappliedStatics(piece) {
			if !f(u) {
				return
			}
		}
	}
}

// candidates are the objects that may be not in place: all of those whose state says so, of
// the others those that have failed or wait, and the routes that do, or lead several ways, each in
// order. root is as in EachUnapplied.
func (r *Router) candidates(root string) (objects []models.Object, statics []models.StaticKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := func(list string) bool { return root == "" || root == list }
	if of("interface") {
		for _, name := range r.tree.Devices() {
			objects = append(objects, deviceObject(name))
			for _, key := range r.tree.Units(name) {
				objects = append(objects, unitObject(key))
			}
		}
	}
	for o := range r.failed {
		if key, ok := models.StaticKeyOf(o); ok {
			statics = append(statics, key)
		} else {
			objects = append(objects, o)
		}
	}
	if of("instance") {
		objects, statics = r.routeCandidates(objects, statics)
	}
	place := func(o models.Object) models.Object {
		if o.Kind == models.Unit {
			o.Kind = models.Device // it stands behind its device
		}
		return o
	}
	slices.SortFunc(objects, func(a, b models.Object) int { return place(a).Compare(place(b)) })
	slices.SortFunc(statics, models.StaticKey.Compare)
	return slices.Compact(objects), slices.Compact(statics)
}

// routeCandidates adds instances and routes.
func (r *Router) routeCandidates(objects []models.Object, statics []models.StaticKey) ([]models.Object, []models.StaticKey) {
	for name := range r.instances {
		objects = append(objects, instanceObject(name))
	}
	for key, st := range r.statics {
		if st.want != nil && len(st.want.NextHops) > 1 {
			statics = append(statics, key)
		}
	}
	r.vrfs.EachPending(func(instance string, group netip.Addr, k routing.Key) bool {
		switch {
		case k.Protocol == routing.Static:
			statics = append(statics, models.StaticKey{Instance: instance, Prefix: k.Prefix})
		case group.IsValid():
			objects = append(objects, models.MulticastKey{Instance: instance, Group: netip.PrefixFrom(group, group.BitLen()), Source: k.Prefix}.Object())
		default:
			objects = append(objects, models.MulticastKey{Instance: instance, Group: k.Prefix}.Object())
		}
		return true
	})
	return objects, statics
}

// unappliedStatics lists what of routes is not in place: each, or else those of its next hops
// that lead nowhere.
func (r *Router) unappliedStatics(keys []models.StaticKey) (list []models.Unapplied) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		st := r.statics[key]
		if st == nil || st.want == nil {
			continue
		}
		if s := r.staticApply(key); s.Status != models.Applied {
			list = append(list, models.Unapplied{Path: staticObject(key).Path(), ApplyState: s})
			continue
		}
		for i, s := range r.wayStates(key, st.want) {
			if s.Status != models.Applied {
				list = append(list, models.Unapplied{Path: models.NextHopPath(key, st.want.NextHops[i].Index), ApplyState: s})
			}
		}
	}
	return list
}
