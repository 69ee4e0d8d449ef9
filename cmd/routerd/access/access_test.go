package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"router/cmd/routerd/datastore/tree"
	"router/models"
)

func path(t testing.TB, text string) tree.Path {
	t.Helper()
	p, err := tree.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// role makes a role of rules such as "permit read /interface" and "deny gnoi.*".
func role(t testing.TB, rules ...string) models.RoleSpec {
	t.Helper()
	var r models.RoleSpec
	for _, text := range rules {
		words := strings.Fields(text)
		rule := models.AccessRule{Permit: words[0] == "permit"}
		switch {
		case len(words) == 2 && strings.HasPrefix(words[1], "/"):
			rule.Read, rule.Write, rule.PathText = true, true, words[1]
		case len(words) == 2:
			rule.RPC = words[1]
		default:
			rule.Read, rule.Write, rule.Named, rule.PathText = words[1] == "read", words[1] == "write", true, words[2]
		}
		rule.Path = path(t, rule.PathText)
		r.Rules = append(r.Rules, rule)
	}
	return r
}

func TestPath(t *testing.T) {
	ge0 := []string{"permit write /interface[name=ge0]", "permit read /"}
	denied := []string{"deny /user", "deny write /interface[name=*]/unit", "permit /"}
	for _, c := range []struct {
		name  string
		rules []string
		op    Operation
		path  string
		want  Verdict
	}{
		{"nothing is permitted by nothing", nil, Read, "/", Deny},
		{"what is below a rule", ge0, Write, "/interface[name=ge0]/config/mru", Permit},
		{"the node of a rule", ge0, Write, "/interface[name=ge0]", Permit},
		{"another entry", ge0, Write, "/interface[name=ge1]/config/mru", Deny},
		{"all entries", ge0, Write, "/interface[name=*]/config/mru", Mixed},
		{"a list without keys", ge0, Write, "/interface/config/mru", Mixed},
		{"the node above", ge0, Write, "/", Mixed},
		{"any depth", ge0, Write, "/.../mru", Mixed},
		{"any name", ge0, Write, "/*/config", Mixed},
		{"reading all", ge0, Read, "/", Permit},
		{"a deny first", denied, Read, "/user[name=ann]/config/role", Deny},
		{"a deny first, by any name", denied, Read, "/*", Mixed},
		{"a deny first, by any depth", denied, Read, "/...", Mixed},
		{"beside a deny", denied, Read, "/role", Permit},
		{"a deny below", denied, Write, "/interface[name=ge0]", Mixed},
		{"a deny below, at its node", denied, Write, "/interface[name=ge0]/unit[id=0]", Deny},
		{"a deny of another operation", denied, Read, "/interface[name=ge0]/unit[id=0]", Permit},
		{"beside a deny below", denied, Write, "/interface[name=ge0]/config", Permit},
		{"an order that makes a deny idle", []string{"permit /", "deny /user"}, Read, "/user", Permit},
		{"a rule of a part, then of the rest alike", []string{"permit read /interface", "permit read /"}, Read, "/", Permit},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRights([]models.RoleSpec{role(t, c.rules...)})
			if got := r.Path(c.op, path(t, c.path)); got != c.want {
				t.Errorf("%v %s: %v, want %v", c.op, c.path, got, c.want)
			}
		})
	}
}

func TestRolesAddUp(t *testing.T) {
	r := newRights([]models.RoleSpec{role(t, "deny /"), role(t, "permit write /interface"), role(t, "permit gnoi.system.*", "deny *")})
	if got := r.Path(Write, path(t, "/interface[name=ge0]")); got != Permit {
		t.Errorf("the second role permits it, and the answer is %v", got)
	}
	if r.Everything(Write) || r.Everything(Read) {
		t.Error("it permits everything")
	}
	if !r.RPC("gnoi.system.System/Time", false) || r.RPC("gnoi.file.File/Get", false) {
		t.Error("RPCs")
	}
}

func TestBuiltInRoles(t *testing.T) {
	for _, c := range []struct {
		role, rpc string
		want      bool
	}{
		{"admin", "gnsi.authz.v1.Authz/Rotate", true},
		{"operator", "gnsi.authz.v1.Authz/Rotate", false},
		{"operator", "gnoi.system.System/Reboot", true},
		{"operator", "gnoi.certificate.CertificateManagement/Install", false},
		{"operator", "gnoi.file.File/Get", true},
		{"operator", "gnoi.file.File/Put", false},
		{"operator", "gribi.gRIBI/Modify", false},
		{"viewer", "gribi.gRIBI/Get", true},
		{"viewer", "gnoi.system.System/Time", false},
	} {
		if got := newRights([]models.RoleSpec{models.BuiltInRoles[c.role]}).RPC(c.rpc, false); got != c.want {
			t.Errorf("%s, %s: %v", c.role, c.rpc, got)
		}
	}
	viewer := newRights([]models.RoleSpec{models.BuiltInRoles["viewer"]})
	if viewer.Path(Read, path(t, "/audit[number=1]/user")) != Deny || viewer.Path(Read, path(t, "/interface")) != Permit || viewer.Path(Write, nil) != Deny {
		t.Error("viewer")
	}
	if !newRights([]models.RoleSpec{models.BuiltInRoles["admin"]}).Everything(Write) {
		t.Error("admin may not write everything")
	}
}

// What is said of a pattern holds for each leaf below it.
func FuzzPath(f *testing.F) {
	f.Add("/interface[name=ge0]", "/interface[name=*]/config", "/interface[name=ge0]/config/mru", true, false)
	f.Add("/*/config", "/...", "/user[name=a]/config/role", false, true)
	f.Add("/", "/interface", "/interface[name=x]/state", true, true)
	f.Fuzz(func(t *testing.T, first, second, leaf string, one, two bool) {
		parse := func(s string) tree.Path {
			p, err := tree.Parse(s)
			if err != nil || len(p) > 16 {
				t.Skip()
			}
			return p
		}
		a, b, l := parse(first), parse(second), parse(leaf)
		for _, e := range slices.Concat(a, b, l) {
			if e.GetName() == "..." {
				t.Skip()
			}
		}
		for _, e := range l {
			if e.GetName() == "*" || slices.Contains(slices.Collect(func(yield func(string) bool) {
				for _, v := range e.GetKey() {
					if !yield(v) {
						return
					}
				}
			}), "*") {
				t.Skip()
			}
		}
		r := newRights([]models.RoleSpec{{Rules: []models.AccessRule{{Path: a, Read: true, Permit: one}, {Path: b, Read: true, Permit: two}}}})
		whole := r.Path(Read, l)
		for n := range l {
			if above := r.Path(Read, l[:n]); above != Mixed && above != whole && whole != Mixed {
				t.Errorf("%v of %s, but %v of %s above it", whole, l, above, l[:n])
			}
		}
	})
}

var from = netip.MustParseAddr("192.0.2.9")

// guarded is a guard with the user ann, whose password is "right".
func guarded(t testing.TB) (*Guard, *time.Time) {
	t.Helper()
	g := New()
	now := time.Unix(1_700_000_000, 0)
	g.now = func() time.Time { return now }
	h, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	g.SetUser("ann", &models.UserSpec{Name: "ann", Enabled: true, Roles: []string{"operator"}, PasswordHash: models.Secret(h), Certificates: []string{"ann.example"}})
	return g, &now
}

func TestPassword(t *testing.T) {
	g, now := guarded(t)
	ctx := context.Background()
	login := func(user, password string) error {
		_, err := g.Password(ctx, user, password, from)
		return err
	}
	for _, c := range []struct{ name, user, password string }{
		{"wrong", "ann", "wrong"}, {"of nobody", "bob", "right"}, {"too long", "ann", strings.Repeat("x", 100)}, {"of no name", "", "right"},
	} {
		if err := login(c.user, c.password); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	s, err := g.Password(ctx, "ann", "right", from)
	if err != nil || s.Name != "ann" || s.Rights.Path(Read, nil) != Permit || s.Rights.Path(Write, nil) != Deny {
		t.Fatalf("%+v, %v", s, err)
	}
	if st, _ := g.UserState("ann"); st.Logins != 1 || st.FailedLogins != 2 || st.LastLoginFrom != "192.0.2.9" || !st.LastLogin.Equal(*now) {
		t.Errorf("%+v", st)
	}
	if err := login("ann", "right"); err != nil {
		t.Error(err)
	}
	if st, _ := g.UserState("ann"); st.Logins != 1 {
		t.Errorf("%d logins, though the password was known to be right", st.Logins)
	}
	spec := s // to be compared below
	g.SetUser("ann", &models.UserSpec{Name: "ann", Roles: []string{"operator"}, PasswordHash: spec.hash})
	if err := login("ann", "right"); !errors.Is(err, ErrCredentials) {
		t.Errorf("a disabled user: %v", err)
	}
	if g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Error("the rights of a disabled user are current")
	}
}

func TestGuessingIsThrottled(t *testing.T) {
	g, now := guarded(t)
	ctx := context.Background()
	if _, err := g.Password(ctx, "ann", "right", netip.MustParseAddr("198.51.100.1")); err != nil {
		t.Fatal(err)
	}
	var throttled *ThrottledError
	looked := 0
	for range 50 {
		_, err := g.Password(ctx, "ann", "guess", from)
		if !errors.As(err, &throttled) {
			looked++
		}
	}
	if looked != freeByUser+1 {
		t.Errorf("%d guesses were looked at, want %d", looked, freeByUser+1)
	}
	if _, err := g.Password(ctx, "ann", "right", from); !errors.As(err, &throttled) {
		// It was right a moment ago, elsewhere: that is known.
		if err != nil {
			t.Errorf("the right password, known: %v", err)
		}
	}
	*now = now.Add(2 * cacheTime)
	for range 30 { // minutes of guessing once a second
		*now = now.Add(time.Second)
		_, _ = g.Password(ctx, "ann", "guess", from)
	}
	if _, err := g.Password(ctx, "ann", "right", from); !errors.As(err, &throttled) || throttled.Wait <= 0 {
		t.Errorf("from where somebody guesses: %v", err)
	}
	if _, err := g.Password(ctx, "ann", "right", netip.MustParseAddr("203.0.113.7")); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	*now = now.Add(longestWait + time.Second)
	if _, err := g.Password(ctx, "ann", "right", from); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestGuessingManyUsersIsThrottledAndBounded(t *testing.T) {
	th := newThrottle()
	now := time.Unix(1_700_000_000, 0)
	for i := range 3 * throttleSize {
		th.fail(fmt.Sprintf("user%d", i), from, now)
	}
	if len(th.count) > throttleSize {
		t.Errorf("%d entries", len(th.count))
	}
	if th.wait("another", from, now) <= 0 {
		t.Error("the address is not slowed down")
	}
	if th.wait("another", netip.MustParseAddr("2001:db8::1"), now) != 0 {
		t.Error("another address is")
	}
	th.fail("x", netip.MustParseAddr("2001:db8::1"), now)
	if k := keys("x", netip.MustParseAddr("2001:db8::2"))[0]; th.count[k].n != 1 {
		t.Error("addresses of one /64 count apart")
	}
}

// A user that isn't there costs what one that is there costs.
func TestUnknownUserTakesAsLong(t *testing.T) {
	g := New()
	h, err := bcrypt.GenerateFromPassword([]byte("right"), 11)
	if err != nil {
		t.Fatal(err)
	}
	g.SetUser("ann", &models.UserSpec{Name: "ann", Enabled: true, PasswordHash: models.Secret(h)})
	g.SetUser("cert", &models.UserSpec{Name: "cert", Enabled: true, Certificates: []string{"x"}})
	var costs []string
	g.compare = func(hash, password []byte) error {
		costs = append(costs, costOf(models.Secret(hash)))
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	for _, user := range []string{"ann", "bob", "cert", ""} {
		if _, err := g.Password(context.Background(), user, "wrong", from); !errors.Is(err, ErrCredentials) {
			t.Errorf("user %q: %v", user, err)
		}
	}
	if got := fmt.Sprint(costs); got != "[11 11 11 11]" {
		t.Errorf("passwords were compared at the costs %s", got)
	}
}

func TestCertificate(t *testing.T) {
	g, _ := guarded(t)
	if _, ok := g.Certificate([]string{"ann"}, from, true); ok {
		t.Error("a certificate of the user's name, which was not declared, was taken")
	}
	s, ok := g.Certificate([]string{"x", "ann.example"}, from, true)
	if !ok || s.Name != "ann" || !g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Fatalf("%+v, %v", s, ok)
	}
	g.SetUser("ann", &models.UserSpec{Name: "ann", Enabled: true, Roles: []string{"operator"}, Certificates: []string{"other"}})
	if _, ok := g.Certificate([]string{"ann.example"}, from, true); ok || g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Error("a certificate that was taken away still counts")
	}
}

func TestChanged(t *testing.T) {
	g, _ := guarded(t)
	s, err := g.Password(context.Background(), "ann", "right", from)
	if err != nil {
		t.Fatal(err)
	}
	changed := g.Changed()
	g.SetRole("other", &models.RoleSpec{Name: "other"})
	select {
	case <-changed:
	default:
		t.Error("a change was not told")
	}
	if !g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Error("another's role ended ann's rights")
	}
	netops := role(t, "permit /interface")
	g.SetRole("netops", &netops)
	g.SetUser("ann", &models.UserSpec{Name: "ann", Enabled: true, Roles: []string{"netops"}, PasswordHash: s.hash})
	if g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Error("rights of another role are current")
	}
	s, err = g.Password(context.Background(), "ann", "right", from)
	if err != nil {
		t.Fatal(err)
	}
	wider := role(t, "permit /")
	g.SetRole("netops", &wider)
	if g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Error("rights of a role that changed are current")
	}
}

func BenchmarkPath(b *testing.B) {
	r := newRights([]models.RoleSpec{role(b, "deny /user", "deny /role", "permit read /interface", "permit read /instance", "permit write /interface[name=ge0]")})
	p := path(b, "/interface[name=ge0]/unit[id=100]/family[type=inet]/config/mtu")
	b.ReportAllocs()
	for b.Loop() {
		if r.Path(Read, p) != Permit {
			b.Fatal()
		}
	}
}

func BenchmarkKnownPassword(b *testing.B) {
	g, _ := guarded(b)
	for b.Loop() {
		if _, err := g.Password(context.Background(), "ann", "right", from); err != nil {
			b.Fatal(err)
		}
	}
}
