package gnsi

import (
	"context"
	"strings"

	"github.com/openconfig/gnsi/authz"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/access"
)

// An authzService is gnsi.authz.v1.Authz. An uploaded policy is in force at once,
// so that the client can try it, and the one before again unless it is finalized.
type authzService struct {
	authz.UnimplementedAuthzServer
	guard *access.Guard
	store store
	stop  <-chan struct{}
}

func (s *authzService) open() error {
	p, err := s.store.load()
	if err != nil || p == nil {
		return err
	}
	policy, err := access.ParseRPCPolicy(string(p.Policy))
	if err != nil {
		return err
	}
	s.guard.SetRPCPolicy(policy)
	return nil
}

// inForce puts the active policy in force again.
func (s *authzService) inForce() {
	var policy *access.RPCPolicy
	if p := s.store.current(); p != nil {
		// It was parsed when it was taken.
		policy, _ = access.ParseRPCPolicy(string(p.Policy))
	}
	s.guard.SetRPCPolicy(policy)
}

// Rotate replaces the policy (gnsi.authz.v1.Authz.Rotate).
func (s *authzService) Rotate(stream authz.Authz_RotateServer) error {
	tried, kept := false, false
	defer func() {
		if tried && !kept {
			s.inForce()
		}
	}()
	recv := func() (step, error) {
		m, err := stream.Recv()
		if err != nil {
			return step{}, err
		}
		if m.GetAuthzProfileId() != "" {
			return step{}, failf(codes.InvalidArgument, "there is one policy for all services: leave authz_profile_id out")
		}
		st := step{force: m.GetForceOverwrite(), finalize: m.GetFinalizeRotation() != nil}
		if u := m.GetUploadRequest(); u != nil {
			st.upload = &stored{Version: u.GetVersion(), CreatedOn: u.GetCreatedOn(), Policy: []byte(u.GetPolicy())}
		}
		return st, nil
	}
	try := func(p *stored) error {
		policy, err := access.ParseRPCPolicy(string(p.Policy))
		if err != nil {
			return failf(codes.InvalidArgument, "%v", err)
		}
		tried = true
		s.guard.SetRPCPolicy(policy)
		return stream.Send(&authz.RotateAuthzResponse{RotateResponse: &authz.RotateAuthzResponse_UploadResponse{UploadResponse: &authz.UploadResponse{}}})
	}
	return s.store.rotate(s.stop, stream.Context().Done(), recv, try, func() { kept = true })
}

// Probe says whether a user may call an RPC, by roles and policy together.
func (s *authzService) Probe(_ context.Context, req *authz.ProbeRequest) (*authz.ProbeResponse, error) {
	if req.GetUser() == "" || req.GetRpc() == "" {
		return nil, failf(codes.InvalidArgument, "a probe needs a user and an rpc")
	}
	resp := &authz.ProbeResponse{Action: authz.ProbeResponse_ACTION_DENY}
	method := strings.TrimPrefix(req.GetRpc(), "/")
	if s.guard.Rights(req.GetUser()).RPC(method, strings.HasPrefix(method, "gnmi.gNMI/")) {
		resp.Action = authz.ProbeResponse_ACTION_PERMIT
	}
	if p := s.store.current(); p != nil {
		resp.Version = p.Version
	}
	return resp, nil
}

// Get gives the active policy.
func (s *authzService) Get(context.Context, *authz.GetRequest) (*authz.GetResponse, error) {
	p := s.store.current()
	if p == nil {
		return nil, failf(codes.FailedPrecondition, "no policy is installed: roles alone decide")
	}
	return &authz.GetResponse{Version: p.Version, CreatedOn: p.CreatedOn, Policy: string(p.Policy)}, nil
}
