// Package access decides who a client of the management plane is and what it
// may do. It knows nothing of gRPC: who serves asks it.
//
// Invariant: a decision is made by the users and roles that are in place at
// that moment. A password is compared in a time that doesn't tell whether the user
// exists; guessing is slowed down by address and by user; and the memory that
// strangers can make it use is bounded.
//
// Source: architecture.md, section 3; docs/decisions/0022-access.md. What roles
// mean follows gNSI's pathz and authz (openconfig/gnsi), with the first rule that
// fits in place of the longest.
package access

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"router/cmd/routerd/watchers"
	"router/models"
)

// A Guard holds the users and roles, and what became of their logins. Its methods
// are safe for concurrent use. Make one with New.
type Guard struct {
	now func() time.Time

	mu      sync.Mutex
	users   map[string]*account
	byCert  map[string]string // users by a name in a certificate
	roles   map[string]models.RoleSpec
	changed chan struct{} // closed and made anew with every change
	paths   *PathPolicy   // of gNSI; nil for none
	rpcs    *RPCPolicy

	cache    *passwordCache
	throttle *throttle
	hashing  chan struct{} // bounds the passwords that are compared at once
	compare  func(hash, password []byte) error

	failed, throttled, denied atomic.Uint64
	watchers                  watchers.List[string]
}

// An account is a user with its history, which outlives changes of the user.
type account struct {
	spec      models.UserSpec
	rights    *Rights // nil: to be made anew
	logins    uint64
	failed    uint64
	lastLogin time.Time
	lastFrom  string
}

// New is a guard without users.
func New() *Guard {
	return &Guard{
		now: time.Now, users: map[string]*account{}, byCert: map[string]string{}, roles: maps.Clone(models.BuiltInRoles),
		changed: make(chan struct{}), cache: newPasswordCache(), throttle: newThrottle(), hashing: make(chan struct{}, hashesAtOnce),
		compare: bcrypt.CompareHashAndPassword,
	}
}

// hashesAtOnce bounds how many passwords are compared at once: each takes a
// processor for some 50 ms.
const hashesAtOnce = 2

// SetUser puts a user in place, or removes it where spec is nil. Streams of a
// user that has changed learn of it by Changed.
func (g *Guard) SetUser(name string, spec *models.UserSpec) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.tell()
	a := g.users[name]
	if a != nil {
		for _, c := range a.spec.Certificates {
			if g.byCert[c] == name {
				delete(g.byCert, c)
			}
		}
	}
	if spec == nil {
		delete(g.users, name)
		return
	}
	if a == nil {
		a = &account{}
		g.users[name] = a
	}
	a.spec, a.rights = *spec, nil
	for _, c := range spec.Certificates {
		g.byCert[c] = name
	}
}

// SetRole puts a role in place, or removes it where spec is nil.
func (g *Guard) SetRole(name string, spec *models.RoleSpec) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.tell()
	if spec == nil {
		delete(g.roles, name)
	} else {
		g.roles[name] = *spec
	}
	for _, a := range g.users {
		if slices.Contains(a.spec.Roles, name) {
			a.rights = nil
		}
	}
}

// tell wakes whoever waits for a change. g.mu is held.
func (g *Guard) tell() {
	g.cache.clear()
	close(g.changed)
	g.changed = make(chan struct{})
}

// Changed is closed at the next change of a user or role. Whoever serves a stream
// takes it before it asks Current.
func (g *Guard) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// A Subject is who calls. It is immutable.
type Subject struct {
	Name   string
	Auth   models.AuthMethod
	Rights *Rights

	hash models.Secret // what a password was compared with
	cert string        // the name in the certificate
}

// Root is the subject that may do everything: root on the Unix socket, or
// anybody where nobody is asked who it is.
func Root(name string, how models.AuthMethod) *Subject {
	return &Subject{Name: name, Auth: how, Rights: rootRights}
}

var rootRights = newRights([]models.RoleSpec{models.BuiltInRoles[models.RoleAdmin]})

// subject is the account's subject. g.mu is held.
func (g *Guard) subject(a *account, how models.AuthMethod, cert string) *Subject {
	if a.rights == nil {
		var roles []models.RoleSpec
		for _, name := range a.spec.Roles {
			if r, ok := g.roles[name]; ok {
				roles = append(roles, r)
			}
		}
		a.rights = newRights(roles)
		a.rights.limit(a.spec.Name, g.paths, g.rpcs)
	}
	return &Subject{Name: a.spec.Name, Auth: how, Rights: a.rights, hash: a.spec.PasswordHash, cert: cert}
}

// Current reports whether s may go on with a call of method: it would be let in by
// the same means, may still call that, and, where open says that the call is about
// paths, may reach the same ones.
func (g *Guard) Current(s *Subject, method string, open bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.renewed(s)
	return r != nil && r.RPC(method, open) && (!open || r.samePaths(s.Rights))
}

// renewed are the rights that s would get now, by the same means; nil when it
// would not be let in. g.mu is held.
func (g *Guard) renewed(s *Subject) *Rights {
	switch s.Auth {
	case models.AuthSocket:
		return rootRights
	case models.AuthNone, models.AuthCertificate:
		if s.Rights == rootRights { // nobody was declared then
			if len(g.users) > 0 {
				return nil
			}
			return rootRights
		}
		if a := g.users[s.Name]; a != nil && a.spec.Enabled && g.byCert[s.cert] == s.Name {
			return g.subject(a, s.Auth, s.cert).Rights
		}
	case models.AuthPassword:
		if a := g.users[s.Name]; a != nil && a.spec.Enabled && a.spec.PasswordHash == s.hash {
			return g.subject(a, s.Auth, "").Rights
		}
	}
	return nil
}

// samePaths reports whether both permit the same paths for the same reasons.
func (r *Rights) samePaths(o *Rights) bool {
	return r == o || r.paths == o.paths && slices.EqualFunc(r.roles, o.roles, models.RoleSpec.Equal)
}

// HasUsers reports whether any user is declared.
func (g *Guard) HasUsers() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.users) > 0
}

// Denied counts a call that no role permits.
func (g *Guard) Denied() { g.denied.Add(1) }

// State is what is known of the logins. Whether they are required, and what the
// audit log lost, is the server's to add.
func (g *Guard) State() models.AccessState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return models.AccessState{
		Administrators: g.administrators(), Failed: g.failed.Load(), Throttled: g.throttled.Load(), Denied: g.denied.Load(),
	}
}

// Administrators is how many enabled users have the role admin.
func (g *Guard) Administrators() uint32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.administrators()
}

func (g *Guard) administrators() uint32 {
	n := uint32(0)
	for _, a := range g.users {
		if a.spec.Enabled && slices.Contains(a.spec.Roles, models.RoleAdmin) {
			n++
		}
	}
	return n
}

// Watch calls fn with the name of each user that logs in or fails to, until stop is
// called. fn must not wait, nor ask the guard.
func (g *Guard) Watch(fn func(user string)) (stop func()) { return g.watchers.Add(fn) }

// Users lists the users' names, sorted.
func (g *Guard) Users() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.users))
}

// Roles lists the roles' names, sorted, those that are built in among them.
func (g *Guard) Roles() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.roles))
}

// UserState is the state of a user; ok is false for one that isn't there.
func (g *Guard) UserState(name string) (s models.UserState, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.users[name]
	if a == nil {
		return s, false
	}
	return models.UserState{Applied: a.spec, Logins: a.logins, FailedLogins: a.failed, LastLogin: a.lastLogin, LastLoginFrom: a.lastFrom}, true
}

// RoleState is the state of a role; ok is false for one that isn't there.
func (g *Guard) RoleState(name string) (s models.RoleState, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.roles[name]
	if !ok {
		return s, false
	}
	s.Applied = r
	for _, a := range g.users {
		if slices.Contains(a.spec.Roles, name) {
			s.Users++
		}
	}
	return s, true
}
