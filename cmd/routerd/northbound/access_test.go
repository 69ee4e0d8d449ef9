package northbound

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/access"
	"router/cmd/routerd/audit"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// A guardedBed is a bed with users: root (admin), ops (operator), eve (viewer)
// and net, who may read all but /user, and write ge0's config alone. Each has its
// name as its password.
type guardedBed struct {
	*bed
	guard *access.Guard
	audit *audit.Log
}

// anybody is trusted.
func anybody(netip.Addr) bool { return true }

func guardedWith(t testing.TB, edit func(*Options)) *guardedBed {
	t.Helper()
	g := &guardedBed{guard: access.New()}
	var err error
	if g.audit, err = audit.Open(audit.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.audit.Close() })
	g.bed = newBed(t, func(o *Options) {
		o.Guard, o.Audit = g.guard, g.audit
		if edit != nil {
			edit(o)
		}
	})
	return g
}

func newGuardedBed(t testing.TB) *guardedBed {
	t.Helper()
	g := guardedWith(t, nil)
	rule := func(path string, read, write, permit bool) models.AccessRule {
		parsed, err := tree.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		return models.AccessRule{PathText: path, Path: parsed, Read: read, Write: write, Permit: permit}
	}
	g.guard.SetRole("net", &models.RoleSpec{Name: "net", Rules: []models.AccessRule{
		rule("/user", true, true, false), rule("/interface[name=ge0]/config", false, true, true), rule("/", true, false, true),
		{RPC: "gnmi.gNMI/*", Permit: true},
	}})
	for user, role := range map[string]string{"root": "admin", "ops": "operator", "eve": "viewer", "net": "net"} {
		g.user(user, role)
	}
	return g
}

func (g *guardedBed) user(name string, roles ...string) {
	g.t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(name), bcrypt.MinCost)
	if err != nil {
		g.t.Fatal(err)
	}
	g.guard.SetUser(name, &models.UserSpec{Name: name, Enabled: true, Roles: roles, PasswordHash: models.Secret(h)})
}

func (g *guardedBed) as(user string) context.Context { return g.with(user, user) }

func (g *guardedBed) with(user, password string) context.Context {
	return metadata.AppendToOutgoingContext(g.ctx(), "username", user, "password", password)
}

const annsHash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

func (g *guardedBed) furnish() {
	g.t.Helper()
	req := &gnmi.SetRequest{Update: []*gnmi.Update{
		{Path: p(g.t, "/interface[name=ge0]"), Val: ietf(ge0)},
		{Path: p(g.t, "/interface[name=ge1]/config/description"), Val: ietf(`"two"`)},
		{Path: p(g.t, "/user[name=ann]/config"), Val: ietf(`{"role":["viewer"],"password-hash":"` + annsHash + `"}`)},
	}}
	if _, err := g.client.Set(g.as("root"), req); err != nil {
		g.t.Fatal(err)
	}
}

func TestCredentials(t *testing.T) {
	g := newGuardedBed(t)
	get := func(ctx context.Context) error {
		_, err := g.client.Get(ctx, &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/system/state/datastore")}, Encoding: gnmi.Encoding_JSON_IETF})
		return err
	}
	for name, ctx := range map[string]context.Context{
		"4/none":              g.ctx(),
		"4/wrong password":    g.with("root", "wrong"),
		"4/unknown user":      g.with("bob", "bob"),
		"4/a name alone":      metadata.AppendToOutgoingContext(g.ctx(), "username", "root"),
		"4/a password alone":  metadata.AppendToOutgoingContext(g.ctx(), "password", "root"),
		"4/two users":         metadata.AppendToOutgoingContext(g.ctx(), "username", "bob", "username", "root", "password", "root"),
		"4/another's":         g.with("root", "eve"),
		"4/no basic password": metadata.AppendToOutgoingContext(g.ctx(), "authorization", "Basic cm9vdDpyb290"),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, get(ctx), codes.Unauthenticated) })
	}
	t.Run("4/right", func(t *testing.T) {
		if err := get(g.as("eve")); err != nil {
			t.Error(err)
		}
	})
	t.Run("4/a stream", func(t *testing.T) {
		s, err := g.client.Subscribe(g.with("eve", "wrong"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		wantCode(t, err, codes.Unauthenticated)
	})
	t.Run("4/too many wrong passwords", func(t *testing.T) {
		var err error
		for range 10 {
			err = get(g.with("ops", "guess"))
		}
		wantCode(t, err, codes.ResourceExhausted, "wait")
	})
	t.Run("4/oversized metadata", func(t *testing.T) {
		err := get(metadata.AppendToOutgoingContext(g.ctx(), "username", strings.Repeat("x", 64<<10)))
		if err == nil {
			t.Error("64 KiB of metadata were taken")
		}
		if err := get(g.as("eve")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
	t.Run("the record of a commit has the user", func(t *testing.T) {
		if _, err := g.client.Set(g.as("root"), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: str("r1")}}}); err != nil {
			t.Fatal(err)
		}
		if got := g.store.Last(); got.User != "root" || got.Source != "gnmi-tls" {
			t.Errorf("commit by %q through %q", got.User, got.Source)
		}
	})
}

func TestWithoutUsers(t *testing.T) {
	get := func(g *guardedBed) error {
		_, err := g.client.Get(g.ctx(), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/system/state/datastore")}})
		return err
	}
	wantCode(t, get(guardedWith(t, nil)), codes.Unauthenticated, "no user is declared")
	open := guardedWith(t, func(o *Options) { o.Trusted = anybody })
	if err := get(open); err != nil {
		t.Error(err)
	}
	open.user("ann", "admin")
	wantCode(t, get(open), codes.Unauthenticated)
}

func TestWriteRights(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	update := func(path, value string) *gnmi.SetRequest {
		return &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, path), Val: ietf(value)}}}
	}
	replace := func(path, value string) *gnmi.SetRequest {
		return &gnmi.SetRequest{Replace: []*gnmi.Update{{Path: p(t, path), Val: ietf(value)}}}
	}
	remove := func(path string) *gnmi.SetRequest { return &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, path)}} }
	const mine = "/interface[name=ge0]/config/description"
	for _, c := range []struct {
		name, user string
		req        *gnmi.SetRequest
		denied     string // path in the error; "" for permitted
	}{
		{"what is permitted", "net", update(mine, `"x"`), ""},
		{"by its list", "net", update("/interface", `[{"name":"ge0","config":{"description":"y"}}]`), ""},
		{"from the root", "net", update("/", `{"routerd:interface":[{"name":"ge0","config":{"description":"z"}}]}`), ""},
		{"a replace of what is permitted", "net", replace("/interface[name=ge0]/config", `{"description":"z"}`), ""},
		{"another entry", "net", update("/interface[name=ge1]/config/description", `"x"`), "/interface[name=ge1]"},
		{"another entry in the body", "net", update("/interface", `[{"name":"ge0","config":{"description":"y"}},{"name":"ge1","config":{"description":"y"}}]`), "/interface[name=ge1]"},
		{"another node in the body", "net", update("/interface[name=ge0]", `{"config":{"description":"y"},"unit":[{"id":"7"}]}`), "/interface[name=ge0]/unit[id=7]"},
		{"a replace of the parent", "net", replace("/interface[name=ge0]", `{"config":{"description":"y"}}`), "/interface[name=ge0]"},
		{"a replace of the root", "net", replace("/", `{}`), "/"},
		{"a delete of the parent", "net", remove("/interface[name=ge0]"), "/interface[name=ge0]"},
		{"a delete by a wildcard", "net", remove("/interface[name=*]/config/description"), "/interface[name=*]"},
		{"a delete by any depth", "net", remove("/.../description"), "description"},
		{"a delete of all", "net", remove("/*"), "/*"},
		{"module names", "net", update("/routerd:interface[name=ge1]/routerd:config/description", `"x"`), "ge1"},
		{"one of many", "net", &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, mine), Val: ietf(`"a"`)}, {Path: p(t, "/system/config/hostname"), Val: ietf(`"a"`)}}}, "/system"},
		{"by the prefix", "net", &gnmi.SetRequest{Prefix: p(t, "/interface[name=ge1]"), Update: []*gnmi.Update{{Path: p(t, "/config/description"), Val: ietf(`"a"`)}}}, "ge1"},
		{"by an origin", "net", &gnmi.SetRequest{Prefix: &gnmi.Path{Origin: "routerd"}, Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: ietf(`"a"`)}}}, "/system"},
		{"oneself", "net", update("/user[name=net]/config/role", `["admin"]`), "/user"},
		{"an operator", "ops", update(mine, `"x"`), "roles"},
		{"a viewer", "eve", remove(mine), "roles"},
		{"an administrator", "root", replace("/interface[name=ge1]/config", `{"description":"q"}`), ""},
	} {
		t.Run("4/"+c.name, func(t *testing.T) {
			before := g.store.Last().Number
			_, err := g.client.Set(g.as(c.user), c.req)
			if c.denied == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantCode(t, err, codes.PermissionDenied, c.denied)
			if g.store.Last().Number != before {
				t.Error("there was a commit")
			}
		})
	}
}

func TestReadRights(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	get := func(user, path string) (string, error) {
		r, err := g.client.Get(g.as(user), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, path)}, Encoding: gnmi.Encoding_JSON_IETF, Type: gnmi.GetRequest_CONFIG})
		return fmt.Sprint(values(r.GetNotification()...)), err
	}
	for _, path := range []string{"/user", "/user[name=ann]", "/user[name=ann]/config/role", "/user[name=bob]", "/routerd:user[name=ann]"} {
		t.Run("4/"+path, func(t *testing.T) {
			_, err := get("net", path)
			if isPattern(g.server.schema, p(t, path).GetElem()) {
				if err != nil {
					t.Error(err) // a pattern leaves out what is denied
				}
				return
			}
			wantCode(t, err, codes.PermissionDenied, "/user")
		})
	}
	for _, path := range []string{"/", "/*", "/...", "/*[name=*]/config", "/.../role", "/user[name=*]", "/*[name=ann]/config"} {
		t.Run("4/pattern "+path, func(t *testing.T) {
			text, err := get("net", path)
			if err != nil && path != "/*[name=ann]/config" {
				t.Fatal(err)
			}
			if strings.Contains(text, "ann") || strings.Contains(text, "viewer") {
				t.Errorf("%s", text)
			}
		})
	}
	t.Run("4/what is beside it is there", func(t *testing.T) {
		text, err := get("net", "/")
		if err != nil || !strings.Contains(text, "ge1") {
			t.Errorf("%s, %v", text, err)
		}
	})
	t.Run("4/Subscribe", func(t *testing.T) {
		for path, want := range map[string]codes.Code{"/user[name=ann]/config": codes.PermissionDenied, "/": codes.OK} {
			s, err := g.client.Subscribe(g.as("net"))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: &gnmi.SubscriptionList{
				Mode: gnmi.SubscriptionList_ONCE, Encoding: gnmi.Encoding_PROTO, Subscription: []*gnmi.Subscription{{Path: p(t, path)}}}}}); err != nil {
				t.Fatal(err)
			}
			for {
				r, err := s.Recv()
				if err != nil {
					if want != codes.OK {
						wantCode(t, err, want)
					}
					break
				}
				for _, u := range r.GetUpdate().GetUpdate() {
					if u.GetPath().GetElem()[0].GetName() == "user" {
						t.Errorf("%v", u)
					}
				}
			}
		}
	})
}

func TestSecretsAreHidden(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	hash := func() string {
		var got string
		g.store.View(func(dev *gen.Device, _ datastore.Commit) { got = *dev.User["ann"].Config.PasswordHash })
		return got
	}
	for _, encoding := range []gnmi.Encoding{gnmi.Encoding_JSON, gnmi.Encoding_JSON_IETF, gnmi.Encoding_PROTO} {
		r, err := g.client.Get(g.as("root"), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/user[name=ann]"), p(t, "/user[name=ann]/config/password-hash"), p(t, "/")}, Encoding: encoding})
		if err != nil {
			t.Fatal(err)
		}
		if text := r.String(); strings.Contains(text, annsHash) || !strings.Contains(text, "hidden") {
			t.Errorf("%v: %s", encoding, text)
		}
	}
	t.Run("what was read can be written back", func(t *testing.T) {
		r, err := g.client.Get(g.as("root"), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/")}, Encoding: gnmi.Encoding_JSON_IETF, Type: gnmi.GetRequest_CONFIG})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.client.Set(g.as("root"), &gnmi.SetRequest{Replace: []*gnmi.Update{{Path: p(t, "/"), Val: r.GetNotification()[0].GetUpdate()[0].GetVal()}}}); err != nil {
			t.Fatal(err)
		}
		if hash() != annsHash {
			t.Errorf("the hash is %q", hash())
		}
	})
	for name, u := range map[string]*gnmi.Update{
		"of the leaf":              {Path: p(t, "/user[name=ann]/config/password-hash"), Val: str(tree.Hidden)},
		"of the leaf in JSON":      {Path: p(t, "/user[name=ann]/config/password-hash"), Val: ietf(`"<hidden>"`)},
		"of the list":              {Path: p(t, "/user"), Val: ietf(`[{"name":"ann","config":{"password-hash":"<hidden>","role":["viewer"]}}]`)},
		"with the module's name":   {Path: p(t, "/"), Val: ietf(`{"routerd:user":[{"name":"ann","config":{"password-hash":"\u003chidden\u003e"}}]}`)},
		"beside a real hash given": {Path: p(t, "/user"), Val: ietf(`[{"name":"ann","config":{"password-hash":"<hidden>"}},{"name":"bob","config":{"role":["viewer"],"password-hash":"` + annsHash + `"}}]`)},
	} {
		t.Run("written back "+name, func(t *testing.T) {
			if _, err := g.client.Set(g.as("root"), &gnmi.SetRequest{Update: []*gnmi.Update{u}}); err != nil {
				t.Fatal(err)
			}
			if hash() != annsHash {
				t.Errorf("the hash is %q", hash())
			}
		})
	}
	t.Run("for a user without one", func(t *testing.T) {
		_, err := g.client.Set(g.as("root"), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/user[name=new]/config"), Val: ietf(`{"role":["viewer"],"password-hash":"<hidden>"}`)}}})
		wantCode(t, err, codes.InvalidArgument, "hash-password")
	})
	t.Run("a password in clear is in no answer", func(t *testing.T) {
		_, err := g.client.Set(g.as("root"), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/user[name=ann]/config/password-hash"), Val: str("hunter2")}}})
		wantCode(t, err, codes.InvalidArgument)
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(fmt.Sprint(status.Convert(err).Details()), "hunter2") {
			t.Error(err)
		}
	})
}

// Rights that are taken away end streams at once, whatever they wait for.
func TestStreamsEndWithTheirRights(t *testing.T) {
	for name, list := range map[string]*gnmi.SubscriptionList{
		"4/STREAM": {Mode: gnmi.SubscriptionList_STREAM, Subscription: []*gnmi.Subscription{{Path: p(t, "/system/config"), Mode: gnmi.SubscriptionMode_ON_CHANGE}}},
		"4/POLL":   {Mode: gnmi.SubscriptionList_POLL, Subscription: []*gnmi.Subscription{{Path: p(t, "/system/config")}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuardedBed(t)
			open := func(user string) gnmi.GNMI_SubscribeClient {
				s, err := g.client.Subscribe(g.as(user))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
					t.Fatal(err)
				}
				for {
					r, err := s.Recv()
					if err != nil {
						t.Fatal(err)
					}
					if r.GetSyncResponse() {
						return s
					}
				}
			}
			eve, ops := open("eve"), open("ops")
			g.guard.SetUser("eve", nil)
			_, err := eve.Recv()
			wantCode(t, err, codes.PermissionDenied, "rights have changed")
			if list.GetMode() == gnmi.SubscriptionList_POLL {
				if err := ops.Send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Poll{Poll: &gnmi.Poll{}}}); err != nil {
					t.Fatal(err)
				}
			} else if _, err := g.client.Set(g.as("root"), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: str("r2")}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := ops.Recv(); err != nil {
				t.Errorf("another's stream: %v", err)
			}
		})
	}
}

func TestOtherServices(t *testing.T) {
	g := newGuardedBed(t)
	h := healthpb.NewHealthClient(g.conn)
	for _, service := range []string{"", "gnmi.gNMI"} {
		r, err := h.Check(g.ctx(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, r, err)
		}
	}
	for user, want := range map[string]codes.Code{"": codes.Unauthenticated, "eve": codes.OK} {
		ctx := g.ctx()
		if user != "" {
			ctx = g.as(user)
		}
		s, err := reflectpb.NewServerReflectionClient(g.conn).ServerReflectionInfo(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Send(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}})
		if _, err := s.Recv(); status.Code(err) != want {
			t.Errorf("reflection as %q: %v", user, err)
		}
	}
	g.guard.SetRole("mute", &models.RoleSpec{Name: "mute", Rules: []models.AccessRule{{RPC: "gnmi.gNMI/Get"}, {PathText: "/", Read: true, Permit: true}}})
	g.user("mim", "mute")
	_, err := g.client.Get(g.as("mim"), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/system")}})
	wantCode(t, err, codes.PermissionDenied, "gnmi.gNMI/Get")
}

func TestAuditLog(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	_, _ = g.client.Get(g.with("eve", "wrong"), &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/interface[name=ge0]")}})
	_, _ = g.client.Set(g.as("eve"), &gnmi.SetRequest{Delete: []*gnmi.Path{p(t, "/interface[name=ge0]")}})
	ctx, cancel := context.WithCancel(g.as("ops"))
	s, err := g.client.Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: &gnmi.SubscriptionList{
		Subscription: []*gnmi.Subscription{{Path: p(t, "/system/config"), Mode: gnmi.SubscriptionMode_ON_CHANGE}}}}})
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	find := func(number uint64, want models.AuditRecord) {
		t.Helper()
		r, ok := g.audit.Record(number)
		if !ok || r.User != want.User || r.Auth != want.Auth || r.Method != want.Method || r.Status != want.Status || fmt.Sprint(r.Paths) != fmt.Sprint(want.Paths) || r.Source == "" || r.Time.IsZero() {
			t.Errorf("record %d is %+v, want %+v", number, r, want)
		}
	}
	find(1, models.AuditRecord{User: "root", Auth: models.AuthPassword, Method: "gnmi.gNMI/Set", Status: "OK",
		Paths: []string{"update /interface[name=ge0]", "update /interface[name=ge1]/config/description", "update /user[name=ann]/config"}})
	find(2, models.AuditRecord{User: "eve", Method: "gnmi.gNMI/Get", Status: "Unauthenticated", Paths: []string{"/interface[name=ge0]"}})
	find(3, models.AuditRecord{User: "eve", Auth: models.AuthPassword, Method: "gnmi.gNMI/Set", Status: "PermissionDenied", Paths: []string{"delete /interface[name=ge0]"}})
	find(4, models.AuditRecord{User: "ops", Auth: models.AuthPassword, Method: "gnmi.gNMI/Subscribe", Status: "open", Paths: []string{"/system/config"}})
	cancel()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if r, _ := g.audit.Record(4); r.Status == "Canceled" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the end of a stream is not in the log")
		}
	}
}

func TestRateLimit(t *testing.T) {
	g := guardedWith(t, func(o *Options) { o.Trusted, o.Limits = anybody, Limits{Rate: 5, Connections: 2} })
	addr := g.listen(nil)
	dial := func() gnmi.GNMIClient {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return gnmi.NewGNMIClient(conn)
	}
	one, two, three := dial(), dial(), dial()
	capable := func(c gnmi.GNMIClient) error {
		ctx, cancel := context.WithTimeout(g.ctx(), 2*time.Second)
		defer cancel()
		_, err := c.Capabilities(ctx, &gnmi.CapabilityRequest{})
		return err
	}
	for _, c := range []gnmi.GNMIClient{one, two} {
		if err := capable(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := capable(three); status.Code(err) != codes.Unavailable {
		t.Errorf("a third connection: %v", err)
	}
	var err error
	for range 20 {
		if err = capable(one); err != nil {
			break
		}
	}
	wantCode(t, err, codes.ResourceExhausted, "rate-limit")
	if g.server.Limited() < 2 {
		t.Errorf("%d are counted", g.server.Limited())
	}
}

// The OpenConfig view is no way around rights.
func TestOpenConfigKeepsToRights(t *testing.T) {
	g := newGuardedBed(t)
	g.furnish()
	oc := func(text string) *gnmi.Path {
		path := p(t, text)
		path.Origin = "openconfig"
		return path
	}
	set := func(user, name string) error {
		_, err := g.client.Set(g.as(user), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: oc("/interfaces/interface[name=" + name + "]/config/description"), Val: ietf(`"oc"`)}}})
		return err
	}
	if err := set("net", "ge0"); err != nil {
		t.Errorf("what is permitted: %v", err)
	}
	wantCode(t, set("net", "ge1"), codes.PermissionDenied, "ge1")
	wantCode(t, set("eve", "ge0"), codes.PermissionDenied)
	get := func(user, path string) error {
		_, err := g.client.Get(g.as(user), &gnmi.GetRequest{Path: []*gnmi.Path{oc(path)}, Encoding: gnmi.Encoding_JSON_IETF})
		return err
	}
	g.guard.SetRole("half", &models.RoleSpec{Name: "half", Rules: []models.AccessRule{{PathText: "/system", Path: p(t, "/system").GetElem(), Read: true, Permit: true}}})
	g.user("hal", "half")
	for _, c := range []struct {
		user, path string
		want       codes.Code
	}{
		{"eve", "/interfaces", codes.OK}, {"eve", "/", codes.OK}, {"net", "/interfaces/interface[name=ge1]/config", codes.OK},
		{"hal", "/system", codes.OK}, {"hal", "/interfaces", codes.PermissionDenied}, {"hal", "/", codes.PermissionDenied},
		{"hal", "/...", codes.PermissionDenied}, {"hal", "/openconfig-interfaces:interfaces", codes.PermissionDenied},
	} {
		if err := get(c.user, c.path); status.Code(err) != c.want {
			t.Errorf("%s, %s: %v, want %v", c.user, c.path, err, c.want)
		}
	}
}
