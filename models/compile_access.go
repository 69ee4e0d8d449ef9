package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/goyang/pkg/yang"
	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// The rules of users and roles, by their error-app-tags.
const (
	ruleUserRole        = "user-needs-role"
	ruleUserCredential  = "user-needs-credential"
	ruleUserRoleExists  = "user-role-exists"
	ruleUserCertificate = "user-certificate-unique"
	ruleRoleBuiltIn     = "role-built-in"
	ruleRuleObject      = "rule-one-object"
	ruleRuleOperation   = "rule-operation"
	ruleRuleAction      = "rule-needs-action"
	ruleRulePath        = "rule-path"
)

var accessRules = []string{
	ruleUserRole, ruleUserCredential, ruleUserRoleExists, ruleUserCertificate, ruleRoleBuiltIn,
	ruleRuleObject, ruleRuleOperation, ruleRuleAction, ruleRulePath,
}

// maxRoleRules is the model's max-elements of the rules of a role.
const maxRoleRules = 256

func userPath(name string) string { return keyed("", "user", "name", name) }

func rolePath(name string) string { return keyed("", "role", "name", name) }

// compileUser compiles a user; ok is false where nothing can be said of it.
func compileUser(name string, g *gen.Routerd_User, v *violations) (s UserSpec, ok bool) {
	path := userPath(name)
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_User_Config{}
	}
	implied := *c
	implied.Name = &name
	had := len(*v)
	if !checkLeaves(&implied, path+"/config", v) {
		hideSecret((*v)[had:], path+"/config/password-hash")
		return s, false
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s = UserSpec{
		Name: name, Description: value(c.Description, ""), Enabled: value(c.Enabled, true),
		Roles: slices.Clone(c.Role), Certificates: slices.Clone(c.Certificate), PasswordHash: Secret(value(c.PasswordHash, "")),
	}
	if len(s.Roles) == 0 {
		v.add(path, ruleUserRole, "user %s has no role and may do nothing: add role admin, operator, viewer or one of yours", name)
	}
	if s.PasswordHash == "" && len(s.Certificates) == 0 {
		v.add(path, ruleUserCredential, "user %s has neither a password nor a certificate: set password-hash (rcli hash-password makes one) or certificate", name)
	}
	return s, true
}

// hideSecret keeps what was given for a password out of the error about it: it
// may be the password itself.
func hideSecret(errs []PathError, path string) {
	for i := range errs {
		if errs[i].Path == path {
			errs[i].Err = errors.New("this is no bcrypt hash with a cost of 10 to 14: write what rcli hash-password prints")
		}
	}
}

// compileRole compiles a role; g is nil for one that is built in.
func compileRole(name string, g *gen.Routerd_Role, v *violations) RoleSpec {
	path := rolePath(name)
	builtIn, is := BuiltInRoles[name]
	switch {
	case is && g != nil:
		v.add(path, ruleRoleBuiltIn, "role %s is built in and can't be changed: declare one of another name", name)
		return builtIn
	case is:
		return builtIn
	}
	s := RoleSpec{Name: name}
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Role_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, "")
	rules := g.Rule.Values()
	if len(rules) > maxRoleRules {
		v.add(path+"/rule", ruleTooMany, "%d rules: %d at most", len(rules), maxRoleRules)
		return s
	}
	for _, r := range rules {
		s.Rules = append(s.Rules, compileRule(path, r, v))
	}
	return s
}

func compileRule(role string, g *gen.Routerd_Role_Rule, v *violations) AccessRule {
	name := value(g.Name, "")
	path := keyed(role, "rule", "name", name)
	r := AccessRule{Name: name}
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Role_Rule_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return r
	}
	checkKey(c.Name, name, path+"/config/name", v)
	r.PathText, r.RPC = value(c.Path, ""), value(c.Rpc, "")
	if (r.PathText == "") == (r.RPC == "") {
		v.add(path, ruleRuleObject, "rule %s is about a path or about RPCs: set one of path and rpc", name)
	}
	r.Named = true
	exec := false
	switch c.Operation {
	case gen.Routerd_AccessOperation_UNSET:
		r.Read, r.Write, r.Named, exec = r.RPC == "", r.RPC == "", false, r.RPC != ""
	case gen.Routerd_AccessOperation_read:
		r.Read = true
	case gen.Routerd_AccessOperation_write:
		r.Write = true
	case gen.Routerd_AccessOperation_exec:
		exec = true
	}
	if exec != (r.RPC != "") {
		v.add(path, ruleRuleOperation, "rule %s: paths are read and written, RPCs are called: set operation to what fits, or delete it", name)
	}
	switch c.Action {
	case gen.Routerd_AccessAction_UNSET:
		v.add(path, ruleRuleAction, "rule %s does not say what becomes of what it fits: set action to permit or deny", name)
	case gen.Routerd_AccessAction_permit:
		r.Permit = true
	case gen.Routerd_AccessAction_deny:
	}
	if r.PathText != "" {
		elems, err := rulePath(r.PathText)
		if err != nil {
			v.add(path+"/config/path", ruleRulePath, "%s: %w: write one as in /interface[name=ge0]/config, with * for what is open", r.PathText, err)
		}
		r.Path = elems
	}
	return r
}

// rulePath parses a rule's path and checks it against the model. Names of modules
// are dropped.
func rulePath(text string) ([]*gpb.PathElem, error) {
	p, err := ygot.StringToStructuredPath(text)
	if err != nil {
		return nil, errors.New("it can't be read")
	}
	at := []*yang.Entry{gen.SchemaTree["Device"]}
	elems := make([]*gpb.PathElem, 0, len(p.GetElem()))
	for _, e := range p.GetElem() {
		name := e.GetName()
		if _, local, ok := strings.Cut(name, ":"); ok {
			name = local
		}
		var next []*yang.Entry
		for _, n := range at {
			next = append(next, ruleChildren(n, name, e.GetKey())...)
		}
		if len(next) == 0 {
			return nil, fmt.Errorf("the model has no %q there", e.GetName())
		}
		at = next
		elems = append(elems, &gpb.PathElem{Name: name, Key: e.GetKey()})
	}
	return elems, nil
}

// ruleChildren are the data nodes called name below n ("*" for all) that have
// the keys.
func ruleChildren(n *yang.Entry, name string, keys map[string]string) []*yang.Entry {
	var list []*yang.Entry
	for child, e := range n.Dir {
		if e.IsChoice() || e.IsCase() {
			list = append(list, ruleChildren(e, name, keys)...)
			continue
		}
		if name != "*" && child != name {
			continue
		}
		has := true
		for k := range keys {
			has = has && e.IsList() && containsField(e.Key, k)
		}
		if has {
			list = append(list, e)
		}
	}
	return list
}

func containsField(fields, want string) bool {
	for f := range strings.FieldsSeq(fields) {
		if f == want {
			return true
		}
	}
	return false
}

// user adds or removes what the index says of s.
func (x *indexes) user(add bool, s UserSpec) {
	for _, r := range s.Roles {
		x.usersByRole.set(add, r, s.Name)
	}
	for _, c := range s.Certificates {
		x.usersByCert.set(add, c, s.Name)
	}
}

// checkAccess checks what users and roles have to do with each other.
func (c *Compiled) checkAccess(change Change, v *violations) {
	users := map[string]struct{}{}
	for _, d := range change.Users {
		if d.New != nil {
			users[d.Key] = struct{}{}
		}
	}
	for _, d := range change.Roles {
		if d.New == nil {
			for name := range c.index.usersByRole[d.Key] {
				users[name] = struct{}{}
			}
		}
	}
	for name := range users {
		s := c.intent.Users[name]
		for _, r := range s.Roles {
			if _, ok := c.intent.Roles[r]; !ok {
				v.add(userPath(name)+"/config/role", ruleUserRoleExists, "user %s has the role %s, which does not exist: declare it or name another one", name, r)
			}
		}
		for _, cert := range s.Certificates {
			for other := range c.index.usersByCert[cert] {
				if other != name {
					v.add(userPath(name)+"/config/certificate", ruleUserCertificate, "the certificate's name %q stands for user %s: give each user names of its own", cert, other)
				}
			}
		}
	}
}
