package models

import (
	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// FillUser writes the state of a user. The password is no part of it.
func FillUser(dst *gen.Device, s UserState) {
	a := s.Applied
	dst.GetOrCreateUser(a.Name).State = &gen.Routerd_User_State{
		Name: ygot.String(a.Name), Description: text(a.Description), Enabled: ygot.Bool(a.Enabled),
		Role: a.Roles, Certificate: a.Certificates, HasPassword: ygot.Bool(a.PasswordHash != ""),
		Logins: ygot.Uint64(s.Logins), FailedLogins: ygot.Uint64(s.FailedLogins),
		LastLogin: moment(s.LastLogin), LastLoginFrom: text(s.LastLoginFrom),
	}
}

// FillRole writes the state of a role and of its rules, in their order.
func FillRole(dst *gen.Device, s RoleState) {
	a := s.Applied
	r := dst.GetOrCreateRole(a.Name)
	r.State = &gen.Routerd_Role_State{
		Name: ygot.String(a.Name), Description: text(a.Description), Origin: gen.Routerd_AccessOrigin_configured, Users: ygot.Uint32(s.Users),
	}
	if a.BuiltIn {
		r.State.Origin = gen.Routerd_AccessOrigin_built_in
	}
	rules := r.GetOrCreateRuleMap()
	for _, rule := range a.Rules {
		g := rules.Get(rule.Name)
		if g == nil {
			// It fails for a name that is there already.
			g, _ = rules.AppendNew(rule.Name)
		}
		g.State = &gen.Routerd_Role_Rule_State{
			Name: ygot.String(rule.Name), Path: text(rule.PathText), Rpc: text(rule.RPC),
			Operation: accessOperation(rule), Action: gen.Routerd_AccessAction_deny,
		}
		if rule.Permit {
			g.State.Action = gen.Routerd_AccessAction_permit
		}
	}
}

// accessOperation is the operation that the rule names.
func accessOperation(r AccessRule) gen.E_Routerd_AccessOperation {
	switch {
	case r.RPC != "":
		return gen.Routerd_AccessOperation_exec
	case !r.Named || r.Read && r.Write:
		return gen.Routerd_AccessOperation_UNSET
	case r.Write:
		return gen.Routerd_AccessOperation_write
	}
	return gen.Routerd_AccessOperation_read
}

// FillAudit writes a call of the audit log.
func FillAudit(dst *gen.Device, r AuditRecord) {
	a := dst.GetOrCreateAudit(r.Number)
	a.Time, a.User, a.Source, a.Method = moment(r.Time), text(r.User), text(r.Source), text(r.Method)
	a.Authentication = authMethod(r.Auth)
	a.Path = r.Paths
	a.Status, a.Duration = text(r.Status), ygot.Uint64(uint64(r.Duration))
}

func authMethod(m AuthMethod) gen.E_Routerd_AuthenticationMethod {
	switch m {
	case AuthNone:
		return gen.Routerd_AuthenticationMethod_none
	case AuthSocket:
		return gen.Routerd_AuthenticationMethod_socket
	case AuthCertificate:
		return gen.Routerd_AuthenticationMethod_certificate
	case AuthPassword:
		return gen.Routerd_AuthenticationMethod_password
	}
	return gen.Routerd_AuthenticationMethod_UNSET
}

// fillAccess writes what is known of the management plane as a whole.
func fillAccess(dst *gen.Routerd_System_State, s *AccessState) {
	if s == nil {
		return
	}
	demand := gen.Routerd_AuthenticationDemand_none
	if s.Required {
		demand = gen.Routerd_AuthenticationDemand_required
	}
	dst.Access = &gen.Routerd_System_State_Access{
		Authentication: demand, Administrators: ygot.Uint32(s.Administrators),
		FailedLogins: ygot.Uint64(s.Failed), ThrottledLogins: ygot.Uint64(s.Throttled),
		Denied: ygot.Uint64(s.Denied), Limited: ygot.Uint64(s.Limited), AuditLost: ygot.Uint64(s.AuditLost),
	}
}

// fillTLS writes the state of the router's certificate.
func fillTLS(dst *gen.Routerd_System_State, s *TLSState) {
	if s == nil {
		return
	}
	dst.Tls = &gen.Routerd_System_State_Tls{
		Fingerprint: text(s.Fingerprint), Subject: text(s.Subject), Issuer: text(s.Issuer),
		NotBefore: moment(s.NotBefore), NotAfter: moment(s.NotAfter), Source: certificateSource(s.Source),
		Loaded: moment(s.Loaded), ClientAuthorities: ygot.Uint32(s.Authorities), Reloads: ygot.Uint64(s.Reloads), Error: text(s.Error),
	}
}

func certificateSource(s CertificateSource) gen.E_Routerd_CertificateSource {
	switch s {
	case SelfSigned:
		return gen.Routerd_CertificateSource_self_signed
	case FromFile:
		return gen.Routerd_CertificateSource_file
	case Installed:
		return gen.Routerd_CertificateSource_installed
	}
	return gen.Routerd_CertificateSource_UNSET
}
