// Package opstate lays the control plane under the northbound: it gives the
// state that control.Router knows as plain data the shape of the model.
//
// Invariant: nothing is kept here; every answer is the router's of now.
//
// Source: models.Fill functions, northbound.State.
package opstate

import (
	"net/netip"

	"router/cmd/routerd/control"
	"router/cmd/routerd/northbound"
	"router/gen"
	"router/intf"
	"router/models"
)

// A State is a router's operational state. It is safe for concurrent use.
type State struct {
	router *control.Router
}

// New gives the state of r.
func New(r *control.Router) *State { return &State{router: r} }

var _ northbound.State = (*State)(nil)

// Names implements [northbound.State].
func (s *State) Names(kind models.Kind, parent string) []string {
	var names []string
	switch kind {
	case models.System:
	case models.Device:
		return s.router.Devices()
	case models.Unit:
		for _, k := range s.router.Units(parent) {
			names = append(names, k.ID)
		}
	case models.Instance:
		return s.router.Instances()
	case models.Static:
		for _, p := range s.router.StaticRoutes(parent) {
			names = append(names, p.String())
		}
	}
	return names
}

// Fill implements [northbound.State].
func (s *State) Fill(dst *gen.Device, o models.Object) bool {
	switch o.Kind {
	case models.System:
		models.FillSystem(dst, s.router.SystemState())
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
		p, err := netip.ParsePrefix(o.Prefix)
		if err != nil {
			return false
		}
		st, ok := s.router.StaticSpec(models.StaticKey{Instance: o.Instance, Prefix: p})
		if ok {
			models.FillStatic(dst, st)
		}
		return ok
	}
	return false
}

// Routes implements [northbound.State].
func (s *State) Routes(dst []models.RouteState, q northbound.RouteQuery) []models.RouteState {
	if q.Prefix.IsValid() && intf.FamilyOf(q.Prefix.Addr()) != q.Family {
		return dst
	}
	return s.router.Routes(dst, q.Instance, q.Family, q.Prefix, q.After, q.Limit)
}

// Watch implements [northbound.State].
func (s *State) Watch(fn func(northbound.StateChange)) (stop func()) {
	return s.router.Watch(func(e control.Event) { fn(northbound.StateChange{Object: e.Object, Route: e.Route}) })
}
