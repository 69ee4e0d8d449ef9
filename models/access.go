package models

import (
	"fmt"
	"slices"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// A UserSpec is a declared user of the management plane.
type UserSpec struct {
	Name         string
	Description  string
	Enabled      bool
	Roles        []string
	Certificates []string // names in certificates that stand for the user
	PasswordHash Secret   // bcrypt; empty: no password is right
}

// A Secret is a text that nobody is shown: however it is printed, logged or
// encoded, it says only whether there is one. Convert it to a string to use it.
type Secret string

// String is "" or "<hidden>".
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "<hidden>"
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for encoders and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Equal reports whether both declare the same.
func (s UserSpec) Equal(o UserSpec) bool {
	return s.Name == o.Name && s.Description == o.Description && s.Enabled == o.Enabled && s.PasswordHash == o.PasswordHash &&
		slices.Equal(s.Roles, o.Roles) && slices.Equal(s.Certificates, o.Certificates)
}

// The roles that are always there.
const (
	RoleAdmin    = "admin"    // everything
	RoleOperator = "operator" // reads everything, and calls what keeps the configuration as it is
	RoleViewer   = "viewer"   // reads everything but the audit log
)

// A RoleSpec is a named, ordered set of rules. The first rule that fits decides;
// what none fits is denied.
type RoleSpec struct {
	Name        string
	Description string
	BuiltIn     bool
	Rules       []AccessRule
}

// Equal reports whether both declare the same.
func (s RoleSpec) Equal(o RoleSpec) bool {
	return s.Name == o.Name && s.Description == o.Description && s.BuiltIn == o.BuiltIn &&
		slices.EqualFunc(s.Rules, o.Rules, func(a, b AccessRule) bool {
			return a.Name == b.Name && a.PathText == b.PathText && a.RPC == b.RPC && a.Read == b.Read && a.Write == b.Write && a.Named == b.Named && a.Permit == b.Permit
		})
}

// An AccessRule is one rule of a role: of a path, or of RPCs.
type AccessRule struct {
	Name     string
	PathText string          // as it is declared; empty for a rule of RPCs
	Path     []*gpb.PathElem // PathText parsed, without names of modules; shared, never changed
	RPC      string          // pattern of full names, see the model's rpc-pattern
	Read     bool            // a rule of a path fits reading
	Write    bool            // and writing
	Named    bool            // the operation was declared, not left out
	Permit   bool
}

// BuiltInRoles are the roles that are always there, by name.
var BuiltInRoles = builtInRoles()

func builtInRoles() map[string]RoleSpec {
	rpc := func(name, pattern string, permit bool) AccessRule {
		return AccessRule{Name: name, RPC: pattern, Permit: permit}
	}
	all := func(name string, write bool) AccessRule {
		return AccessRule{Name: name, PathText: "/", Read: true, Write: write, Named: !write, Permit: true}
	}
	roles := []RoleSpec{
		{Name: RoleAdmin, Description: "everything", Rules: []AccessRule{all("everything", true), rpc("every-rpc", "*", true)}},
		{Name: RoleOperator, Description: "reads everything, and calls what keeps the configuration as it is", Rules: []AccessRule{
			all("read", false),
			rpc("no-certificates", "gnoi.certificate.*", false),
			rpc("no-factory-reset", "gnoi.factory_reset.*", false),
			rpc("no-file-put", "gnoi.file.File/Put", false),
			rpc("no-file-remove", "gnoi.file.File/Remove", false),
			rpc("no-file-transfer", "gnoi.file.File/TransferToRemote", false),
			rpc("operations", "gnoi.*", true),
			rpc("clear", "routerd.v1.Operations/*", true),
			rpc("gribi-get", "gribi.gRIBI/Get", true),
		}},
		{Name: RoleViewer, Description: "reads everything but the audit log", Rules: []AccessRule{
			{Name: "no-audit", PathText: "/audit", Path: []*gpb.PathElem{{Name: "audit"}}, Read: true, Named: true},
			all("read", false),
			rpc("gribi-get", "gribi.gRIBI/Get", true),
		}},
	}
	m := make(map[string]RoleSpec, len(roles))
	for _, r := range roles {
		r.BuiltIn = true
		m[r.Name] = r
	}
	return m
}

// A UserState is the state of a user.
type UserState struct {
	Applied       UserSpec
	Logins        uint64
	FailedLogins  uint64
	LastLogin     time.Time // zero for never
	LastLoginFrom string
}

// A RoleState is the state of a role.
type RoleState struct {
	Applied RoleSpec
	Users   uint32
}

// An AuthMethod says what proved who called. The set is closed.
type AuthMethod uint8

// The methods.
const (
	AuthNone AuthMethod = iota
	AuthSocket
	AuthCertificate
	AuthPassword
)

func (m AuthMethod) String() string {
	switch m {
	case AuthNone:
		return "none"
	case AuthSocket:
		return "socket"
	case AuthCertificate:
		return "certificate"
	case AuthPassword:
		return "password"
	}
	return fmt.Sprintf("method(%d)", uint8(m))
}

// AuditSize is how many calls the audit list has.
const AuditSize = 256

// An AuditRecord is one call of the management plane.
type AuditRecord struct {
	Number   uint64
	Time     time.Time
	User     string
	Auth     AuthMethod
	Source   string
	Method   string
	Paths    []string
	Status   string
	Duration time.Duration
}

// An AccessState is what is known of the management plane as a whole.
type AccessState struct {
	Required       bool // clients by TCP have to prove who they are
	Administrators uint32
	Failed         uint64
	Throttled      uint64
	Denied         uint64
	Limited        uint64
	AuditLost      uint64
}

// A CertificateSource says where the router's certificate comes from. The set is
// closed.
type CertificateSource uint8

// The sources.
const (
	SelfSigned CertificateSource = iota
	FromFile
	Installed
)

func (s CertificateSource) String() string {
	switch s {
	case SelfSigned:
		return "self-signed"
	case FromFile:
		return "file"
	case Installed:
		return "installed"
	}
	return fmt.Sprintf("source(%d)", uint8(s))
}

// A TLSState is the state of the router's certificate.
type TLSState struct {
	Fingerprint         string
	Subject, Issuer     string
	NotBefore, NotAfter time.Time
	Source              CertificateSource
	Loaded              time.Time
	Authorities         uint32
	Reloads             uint64
	Error               string
}
