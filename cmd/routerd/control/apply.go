package control

import (
	"maps"
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

// familyApply is that of a family, whose unit has that of unit.
func familyApply(t *intf.UnitFamily, unit models.ApplyState, hostReason string) models.ApplyState {
	switch {
	case unit.Status != models.Applied:
		return models.ApplyState{Status: models.ApplyPending, Reason: unit.Reason, Since: unit.Since}
	case hostReason != "":
		return models.ApplyState{Status: models.ApplyError, Reason: hostReason}
	}
	return pendingFor(t.Down.Status(), t.Reason, time.Time{})
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

// staticApply is that of a declared route: it waits for a next hop, or for room in the
// forwarding table. One that another route is preferred to is in place.
func (r *Router) staticApply(key models.StaticKey) models.ApplyState {
	if len(r.failed) > 0 {
		if f := r.failed[staticObject(key)]; f != nil {
			return f.state()
		}
	}
	waits := func(e routing.Entry) models.ApplyState {
		if e.Reason == "" {
			return models.ApplyState{}
		}
		return models.ApplyState{Status: models.ApplyPending, Reason: e.Reason}
	}
	if e, ok := r.vrfs.User(key.Instance, routing.Static, key.Prefix); ok {
		return waits(e)
	}
	rib := r.vrfs.RIB(key.Instance)
	if rib == nil {
		return models.ApplyState{}
	}
	// It takes packets of one unit only.
	for _, e := range rib.Entries(key.Prefix) {
		if e.Source == routing.User && e.Protocol == routing.Static {
			return waits(e)
		}
	}
	return models.ApplyState{}
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
			// What all of the unit waits for is said once.
			if s.Apply.Status == models.Applied {
				add(path, f.Apply)
			}
			for _, a := range f.Addresses {
				if a.Status == models.AddressDuplicate {
					add(models.AddressPath(path, a.Spec.Prefix), models.ApplyState{Status: models.ApplyError, Reason: a.Reason})
				}
			}
		}
	case models.Instance:
		if s, ok := r.InstanceState(o.Instance); ok {
			add(o.Path(), s.Apply)
		}
	case models.System, models.Static, models.Class, models.Session, models.PrefixList, models.Policer, models.Filter,
		models.Multicast, models.GRIBI, models.User, models.Role, models.LogServer:
		add(o.Path(), r.Apply(o))
	case models.FilterLog, models.Audit:
	}
	return list
}

// staticsAtOnce bounds how many routes are looked at while commits and neighbours wait.
const staticsAtOnce = 512

// EachUnapplied calls f for all that is declared and not in place, until it returns false: devices
// with their units first, then the other objects, then routes. It looks at the router piece by
// piece, so what changes meanwhile is seen or not.
func (r *Router) EachUnapplied(f func(models.Unapplied) bool) {
	objects, statics := r.candidates()
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
// the others those that have failed, and the routes, each in order.
func (r *Router) candidates() (objects []models.Object, statics []models.StaticKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.tree.Devices() {
		objects = append(objects, deviceObject(name))
		for _, key := range r.tree.Units(name) {
			objects = append(objects, unitObject(key))
		}
	}
	for name := range r.instances {
		objects = append(objects, instanceObject(name))
	}
	for o := range r.failed {
		if o.Kind != models.Static {
			objects = append(objects, o)
		}
	}
	place := func(o models.Object) models.Object {
		if o.Kind == models.Unit {
			o.Kind = models.Device // it stands behind its device
		}
		return o
	}
	slices.SortFunc(objects, func(a, b models.Object) int { return place(a).Compare(place(b)) })
	statics = slices.SortedFunc(maps.Keys(r.statics), models.StaticKey.Compare)
	return slices.Compact(objects), statics
}

func (r *Router) unappliedStatics(keys []models.StaticKey) (list []models.Unapplied) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		if st := r.statics[key]; st == nil || st.want == nil {
			continue
		}
		if s := r.staticApply(key); s.Status != models.Applied {
			list = append(list, models.Unapplied{Path: staticObject(key).Path(), ApplyState: s})
		}
	}
	return list
}
