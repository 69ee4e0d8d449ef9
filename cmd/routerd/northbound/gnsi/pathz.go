package gnsi

import (
	"context"
	"sync"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnsi/pathz"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore/tree"
)

// A pathzService is gnsi.pathz.v1.Pathz. An uploaded policy is in the sandbox,
// where it can be probed, until it is finalized.
type pathzService struct {
	pathz.UnimplementedPathzServer
	guard  *access.Guard
	schema *tree.Schema
	store  store
	stop   <-chan struct{}

	mu      sync.Mutex
	policy  *access.PathPolicy // the active one; nil for none
	sandbox *stored            // nil: no rotation has one
	trial   *access.PathPolicy // of the sandbox
}

func (s *pathzService) open() error {
	p, err := s.store.load()
	if err != nil || p == nil {
		return err
	}
	var m pathz.AuthorizationPolicy
	if err := proto.Unmarshal(p.Policy, &m); err != nil {
		return err
	}
	if s.policy, err = s.parse(&m); err != nil {
		return err
	}
	s.guard.SetPathPolicy(s.policy)
	return nil
}

// parse reads a policy and refuses what it could not do as it says.
func (s *pathzService) parse(m *pathz.AuthorizationPolicy) (*access.PathPolicy, error) {
	p := &access.PathPolicy{Groups: map[string][]string{}}
	for _, g := range m.GetGroups() {
		if _, twice := p.Groups[g.GetName()]; twice || g.GetName() == "" {
			return nil, failf(codes.InvalidArgument, "group %q has no name, or that of another", g.GetName())
		}
		p.Groups[g.GetName()] = []string{}
		for _, u := range g.GetUsers() {
			p.Groups[g.GetName()] = append(p.Groups[g.GetName()], u.GetName())
		}
	}
	for _, r := range m.GetRules() {
		rule := access.PathRule{ID: r.GetId(), User: r.GetUser(), Group: r.GetGroup()}
		if (rule.User == "") == (rule.Group == "") {
			return nil, failf(codes.InvalidArgument, "rule %q is about a user or a group: name one", rule.ID)
		}
		if _, known := p.Groups[rule.Group]; rule.Group != "" && !known {
			return nil, failf(codes.InvalidArgument, "rule %q is about group %q, which the policy does not have", rule.ID, rule.Group)
		}
		switch r.GetMode() {
		case pathz.Mode_MODE_READ:
		case pathz.Mode_MODE_WRITE:
			rule.Write = true
		case pathz.Mode_MODE_UNSPECIFIED:
			return nil, failf(codes.InvalidArgument, "rule %q has no mode: set read or write", rule.ID)
		}
		switch r.GetAction() {
		case pathz.Action_ACTION_PERMIT:
			rule.Permit = true
		case pathz.Action_ACTION_DENY:
		case pathz.Action_ACTION_UNSPECIFIED:
			return nil, failf(codes.InvalidArgument, "rule %q has no action: set permit or deny", rule.ID)
		}
		var err error
		if rule.Path, err = s.path(r.GetPath()); err != nil {
			return nil, failf(codes.InvalidArgument, "rule %q: %v", rule.ID, err)
		}
		p.Rules = append(p.Rules, rule)
	}
	return p, nil
}

// path checks a path of the native tree.
func (s *pathzService) path(p *gnmi.Path) (tree.Path, error) {
	if o := p.GetOrigin(); o != "" && o != "routerd" {
		return nil, failf(codes.InvalidArgument, "paths of origin %q are not told apart: write those of the native tree", o)
	}
	for _, e := range p.GetElem() {
		if e.GetName() == "..." {
			return nil, failf(codes.InvalidArgument, "path %s: write names or *, not ...", tree.Path(p.GetElem()))
		}
	}
	if err := s.schema.Check(p.GetElem()); err != nil {
		return nil, err
	}
	return s.schema.Canonical(p.GetElem()), nil
}

// Rotate replaces the policy (gnsi.pathz.v1.Pathz.Rotate).
func (s *pathzService) Rotate(stream pathz.Pathz_RotateServer) error {
	set := func(p *stored, trial *access.PathPolicy) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sandbox, s.trial = p, trial
	}
	began := false
	defer func() {
		if began {
			set(nil, nil)
		}
	}()
	recv := func() (step, error) {
		m, err := stream.Recv()
		if err != nil {
			return step{}, err
		}
		st := step{force: m.GetForceOverwrite(), finalize: m.GetFinalizeRotation() != nil}
		if u := m.GetUploadRequest(); u != nil {
			b, err := proto.Marshal(u.GetPolicy())
			if err != nil {
				return step{}, failf(codes.InvalidArgument, "policy: %v", err)
			}
			st.upload = &stored{Version: u.GetVersion(), CreatedOn: u.GetCreatedOn(), Policy: b}
		}
		return st, nil
	}
	try := func(p *stored) error {
		var m pathz.AuthorizationPolicy
		if err := proto.Unmarshal(p.Policy, &m); err != nil {
			return failf(codes.InvalidArgument, "policy: %v", err)
		}
		trial, err := s.parse(&m)
		if err != nil {
			return err
		}
		began = true
		set(p, trial)
		return stream.Send(&pathz.RotateResponse{Response: &pathz.RotateResponse_Upload{Upload: &pathz.UploadResponse{}}})
	}
	return s.store.rotate(s.stop, stream.Context().Done(), recv, try, func() {
		s.mu.Lock()
		s.policy = s.trial
		s.mu.Unlock()
		s.guard.SetPathPolicy(s.policy)
	})
}

// Probe says what a policy answers for a user and a node.
func (s *pathzService) Probe(_ context.Context, req *pathz.ProbeRequest) (*pathz.ProbeResponse, error) {
	at, policy, err := s.instance(req.GetPolicyInstance())
	if err != nil {
		return nil, err
	}
	if req.GetUser() == "" {
		return nil, failf(codes.InvalidArgument, "a probe needs a user")
	}
	p, err := s.path(req.GetPath())
	if err != nil {
		return nil, failf(codes.InvalidArgument, "%v", err)
	}
	op := access.Read
	switch req.GetMode() {
	case pathz.Mode_MODE_READ:
	case pathz.Mode_MODE_WRITE:
		op = access.Write
	case pathz.Mode_MODE_UNSPECIFIED:
		return nil, failf(codes.InvalidArgument, "a probe needs a mode: read or write")
	}
	resp := &pathz.ProbeResponse{Version: at.Version, Action: pathz.Action_ACTION_DENY}
	if policy.Path(req.GetUser(), op, p) == access.Permit {
		resp.Action = pathz.Action_ACTION_PERMIT
	}
	return resp, nil
}

// Get gives a policy.
func (s *pathzService) Get(_ context.Context, req *pathz.GetRequest) (*pathz.GetResponse, error) {
	at, _, err := s.instance(req.GetPolicyInstance())
	if err != nil {
		return nil, err
	}
	resp := &pathz.GetResponse{Version: at.Version, CreatedOn: at.CreatedOn, Policy: &pathz.AuthorizationPolicy{}}
	if err := proto.Unmarshal(at.Policy, resp.GetPolicy()); err != nil {
		return nil, failf(codes.Internal, "policy: %v", err)
	}
	return resp, nil
}

func (s *pathzService) instance(i pathz.PolicyInstance) (*stored, *access.PathPolicy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch i {
	case pathz.PolicyInstance_POLICY_INSTANCE_ACTIVE:
		if at := s.store.current(); at != nil && s.policy != nil {
			return at, s.policy, nil
		}
		return nil, nil, failf(codes.FailedPrecondition, "no policy is installed: roles alone decide")
	case pathz.PolicyInstance_POLICY_INSTANCE_SANDBOX:
		if s.sandbox != nil {
			return s.sandbox, s.trial, nil
		}
		return nil, nil, failf(codes.FailedPrecondition, "no rotation is under way: the sandbox is empty")
	case pathz.PolicyInstance_POLICY_INSTANCE_UNSPECIFIED:
	}
	return nil, nil, failf(codes.InvalidArgument, "name the policy: active or sandbox")
}
