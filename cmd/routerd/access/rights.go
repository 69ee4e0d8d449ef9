package access

import (
	"fmt"
	"strings"

	"router/cmd/routerd/datastore/tree"
	"router/models"
)

// An Operation is what somebody does to a node. The set is closed.
type Operation uint8

// The operations.
const (
	Read Operation = iota
	Write
)

func (o Operation) String() string {
	switch o {
	case Read:
		return "read"
	case Write:
		return "write"
	}
	return fmt.Sprintf("operation(%d)", uint8(o))
}

// A Verdict is what the rules say of a pattern and all below it. The set is
// closed.
type Verdict uint8

// The verdicts.
const (
	Deny   Verdict = iota // nothing that the pattern stands for is permitted
	Permit                // all of it is
	Mixed                 // some of it may be: ask about each leaf
)

func (v Verdict) String() string {
	switch v {
	case Deny:
		return "deny"
	case Permit:
		return "permit"
	case Mixed:
		return "mixed"
	}
	return fmt.Sprintf("verdict(%d)", uint8(v))
}

// Rights are what a user's roles permit: what any of them does. They are
// immutable. A nil Rights permits nothing.
type Rights struct {
	roles []models.RoleSpec
	all   [2]bool // by operation: everything is permitted

	user  string // whom the policies see
	paths *PathPolicy
	rpcs  *RPCPolicy
}

// newRights joins roles.
func newRights(roles []models.RoleSpec) *Rights {
	r := &Rights{roles: roles}
	for _, op := range []Operation{Read, Write} {
		r.all[op] = r.Path(op, nil) == Permit
	}
	return r
}

// limit takes away what the policies don't permit.
func (r *Rights) limit(user string, paths *PathPolicy, rpcs *RPCPolicy) {
	r.user, r.paths, r.rpcs = user, paths, rpcs
	for _, op := range []Operation{Read, Write} {
		r.all[op] = r.Path(op, nil) == Permit
	}
}

// Everything reports whether the operation is permitted on every node, so that
// nobody has to ask about each.
func (r *Rights) Everything(op Operation) bool { return r != nil && r.all[op] }

// Path says whether the operation is permitted on what the pattern p stands for,
// and on all below it. p is canonical ([tree.Schema.Canonical]). For the path of a
// leaf the answer is Permit or Deny. The cost follows the number of rules.
func (r *Rights) Path(op Operation, p tree.Path) Verdict {
	if r == nil {
		return Deny
	}
	v := r.byRoles(op, p)
	if r.paths == nil || v == Deny {
		return v
	}
	switch limit := r.paths.Path(r.user, op, p); {
	case limit == Deny:
		return Deny
	case limit == Permit && v == Permit:
		return Permit
	}
	return Mixed
}

func (r *Rights) byRoles(op Operation, p tree.Path) Verdict {
	mixed := false
	for i := range r.roles {
		switch rolePath(&r.roles[i], op, p) {
		case Permit:
			return Permit
		case Mixed:
			mixed = true
		case Deny:
		}
	}
	if mixed {
		return Mixed
	}
	return Deny
}

// rolePath is what one role says. Rules that fit a part of what p stands for say
// what becomes of that part; the first that fits all of it, of the rest.
func rolePath(role *models.RoleSpec, op Operation, p tree.Path) Verdict {
	permits, denies := false, false
	note := func(permit bool) {
		permits, denies = permits || permit, denies || !permit
	}
	whole := false
	for i := range role.Rules {
		rule := &role.Rules[i]
		if rule.RPC != "" || op == Read && !rule.Read || op == Write && !rule.Write {
			continue
		}
		fit := relate(rule.Path, p)
		if fit == apart {
			continue
		}
		note(rule.Permit)
		if fit == covers {
			whole = true
			break
		}
	}
	if !whole {
		note(false)
	}
	switch {
	case permits && denies:
		return Mixed
	case permits:
		return Permit
	}
	return Deny
}

// A relation is how a rule's path stands to a pattern.
type relation uint8

const (
	apart    relation = iota // no node is common
	overlaps                 // the rule fits some of what the pattern stands for, or something below
	covers                   // it fits all of it
)

// relate compares the rule's path with the pattern p, element by element.
func relate(rule, p tree.Path) relation {
	fit := covers
	for i, r := range rule {
		if i >= len(p) {
			return overlaps // the rule is about something below
		}
		e := p[i]
		if e.GetName() == "..." {
			return overlaps
		}
		if r.GetName() != "*" && r.GetName() != e.GetName() {
			if e.GetName() != "*" {
				return apart
			}
			fit = overlaps
		}
		for k, want := range r.GetKey() {
			if want == "*" {
				continue
			}
			switch have, ok := e.GetKey()[k]; {
			case !ok || have == "*":
				fit = overlaps
			case have != want:
				return apart
			}
		}
	}
	return fit
}

// RPC says whether a call of the RPC, by its full name without a leading slash,
// is permitted. open is for RPCs whose paths are checked one by one: they are
// permitted unless a rule denies them.
func (r *Rights) RPC(method string, open bool) bool {
	if r == nil || r.rpcs != nil && !strings.HasPrefix(method, authzService) && !r.rpcs.RPC(r.user, method) {
		return false
	}
	for i := range r.roles {
		if roleRPC(&r.roles[i], method, open) {
			return true
		}
	}
	return false
}

func roleRPC(role *models.RoleSpec, method string, open bool) bool {
	for i := range role.Rules {
		if rule := &role.Rules[i]; rule.RPC != "" && rpcFits(rule.RPC, method) {
			return rule.Permit
		}
	}
	return open
}

// rpcFits reports whether the pattern, of the model's type rpc-pattern, fits.
func rpcFits(pattern, method string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(method, prefix)
	}
	return pattern == method
}
