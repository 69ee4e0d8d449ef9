package main

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"router/cmd/routerd/access"
	"router/cmd/routerd/audit"
	"router/cmd/routerd/boot"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/northbound"
	"router/models"
)

// An accessState is who may come in, and what became of it.
type accessState struct {
	guard       *access.Guard
	audit       *audit.Log
	certificate *northbound.Certificate // nil without TLS
	auth        string                  // what callers by TCP have to prove without users, see boot
	tcp         bool                    // there is a TCP listener

	limited atomic.Pointer[func() uint64] // of the server, once there is one
}

// newAccess opens the audit log and loads the certificate, where there is to be
// one.
func newAccess(s boot.Settings, log *slog.Logger) (*accessState, error) {
	a := &accessState{guard: access.New(), auth: s.Auth, tcp: s.Listen != ""}
	var err error
	if a.audit, err = audit.Open(audit.Options{Dir: filepath.Join(s.StateDir, "audit"), Log: log}); err != nil {
		return nil, err
	}
	if s.Listen != "" && !s.Insecure {
		a.certificate, err = northbound.NewCertificate(northbound.TLSFiles{Cert: s.TLSCert, Key: s.TLSKey, CA: s.TLSCA, StateDir: s.StateDir}, log)
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

// required reports whether callers by TCP have to prove who they are, those from
// this machine apart where auth is local.
func (a *accessState) required() bool { return a.auth != boot.AuthNone || a.guard.HasUsers() }

// trusted reports whether callers from an address need no proof as long as no
// user is declared.
func (a *accessState) trusted(from netip.Addr) bool {
	return a.auth == boot.AuthNone || a.auth == boot.AuthLocal && from.Unmap().IsLoopback()
}

// system adds to the state of the system what is known here.
func (a *accessState) system(st *models.SystemState) {
	s := a.guard.State()
	s.Required = a.required()
	s.AuditLost = a.audit.Lost()
	if f := a.limited.Load(); f != nil {
		s.Limited = (*f)()
	}
	st.Access = &s
	if a.certificate != nil {
		t := a.certificate.State()
		st.TLS = &t
	}
}

func (a *accessState) numbers() []string {
	numbers := a.audit.Numbers()
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = strconv.FormatUint(n, 10)
	}
	return list
}

func (a *accessState) record(number string) (r models.AuditRecord, ok bool) {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return r, false
	}
	return a.audit.Record(n)
}

// watch calls fn with each object that changes by itself, not by a commit.
func (a *accessState) watch(fn func(models.Object)) (stop func()) {
	stops := []func(){
		a.guard.Watch(func(user string) { fn(models.Object{Kind: models.User, Name: user}) }),
		a.audit.Watch(func(n uint64) { fn(models.Object{Kind: models.Audit, Name: strconv.FormatUint(n, 10)}) }),
	}
	if a.certificate != nil {
		stops = append(stops, a.certificate.Watch(func() { fn(models.Object{Kind: models.System}) }))
	}
	return func() {
		for _, s := range stops {
			s()
		}
	}
}

// warn says what an operator should know of who can come in, at the start and
// after commits that change it.
func (a *accessState) warn(log *slog.Logger, listen string) {
	if !a.tcp {
		return
	}
	switch {
	case !a.required():
		log.Warn("nobody who comes by TCP is asked who it is: anybody who can connect can configure the router; declare users to change that", "listen", listen)
	case !a.guard.HasUsers() && a.auth == boot.AuthLocal:
		log.Warn("no user is declared: programs on this machine may configure the router by TCP without a proof of who they are, others not at all; declare users to change both", "listen", listen)
	case !a.guard.HasUsers() && (a.certificate == nil || !a.certificate.Authorities()):
		log.Warn("no user is declared and no authority of client certificates is known: nobody gets in by TCP; declare users over the Unix socket", "listen", listen)
	case a.guard.HasUsers() && a.guard.Administrators() == 0:
		log.Warn("no enabled user has the role admin: only root on the Unix socket can change users")
	}
}

// warnAfterCommits warns anew whenever a commit has changed users, until stop is
// called.
func (a *accessState) warnAfterCommits(store *datastore.Store, log *slog.Logger, listen string) (stop func()) {
	return store.Watch(func(e datastore.Event) {
		for _, p := range e.Touched {
			if len(p) == 0 || p[0].GetName() == "user" {
				a.warn(log, listen)
				return
			}
		}
	})
}
