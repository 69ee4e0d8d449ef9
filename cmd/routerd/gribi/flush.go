package gribi

import (
	"context"

	spb "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/grpc/codes"
)

// Flush implements gRIBI's Flush (specification, section 4.3).
func (s *Server) Flush(_ context.Context, m *spb.FlushRequest) (*spb.FlushResponse, error) {
	if err := s.serving(); err != nil {
		return nil, err
	}
	defer s.opt.Router.Changed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayFlush(m); err != nil {
		return nil, err
	}
	which, err := s.flushed(m)
	if err != nil {
		return nil, err
	}
	result := spb.FlushResponse_OK
	if s.removeAll(which) {
		result = spb.FlushResponse_NON_ZERO_REFERENCE_REMAIN
	}
	s.flushes.Add(1)
	s.log.Info("gribi entries are flushed", "instance", m.GetName(), "remain", result == spb.FlushResponse_NON_ZERO_REFERENCE_REMAIN)
	return &spb.FlushResponse{Timestamp: s.opt.Now().UnixNano(), Result: result}, nil
}

func flushError(code codes.Code, reason spb.FlushResponseError_Reason, format string, args ...any) error {
	return detailed(code, &spb.FlushResponseError{Status: reason}, format, args...)
}

// mayFlush checks who asks (4.3.1.1).
func (s *Server) mayFlush(m *spb.FlushRequest) error {
	switch e := m.GetElection().(type) {
	case *spb.FlushRequest_Id:
		id := idOf(e.Id)
		switch {
		case s.roll.known && !s.roll.single:
			return flushError(codes.FailedPrecondition, spb.FlushResponseError_ELECTION_ID_IN_ALL_PRIMARY,
				"the clients are in ALL_PRIMARY: leave the election id out")
		case id.zero():
			return flushError(codes.InvalidArgument, spb.FlushResponseError_INVALID_ELECTION_ID, "the election id is 0: ids begin with 1")
		case id.less(s.roll.highest):
			return flushError(codes.FailedPrecondition, spb.FlushResponseError_NOT_PRIMARY,
				"election id %v is not the highest known, %v: send that, or override", id, s.roll.highest)
		}
	case *spb.FlushRequest_Override:
	case nil:
		if s.roll.known && s.roll.single {
			return flushError(codes.FailedPrecondition, spb.FlushResponseError_UNSPECIFIED_ELECTION_BEHAVIOR,
				"the clients are in SINGLE_PRIMARY: send an election id, or override")
		}
	}
	return nil
}

// flushed says which instances m is about.
func (s *Server) flushed(m *spb.FlushRequest) (which func(*instance) bool, err error) {
	switch n := m.GetNetworkInstance().(type) {
	case *spb.FlushRequest_All:
		return func(*instance) bool { return true }, nil
	case *spb.FlushRequest_Name:
		if n.Name == "" {
			return nil, flushError(codes.InvalidArgument, spb.FlushResponseError_INVALID_NETWORK_INSTANCE, "the name of the network instance is empty")
		}
		exists := false
		s.opt.Router.Program(nil, func(t Tables) { _, _, exists = t.Instance(n.Name) })
		if !exists {
			return nil, flushError(codes.InvalidArgument, spb.FlushResponseError_NO_SUCH_NETWORK_INSTANCE, "network instance %s does not exist", n.Name)
		}
		return func(in *instance) bool { return in.name == n.Name }, nil
	}
	return nil, flushError(codes.InvalidArgument, spb.FlushResponseError_UNSPECIFIED_NETWORK_INSTANCE, "network_instance is missing: name one, or say all")
}
