package gnsi

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnsi/authz"
	"github.com/openconfig/gnsi/pathz"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/models"
)

// A bed is the services over a guard with the operator ann, and a client.
type bed struct {
	t     *testing.T
	dir   string
	guard *access.Guard
	conn  *grpc.ClientConn
	stop  func()
}

func newBed(t *testing.T, dir string) *bed {
	t.Helper()
	schema, err := datastore.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, dir: dir, guard: access.New()}
	b.guard.SetUser("ann", &models.UserSpec{Name: "ann", Enabled: true, Roles: []string{"operator"}, Certificates: []string{"ann"}})
	s, err := New(b.guard, schema, dir)
	if err != nil {
		t.Fatal(err)
	}
	l := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	s.Register(server)
	go func() { _ = server.Serve(l) }()
	b.conn, err = grpc.NewClient("passthrough:bed", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	b.stop = func() {
		s.Stop()
		b.conn.Close()
		server.Stop()
	}
	t.Cleanup(b.stop)
	return b
}

func (b *bed) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	b.t.Cleanup(cancel)
	return ctx
}

func wantCode(t *testing.T, what string, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

// eventually waits until the condition holds: a stream's end takes a moment.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

const (
	timeOnly = `{"name":"p","allow_rules":[{"name":"time","request":{"paths":["/gnoi.system.System/Time"]}}]}`
	ping     = "gnoi.system.System/Ping"
)

func uploadAuthz(version, policy string) *authz.RotateAuthzRequest {
	return &authz.RotateAuthzRequest{RotateRequest: &authz.RotateAuthzRequest_UploadRequest{
		UploadRequest: &authz.UploadRequest{Version: version, CreatedOn: 7, Policy: policy}}}
}

var finalizeAuthz = &authz.RotateAuthzRequest{RotateRequest: &authz.RotateAuthzRequest_FinalizeRotation{FinalizeRotation: &authz.FinalizeRequest{}}}

func TestAuthz(t *testing.T) {
	b := newBed(t, t.TempDir())
	c := authz.NewAuthzClient(b.conn)
	may := func() bool { return b.guard.Rights("ann").RPC(ping, false) }
	_, err := c.Get(b.ctx(), &authz.GetRequest{})
	wantCode(t, "Get without a policy", err, codes.FailedPrecondition)

	// A rotation that is given up leaves nothing behind.
	ctx, cancel := context.WithCancel(b.ctx())
	s, err := c.Rotate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(uploadAuthz("1", timeOnly)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if may() {
		t.Error("the uploaded policy can't be tried")
	}
	second, err := c.Rotate(b.ctx())
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Recv()
	wantCode(t, "a second rotation", err, codes.Unavailable)
	cancel()
	eventually(t, "the policy before", may)

	rotate := func(messages ...*authz.RotateAuthzRequest) error {
		s, err := c.Rotate(b.ctx())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if err := s.Send(m); err != nil {
				break
			}
			if m.GetUploadRequest() != nil {
				if _, err := s.Recv(); err != nil {
					return err
				}
			}
		}
		_ = s.CloseSend()
		if _, err = s.Recv(); err != nil && err.Error() == "EOF" {
			return nil
		}
		return err
	}
	eventually(t, "its turn", func() bool { return status.Code(rotate(finalizeAuthz)) == codes.FailedPrecondition })
	wantCode(t, "no policy at all", rotate(uploadAuthz("1", "{}")), codes.InvalidArgument)
	wantCode(t, "a stream that just ends", rotate(uploadAuthz("1", timeOnly)), codes.Aborted)
	if !may() {
		t.Error("a policy that was not finalized is in force")
	}
	if err := rotate(uploadAuthz("1", timeOnly), finalizeAuthz); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "the same version", rotate(uploadAuthz("1", timeOnly)), codes.AlreadyExists)
	g, err := c.Get(b.ctx(), &authz.GetRequest{})
	if err != nil || g.GetVersion() != "1" || g.GetCreatedOn() != 7 || g.GetPolicy() != timeOnly {
		t.Errorf("%v, %v", g, err)
	}
	for rpc, want := range map[string]authz.ProbeResponse_Action{
		"/gnoi.system.System/Time": authz.ProbeResponse_ACTION_PERMIT, "/" + ping: authz.ProbeResponse_ACTION_DENY, "/gnmi.gNMI/Get": authz.ProbeResponse_ACTION_DENY,
	} {
		if p, err := c.Probe(b.ctx(), &authz.ProbeRequest{User: "ann", Rpc: rpc}); err != nil || p.GetAction() != want || p.GetVersion() != "1" {
			t.Errorf("%s: %v, %v", rpc, p, err)
		}
	}
	b.stop()
	if again := newBed(t, b.dir); again.guard.Rights("ann").RPC(ping, false) {
		t.Error("the policy did not survive a restart")
	}
}

func pathRule(user, path string, mode pathz.Mode, action pathz.Action) *pathz.AuthorizationRule {
	p, err := tree.Parse(path)
	if err != nil {
		panic(err)
	}
	return &pathz.AuthorizationRule{Id: user + path, Principal: &pathz.AuthorizationRule_User{User: user}, Path: &gnmi.Path{Elem: p}, Mode: mode, Action: action}
}

func TestPathz(t *testing.T) {
	b := newBed(t, t.TempDir())
	c := pathz.NewPathzClient(b.conn)
	system := tree.Path{{Name: "system"}}
	verdict := func() access.Verdict { return b.guard.Rights("ann").Path(access.Read, system) }
	upload := func(version string, rules ...*pathz.AuthorizationRule) *pathz.RotateRequest {
		return &pathz.RotateRequest{RotateRequest: &pathz.RotateRequest_UploadRequest{UploadRequest: &pathz.UploadRequest{
			Version: version, CreatedOn: 9, Policy: &pathz.AuthorizationPolicy{Rules: rules}}}}
	}
	probe := func(i pathz.PolicyInstance) (pathz.Action, error) {
		r, err := c.Probe(b.ctx(), &pathz.ProbeRequest{User: "ann", Path: &gnmi.Path{Elem: system}, Mode: pathz.Mode_MODE_READ, PolicyInstance: i})
		return r.GetAction(), err
	}
	const active, sandbox = pathz.PolicyInstance_POLICY_INSTANCE_ACTIVE, pathz.PolicyInstance_POLICY_INSTANCE_SANDBOX
	for _, i := range []pathz.PolicyInstance{active, sandbox} {
		_, err := probe(i)
		wantCode(t, i.String(), err, codes.FailedPrecondition)
	}
	s, err := c.Rotate(b.ctx())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(upload("1", pathRule("ann", "/interface", pathz.Mode_MODE_READ, pathz.Action_ACTION_PERMIT))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if a, err := probe(sandbox); err != nil || a != pathz.Action_ACTION_DENY {
		t.Errorf("the sandbox: %v, %v", a, err)
	}
	if verdict() != access.Permit {
		t.Error("the sandbox is in force")
	}
	if err := s.Send(&pathz.RotateRequest{RotateRequest: &pathz.RotateRequest_FinalizeRotation{FinalizeRotation: &pathz.FinalizeRequest{}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err == nil || err.Error() != "EOF" {
		t.Error(err)
	}
	if verdict() != access.Deny {
		t.Error("the finalized policy is not in force")
	}
	if a, err := probe(active); err != nil || a != pathz.Action_ACTION_DENY {
		t.Errorf("the active policy: %v, %v", a, err)
	}
	g, err := c.Get(b.ctx(), &pathz.GetRequest{PolicyInstance: active})
	if err != nil || g.GetVersion() != "1" || g.GetCreatedOn() != 9 || len(g.GetPolicy().GetRules()) != 1 {
		t.Errorf("%v, %v", g, err)
	}
	for what, rule := range map[string]*pathz.AuthorizationRule{
		"an unknown path": pathRule("ann", "/nowhere", pathz.Mode_MODE_READ, pathz.Action_ACTION_PERMIT),
		"any depth":       pathRule("ann", "/.../config", pathz.Mode_MODE_READ, pathz.Action_ACTION_PERMIT),
		"no mode":         pathRule("ann", "/system", 0, pathz.Action_ACTION_PERMIT),
		"no action":       pathRule("ann", "/system", pathz.Mode_MODE_READ, 0),
		"no user":         pathRule("", "/system", pathz.Mode_MODE_READ, pathz.Action_ACTION_PERMIT),
		"an unknown group": {Principal: &pathz.AuthorizationRule_Group{Group: "x"}, Path: &gnmi.Path{}, Mode: pathz.Mode_MODE_READ,
			Action: pathz.Action_ACTION_PERMIT},
	} {
		s, err := c.Rotate(b.ctx())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Send(upload("2", rule))
		_, err = s.Recv()
		wantCode(t, what, err, codes.InvalidArgument)
	}
	b.stop()
	again := newBed(t, b.dir)
	if again.guard.Rights("ann").Path(access.Read, system) != access.Deny {
		t.Error("the policy did not survive a restart")
	}
	if err := os.WriteFile(filepath.Join(b.dir, "gnsi-pathz.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	schema, err := datastore.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(access.New(), schema, b.dir); err == nil {
		t.Error("a damaged policy was passed over")
	}
}
