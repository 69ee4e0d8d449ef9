package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"router/cmd/routerd/datastore/tree"
)

// This file holds policies that come by gNSI. They only take away: what roles
// permit has to be permitted by each policy that is installed, too. Root on the Unix
// socket is not bound by them.

// A PathPolicy is gNSI's path-based policy (gnsi.pathz.v1): of the rules that fit
// a node, the longest decides, the one with more names and keys given among equally
// long ones, that of the user before that of a group, and a deny before a permit. What none
// fits is denied. It is immutable.
type PathPolicy struct {
	Rules  []PathRule
	Groups map[string][]string // users by group
}

// A PathRule is one rule of a PathPolicy.
type PathRule struct {
	ID     string
	User   string // or
	Group  string
	Path   tree.Path // canonical
	Write  bool      // of writing, else of reading
	Permit bool
}

// fits reports whether the rule is about the user and the operation.
func (p *PathPolicy) fits(r *PathRule, user string, op Operation) bool {
	if r.Write != (op == Write) {
		return false
	}
	if r.Group != "" {
		return slices.Contains(p.Groups[r.Group], user)
	}
	return r.User == user
}

// Path says what the policy permits the user, as [Rights.Path] does.
func (p *PathPolicy) Path(user string, op Operation, path tree.Path) Verdict {
	var best *PathRule
	permits, denies := false, false
	for i := range p.Rules {
		r := &p.Rules[i]
		if !p.fits(r, user, op) {
			continue
		}
		switch relate(r.Path, path) {
		case apart:
		case overlaps:
			permits, denies = permits || r.Permit, denies || !r.Permit
		case covers:
			if best == nil || r.before(best) {
				best = r
			}
		}
	}
	verdict := best != nil && best.Permit
	switch {
	case permits && !verdict, denies && verdict:
		return Mixed
	case verdict:
		return Permit
	}
	return Deny
}

// before reports whether r decides where both fit.
func (r *PathRule) before(o *PathRule) bool {
	switch {
	case len(r.Path) != len(o.Path):
		return len(r.Path) > len(o.Path)
	case definite(r.Path) != definite(o.Path):
		return definite(r.Path) > definite(o.Path)
	case (r.Group == "") != (o.Group == ""):
		return r.Group == ""
	}
	return !r.Permit && o.Permit
}

// definite counts the names and keys of p that stand for one only.
func definite(p tree.Path) int {
	n := 0
	for _, e := range p {
		if e.GetName() != "*" {
			n++
		}
		for _, v := range e.GetKey() {
			if v != "*" {
				n++
			}
		}
	}
	return n
}

// An RPCPolicy is gNSI's policy of RPCs (gnsi.authz.v1), in the JSON of gRPC's
// proposal A43: deny rules first, then allow rules; what none fits is denied. It is
// immutable.
type RPCPolicy struct {
	Name  string    `json:"name"`
	Deny  []RPCRule `json:"deny_rules,omitempty"`
	Allow []RPCRule `json:"allow_rules"`
}

// An RPCRule is one rule of an RPCPolicy. Headers are not supported: no RPC of the
// router is told from another by one.
type RPCRule struct {
	Name   string `json:"name"`
	Source struct {
		Principals []string `json:"principals,omitempty"`
	} `json:"source"`
	Request struct {
		Paths   []string          `json:"paths,omitempty"`
		Headers []json.RawMessage `json:"headers,omitempty"`
	} `json:"request"`
}

// ParseRPCPolicy reads a policy and refuses what it could not do as it says.
func ParseRPCPolicy(text string) (*RPCPolicy, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	p := &RPCPolicy{}
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("the policy is no JSON of gRPC's authorization policy: %w", err)
	}
	if d.More() {
		return nil, errors.New("the policy has more behind its end")
	}
	if len(p.Allow) == 0 {
		return nil, errors.New("the policy has no allow_rules: it would permit nothing")
	}
	for _, r := range slices.Concat(p.Deny, p.Allow) {
		switch {
		case r.Name == "":
			return nil, errors.New("a rule of the policy has no name")
		case len(r.Request.Headers) > 0:
			return nil, fmt.Errorf("rule %q is about headers, which are not supported: leave them out", r.Name)
		}
	}
	return p, nil
}

// RPC reports whether the policy permits the user the call of method, without a
// leading slash.
func (p *RPCPolicy) RPC(user, method string) bool {
	fits := func(r RPCRule) bool {
		return anyOf(r.Source.Principals, user) && anyOf(r.Request.Paths, "/"+method)
	}
	return !slices.ContainsFunc(p.Deny, fits) && slices.ContainsFunc(p.Allow, fits)
}

// anyOf reports whether a pattern fits the text: "*" for any, a wildcard at the
// start or at the end; no patterns fit all (A43).
func anyOf(patterns []string, text string) bool {
	if len(patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "*" {
			return true
		}
		if rest, ok := strings.CutSuffix(p, "*"); ok {
			return strings.HasPrefix(text, rest)
		}
		if rest, ok := strings.CutPrefix(p, "*"); ok {
			return strings.HasSuffix(text, rest)
		}
		return p == text
	})
}

// SetPathPolicy puts a policy in place; nil for none.
func (g *Guard) SetPathPolicy(p *PathPolicy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.tell()
	g.paths = p
	g.renew()
}

// SetRPCPolicy puts a policy in place; nil for none.
func (g *Guard) SetRPCPolicy(p *RPCPolicy) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.tell()
	g.rpcs = p
	g.renew()
}

// renew has all rights be made anew. g.mu is held.
func (g *Guard) renew() {
	for _, a := range g.users {
		a.rights = nil
	}
}

// Rights are what a user's roles and the policies permit; nil for a user that
// isn't there.
func (g *Guard) Rights(user string) *Rights {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.users[user]
	if a == nil || !a.spec.Enabled {
		return nil
	}
	return g.subject(a, 0, "").Rights
}

// authzService is permitted by every policy of RPCs (gnsi.authz.v1): roles say who
// may change it.
const authzService = "gnsi.authz.v1.Authz/"
