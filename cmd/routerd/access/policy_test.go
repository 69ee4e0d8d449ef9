package access

import (
	"testing"

	"router/models"
)

func TestPathPolicy(t *testing.T) {
	rule := func(user, group, text string, write, permit bool) PathRule {
		return PathRule{User: user, Group: group, Path: path(t, text), Write: write, Permit: permit}
	}
	p := &PathPolicy{Groups: map[string][]string{"ops": {"ann", "bob"}}, Rules: []PathRule{
		rule("", "ops", "/", false, true),
		rule("", "ops", "/interface", false, false),
		rule("", "ops", "/interface[name=ge0]", false, true),
		rule("", "ops", "/interface[name=*]/unit", false, false),
		rule("ann", "", "/interface[name=*]/unit", false, true),
		rule("ann", "", "/system", true, true),
		rule("ann", "", "/system", true, false),
	}}
	for _, c := range []struct {
		user string
		op   Operation
		path string
		want Verdict
	}{
		{"ann", Read, "/system/config", Permit},
		{"eve", Read, "/system/config", Deny},
		{"ann", Read, "/", Mixed},
		{"ann", Read, "/interface[name=ge1]/config", Deny},
		{"ann", Read, "/interface[name=ge0]/config", Permit},
		{"ann", Read, "/interface[name=ge0]/unit[id=0]", Permit},
		{"bob", Read, "/interface[name=ge0]/unit[id=0]", Deny},
		{"bob", Read, "/interface[name=ge0]", Mixed},
		{"ann", Write, "/system/config", Deny},
		{"bob", Write, "/system/config", Deny},
	} {
		if got := p.Path(c.user, c.op, path(t, c.path)); got != c.want {
			t.Errorf("%s, %v %s: %v, want %v", c.user, c.op, c.path, got, c.want)
		}
	}
}

func TestRPCPolicy(t *testing.T) {
	p, err := ParseRPCPolicy(`{"name":"p","deny_rules":[{"name":"no","source":{"principals":["bob"]},"request":{"paths":["/gnoi.system.System/Reboot"]}}],
		"allow_rules":[{"name":"all","source":{"principals":["ann","b*"]},"request":{"paths":["/gnoi.*"]}},{"name":"time","request":{"paths":["*/Time"]}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user, method string
		want         bool
	}{
		{"ann", "gnoi.system.System/Reboot", true},
		{"bob", "gnoi.system.System/Reboot", false},
		{"bob", "gnoi.system.System/Ping", true},
		{"eve", "gnoi.system.System/Ping", false},
		{"eve", "gnoi.system.System/Time", true},
		{"ann", "gnmi.gNMI/Get", false},
	} {
		if got := p.RPC(c.user, c.method); got != c.want {
			t.Errorf("%s, %s: %v", c.user, c.method, got)
		}
	}
	for _, bad := range []string{"", "[]", "{}", `{"name":"p","allow_rules":[{"request":{}}]}`, `{"allow_rules":[{"name":"a"}]} {}`,
		`{"allow_rules":[{"name":"a","request":{"headers":[{}]}}]}`, `{"allow_rules":[{"name":"a"}],"more":1}`} {
		if _, err := ParseRPCPolicy(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// Policies take away from roles, and give nothing.
func TestPoliciesTakeAway(t *testing.T) {
	g, _ := guarded(t)
	s, _ := g.Certificate([]string{"ann.example"}, from, false)
	g.SetPathPolicy(&PathPolicy{Rules: []PathRule{{User: "ann", Path: path(t, "/system"), Permit: true}, {User: "ann", Path: nil, Write: true, Permit: true}}})
	if g.Current(s, "gnmi.gNMI/Subscribe", true) {
		t.Error("rights under another policy are current")
	}
	r := g.Rights("ann")
	if r.Path(Read, path(t, "/system/config")) != Permit || r.Path(Read, path(t, "/interface")) != Deny || r.Path(Write, nil) != Deny || r.Everything(Read) {
		t.Error("paths")
	}
	g.SetPathPolicy(nil)
	p, err := ParseRPCPolicy(`{"name":"p","allow_rules":[{"name":"a","request":{"paths":["/gnoi.system.System/Time","/gnsi.pathz.v1.Pathz/*"]}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	g.SetRPCPolicy(p)
	r = g.Rights("ann")
	if !r.RPC("gnoi.system.System/Time", false) || r.RPC("gnoi.system.System/Reboot", false) || r.RPC("gnsi.pathz.v1.Pathz/Get", false) || r.RPC("gnmi.gNMI/Get", true) {
		t.Error("RPCs")
	}
	if !rootRights.RPC("gnoi.system.System/Reboot", false) {
		t.Error("root is bound by a policy")
	}
	g.SetUser("adm", &models.UserSpec{Name: "adm", Enabled: true, Roles: []string{"admin"}, Certificates: []string{"a"}})
	if !g.Rights("adm").RPC("gnsi.authz.v1.Authz/Rotate", false) {
		t.Error("a policy shuts administrators out of changing it")
	}
	if g.Rights("nobody") != nil {
		t.Error("nobody has rights")
	}
}
