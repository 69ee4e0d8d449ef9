package gribi

import (
	"cmp"
	"slices"
	"strings"

	"router/intf"
	"router/models"
)

// State is the state of the service. While entries are being changed it is that
// of the last call: whoever changes them tells when they are done, and a reader of
// state never waits for a flush.
func (s *Server) State() models.GRIBIState {
	if s.mu.TryLock() {
		st := s.state()
		s.mu.Unlock()
		s.shownMu.Lock()
		s.shown = st
		s.shownMu.Unlock()
	}
	s.shownMu.Lock()
	st := s.shown
	s.shownMu.Unlock()
	st.Operations, st.Failed, st.Flushes = s.operations.Load(), s.failed.Load(), s.flushes.Load()
	s.opt.Router.Program(nil, func(t Tables) { st.Applied = t.Settings() })
	return st
}

// state is what s.mu guards.
func (s *Server) state() models.GRIBIState {
	st := models.GRIBIState{
		Known: s.roll.known, Single: s.roll.single, ElectionHigh: s.roll.highest.high, ElectionLow: s.roll.highest.low,
	}
	st.Stale = uint32(s.table.stale)
	if until, ok := s.staleUntil(); ok {
		st.StaleUntil = until
	}
	st.KeepReason = s.table.keep.reason()
	for _, in := range s.table.instances {
		st.Instances = append(st.Instances, models.GRIBIInstance{
			Name: in.name, IPv4: uint32(len(in.routes[intf.Inet])), IPv6: uint32(len(in.routes[intf.Inet6])),
			Groups: uint32(len(in.groups)), NextHops: uint32(len(in.nexthops)),
		})
	}
	for _, c := range s.clients {
		st.Clients = append(st.Clients, models.GRIBIClient{
			ID: c.id, Address: c.address, User: c.user, Connected: c.connected,
			Negotiated: c.negotiated, Single: c.params.single, Preserve: c.params.preserve, FIBAck: c.params.fib,
			Primary: c.negotiated && (!c.params.single || s.roll.primary == c), ElectionHigh: c.election.high, ElectionLow: c.election.low,
			Operations: c.operations, Failed: c.failed,
		})
	}
	slices.SortFunc(st.Instances, func(a, b models.GRIBIInstance) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(st.Clients, func(a, b models.GRIBIClient) int { return cmp.Compare(a.ID, b.ID) })
	return st
}
