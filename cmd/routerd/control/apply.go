package control

import (
	"router/intf"
	"router/models"
)

// This file says of each object that can be declared before it can be in place
// whether it is, and why not. Everything else (routes, filters, sessions, classes) is in
// place when the commit that declares it is done, or the commit fails.

// pendingFor is the state of what the tree has as status, for reason.
func pendingFor(status intf.OperStatus, reason string) models.ApplyState {
	if status == intf.OperPending {
		return models.ApplyState{Status: models.ApplyPending, Reason: reason}
	}
	return models.ApplyState{}
}

func (d *device) apply(t *intf.Device) models.ApplyState {
	if d.err != nil {
		return models.ApplyState{Status: models.ApplyError, Reason: d.err.Error(), Retries: d.failures}
	}
	return pendingFor(t.Down.Status(), t.Reason)
}

// unitApply is that of a unit: it waits for its device to be opened, too.
func (r *Router) unitApply(t *intf.Unit) models.ApplyState {
	if d := r.devices[t.Spec.Key.Device]; d != nil && d.err != nil {
		return models.ApplyState{Status: models.ApplyPending, Reason: "interface " + d.name + ": " + d.err.Error()}
	}
	return pendingFor(t.Down.Status(), t.Reason)
}

// familyApply is that of a family, whose unit has that of unit.
func familyApply(t *intf.UnitFamily, unit models.ApplyState, hostReason string) models.ApplyState {
	switch {
	case unit.Status != models.Applied:
		return models.ApplyState{Status: models.ApplyPending, Reason: unit.Reason}
	case hostReason != "":
		return models.ApplyState{Status: models.ApplyError, Reason: hostReason}
	}
	return pendingFor(t.Down.Status(), t.Reason)
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
			// What all of the unit waits for is said once.
			if s.Apply.Status == models.Applied {
				add(models.FamilyPath(o, f.Family.String()), f.Apply)
			}
		}
	case models.Instance:
		if s, ok := r.InstanceState(o.Instance); ok {
			add(o.Path(), s.Apply)
		}
	case models.System, models.Static, models.Class, models.Session, models.PrefixList, models.Policer, models.Filter,
		models.FilterLog, models.Multicast, models.GRIBI, models.User, models.Role, models.Audit, models.LogServer:
	}
	return list
}
