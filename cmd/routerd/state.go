package main

import (
	"router/cmd/routerd/control"
	"router/cmd/routerd/gribi"
	"router/cmd/routerd/health"
	"router/cmd/routerd/logs"
	"router/cmd/routerd/northbound"
	"router/gen"
	"router/intf"
	"router/models"
)

// state is the router's operational state as the gNMI server wants it.
type state struct {
	router     *control.Router
	logs       *logs.Log
	gribi      *gribi.Server
	programmer *programmer // tells of changes of gribi
	health     *health.Monitor
	access     *accessState
}

// Names implements northbound.State.
func (s state) Names(kind models.Kind, parent string) []string {
	switch kind {
	case models.System:
		return nil
	case models.Device:
		return s.router.Devices()
	case models.Unit:
		var ids []string
		for _, k := range s.router.Units(parent) {
			ids = append(ids, k.ID)
		}
		return ids
	case models.Instance:
		return s.router.Instances()
	case models.Static:
		var prefixes []string
		for _, p := range s.router.StaticRoutes(parent) {
			prefixes = append(prefixes, p.String())
		}
		return prefixes
	case models.Class:
		return s.router.Classes()
	case models.Session:
		return s.router.Sessions()
	case models.PrefixList:
		return s.router.PrefixLists()
	case models.Policer:
		return s.router.Policers()
	case models.Filter:
		return s.router.Filters()
	case models.FilterLog:
		return s.router.FilterLogSlots()
	case models.User:
		return s.access.guard.Users()
	case models.Role:
		return s.access.guard.Roles()
	case models.Audit:
		return s.access.numbers()
	case models.Multicast:
		return nil // it has two keys: Groups lists them
	case models.LogServer:
		return s.logs.Names()
	case models.GRIBI:
		return nil
	}
	return nil
}

// Fill implements northbound.State. What could not be put in place at all has a state
// that says so.
func (s state) Fill(dst *gen.Device, o models.Object) bool {
	if !s.fill(dst, o) && !s.router.Failing(o) {
		return false
	}
	models.FillApply(dst, o, s.router.Apply(o))
	return true
}

func (s state) fill(dst *gen.Device, o models.Object) bool {
	switch o.Kind {
	case models.System:
		// The server adds what it knows of commits.
		st := s.router.SystemState()
		s.access.system(&st)
		st.Process = process()
		models.FillSystem(dst, st)
		models.FillHealth(dst, s.health.Components())
		return true
	case models.Device:
		st, ok := s.router.DeviceState(o.Device)
		if ok {
			models.FillDevice(dst, st)
		}
		return ok
	case models.Unit:
		st, ok := s.router.UnitState(intf.UnitKey{Device: o.Device, ID: o.Unit})
		if ok {
			models.FillUnit(dst, st)
		}
		return ok
	case models.Instance:
		st, ok := s.router.InstanceState(o.Instance)
		if ok {
			models.FillInstance(dst, st)
		}
		return ok
	case models.Static:
		key, ok := models.StaticKeyOf(o)
		if !ok {
			return false
		}
		st, ok := s.router.StaticState(key)
		if ok {
			models.FillStatic(dst, st)
		}
		return ok
	case models.Class:
		st, ok := s.router.ClassState(o.Name)
		if ok {
			models.FillClass(dst, st)
		}
		return ok
	case models.Session:
		st, ok := s.router.SessionState(o.Name)
		if ok {
			models.FillSession(dst, st)
		}
		return ok
	case models.PrefixList:
		spec, ok := s.router.PrefixListSpec(o.Name)
		if ok {
			models.FillPrefixList(dst, spec)
		}
		return ok
	case models.Policer:
		st, ok := s.router.PolicerState(o.Name)
		if ok {
			models.FillPolicer(dst, st)
		}
		return ok
	case models.Filter:
		st, ok := s.router.FilterState(o.Name)
		if ok {
			models.FillFilter(dst, st)
		}
		return ok
	case models.FilterLog:
		e, ok := s.router.FilterLogEntry(o.Name)
		if ok {
			models.FillFilterLog(dst, e)
		}
		return ok
	case models.User:
		st, ok := s.access.guard.UserState(o.Name)
		if ok {
			models.FillUser(dst, st)
		}
		return ok
	case models.Role:
		st, ok := s.access.guard.RoleState(o.Name)
		if ok {
			models.FillRole(dst, st)
		}
		return ok
	case models.Audit:
		r, ok := s.access.record(o.Name)
		if ok {
			models.FillAudit(dst, r)
		}
		return ok
	case models.Multicast:
		key, ok := models.MulticastKeyOf(o)
		if !ok {
			return false
		}
		st, ok := s.router.MulticastState(key)
		if ok {
			models.FillMulticast(dst, st)
		}
		return ok
	case models.LogServer:
		st, ok := s.logs.State(o.Name)
		if ok {
			models.FillLogServer(dst, st)
		}
		return ok
	case models.GRIBI:
		models.FillGRIBI(dst, s.gribi.State())
		return true
	}
	return false
}

// Unapplied implements northbound.Applied.
func (s state) Unapplied(o models.Object) []models.Unapplied { return s.router.Unapplied(o) }

// EachUnapplied implements northbound.Applied.
func (s state) EachUnapplied(root string, f func(models.Unapplied) bool) {
	s.router.EachUnapplied(root, f)
}

// Routes implements northbound.State.
func (s state) Routes(dst []models.RouteState, q northbound.RouteQuery) []models.RouteState {
	return s.router.Routes(dst, q.Instance, q.Family, q.Prefix, q.After, q.Limit)
}

// Groups implements northbound.State.
func (s state) Groups(instance string) []models.Object {
	keys := s.router.MulticastRoutes(instance)
	list := make([]models.Object, len(keys))
	for i, k := range keys {
		list[i] = k.Object()
	}
	return list
}

// Flows implements northbound.State.
func (s state) Flows(dst []models.FlowState, q northbound.FlowQuery) []models.FlowState {
	return s.router.Flows(dst, q.Instance, q.Family, q.Group, q.After, q.Limit)
}

// Watch implements northbound.State.
func (s state) Watch(fn func(northbound.StateChange)) (stop func()) {
	stopRouter := s.router.Watch(func(e control.Event) {
		fn(northbound.StateChange{Object: e.Object, Route: e.Route, Group: e.Group, Table: e.Table, Family: e.Family})
	})
	stopLogs := s.logs.Watch(func(name string) {
		fn(northbound.StateChange{Object: models.Object{Kind: models.LogServer, Name: name}})
	})
	stopGRIBI := s.programmer.watch(func() { fn(northbound.StateChange{Object: models.Object{Kind: models.GRIBI}}) })
	stopHealth := s.health.Watch(func() { fn(northbound.StateChange{Object: models.Object{Kind: models.System}}) })
	stopAccess := s.access.watch(func(o models.Object) { fn(northbound.StateChange{Object: o}) })
	return func() {
		stopRouter()
		stopLogs()
		stopHealth()
		stopGRIBI()
		stopAccess()
	}
}
