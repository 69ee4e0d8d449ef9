package models

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

const someHash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

// user declares a user that breaks no rule.
func (w world) user(name string) *gen.Routerd_User_Config {
	c := w.GetOrCreateUser(name).GetOrCreateConfig()
	c.Role, c.PasswordHash = []string{"viewer"}, ygot.String(someHash)
	return c
}

// accessRule declares a rule of a role that breaks no rule of the model.
func (w world) accessRule(role, name, path string) *gen.Routerd_Role_Rule_Config {
	rules := w.GetOrCreateRole(role).GetOrCreateRuleMap()
	g := rules.Get(name)
	if g == nil {
		g, _ = rules.AppendNew(name)
	}
	c := g.GetOrCreateConfig()
	c.Path, c.Action = ygot.String(path), gen.Routerd_AccessAction_permit
	return c
}

func (w world) completeAccess() {
	for name, u := range w.User {
		u.GetOrCreateConfig().Name = ygot.String(name)
	}
	for name, r := range w.Role {
		r.GetOrCreateConfig().Name = ygot.String(name)
		for _, rule := range r.Rule.Values() {
			rule.GetOrCreateConfig().Name = rule.Name
		}
	}
}

const netopsRule = "/role[name=netops]/rule[name=r]"

var accessCases = []ruleCase{
	{name: "a user with a password", spoil: func(w world) { w.user("ann") }},
	{name: "a user with a certificate", spoil: func(w world) {
		c := w.user("ann")
		c.PasswordHash, c.Certificate = nil, []string{"ann.example.com", "CN of Ann"}
	}},
	{name: "a user with a role of one's own", spoil: func(w world) {
		w.accessRule("netops", "r", "/interface[name=ge0]/config")
		w.user("ann").Role = []string{"netops", "viewer"}
	}},
	{name: "a user without a role", rule: ruleUserRole, xpath: true, path: "/user[name=ann]",
		spoil: func(w world) { w.user("ann").Role = nil }},
	{name: "a user without anything", rule: ruleUserCredential, xpath: true, path: "/user[name=ann]",
		spoil: func(w world) { w.user("ann").PasswordHash = nil }},
	{name: "a user with a role that isn't there", rule: ruleUserRoleExists, path: "/user[name=ann]/config/role",
		spoil: func(w world) { w.user("ann").Role = []string{"netops"} }},
	{name: "two users with one certificate", rule: ruleUserCertificate, path: "/user[name=ann]/config/certificate",
		spoil: func(w world) {
			w.user("ann").Certificate = []string{"x", "y"}
			w.user("bob").Certificate = []string{"z", "x"}
		}},
	{name: "a password in clear", rule: ruleBadValue, xpath: true, path: "/user[name=ann]/config/password-hash",
		spoil: func(w world) { w.user("ann").PasswordHash = ygot.String("hunter2") }},
	{name: "a built-in role changed", rule: ruleRoleBuiltIn, xpath: true, path: "/role[name=admin]",
		spoil: func(w world) { w.accessRule("admin", "r", "/") }},
	{name: "a rule about nothing", rule: ruleRuleObject, xpath: true, path: netopsRule,
		spoil: func(w world) { w.accessRule("netops", "r", "/").Path = nil }},
	{name: "a rule about a path and RPCs", rule: ruleRuleObject, xpath: true, path: netopsRule,
		spoil: func(w world) { w.accessRule("netops", "r", "/").Rpc = ygot.String("gnoi.*") }},
	{name: "a path that is called", rule: ruleRuleOperation, xpath: true, path: netopsRule,
		spoil: func(w world) { w.accessRule("netops", "r", "/").Operation = gen.Routerd_AccessOperation_exec }},
	{name: "an RPC that is read", rule: ruleRuleOperation, xpath: true, path: netopsRule,
		spoil: func(w world) {
			c := w.accessRule("netops", "r", "/")
			c.Path, c.Rpc, c.Operation = nil, ygot.String("gnoi.system.System/Time"), gen.Routerd_AccessOperation_read
		}},
	{name: "an RPC that is called", spoil: func(w world) {
		c := w.accessRule("netops", "r", "/")
		c.Path, c.Rpc, c.Operation = nil, ygot.String("gnoi.system.System/*"), gen.Routerd_AccessOperation_exec
	}},
	{name: "a rule that says nothing", rule: ruleRuleAction, xpath: true, path: netopsRule,
		spoil: func(w world) { w.accessRule("netops", "r", "/").Action = gen.Routerd_AccessAction_UNSET }},
	{name: "a rule about a node that isn't there", rule: ruleRulePath, path: netopsRule + "/config/path",
		spoil: func(w world) { w.accessRule("netops", "r", "/interface/confg") }},
	{name: "a rule about a key that isn't there", rule: ruleRulePath, path: netopsRule + "/config/path",
		spoil: func(w world) { w.accessRule("netops", "r", "/interface[id=7]") }},
	{name: "a rule about any depth", rule: ruleRulePath, path: netopsRule + "/config/path",
		spoil: func(w world) { w.accessRule("netops", "r", "/.../config") }},
	{name: "a rule with wildcards", spoil: func(w world) { w.accessRule("netops", "r", "/routerd:interface[name=*]/*/counters") }},
	{name: "an RPC that is none", rule: ruleBadValue, xpath: true, path: netopsRule + "/config/rpc",
		spoil: func(w world) {
			c := w.accessRule("netops", "r", "/")
			c.Path, c.Rpc = nil, ygot.String("gnoi.sys*")
		}},
	{name: "too many rules", rule: ruleTooMany, path: "/role[name=netops]/rule", spoil: func(w world) {
		for i := range maxRoleRules + 1 {
			w.accessRule("netops", fmt.Sprintf("r%d", i), "/")
		}
	}},
}

func TestRoleInUseCannotGo(t *testing.T) {
	w := world{load(t, []byte(base))}
	w.accessRule("netops", "r", "/")
	w.user("ann").Role = []string{"netops"}
	c, errs := Compile(w.Device)
	if errs != nil {
		t.Fatal(errs)
	}
	w.DeleteRole("netops")
	_, errs = c.Update(w.Device, []Object{{Kind: Role, Name: "netops"}})
	wantViolation(t, "as a change", errs, ruleUserRoleExists, "/user[name=ann]/config/role")
}

func TestPasswordIsInNoError(t *testing.T) {
	w := world{load(t, []byte(base))}
	w.user("ann").PasswordHash = ygot.String("hunter2")
	_, errs := Compile(w.Device)
	for _, err := range errs {
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := UserSpec{Name: "ann", PasswordHash: someHash}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "user", s, "hash", s.PasswordHash)
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for how, text := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%+v": fmt.Sprintf("%+v", s), "%#v": fmt.Sprintf("%#v", s), "%s": fmt.Sprint(s.PasswordHash),
		"log": logged.String(), "JSON": string(encoded),
	} {
		if strings.Contains(text, someHash) || !strings.Contains(text, "hidden") {
			t.Errorf("%s: %s", how, text)
		}
	}
}

// fillAccessOf is state of users, roles and calls with every field set.
func fillAccessOf(dst *gen.Device) {
	FillUser(dst, UserState{
		Applied: UserSpec{Name: "ann", Description: "of the day", Enabled: true, Roles: []string{"viewer"}, Certificates: []string{"ann"}, PasswordHash: someHash},
		Logins:  1, FailedLogins: 2, LastLogin: now, LastLoginFrom: "192.0.2.9",
	})
	FillRole(dst, RoleState{Users: 1, Applied: RoleSpec{Name: "r", Description: "some", Rules: []AccessRule{
		{Name: "path", PathText: "/interface", Read: true, Named: true, Permit: true}, {Name: "rpc", RPC: "gnoi.*"},
	}}})
	FillAudit(dst, AuditRecord{
		Number: 7, Time: now, User: "ann", Auth: AuthPassword, Source: "192.0.2.9:4711", Method: "gnmi.gNMI/Get", Paths: []string{"/interface"},
		Status: "OK", Duration: time.Millisecond,
	})
}
