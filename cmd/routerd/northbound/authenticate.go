package northbound

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/access"
	"router/models"
)

// openServices are those whose RPCs need no rule: they check paths, tell nothing
// of the router, or, for health, are asked by who has no name.
var openServices = []string{"gnmi.gNMI", "routerd.v1.Configuration", "routerd.v1.Forwarding", "routerd.v1.State", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}

const healthService = "grpc.health.v1.Health"

// begin finds out who calls method and whether it may. The call is returned, for
// the audit log, in any case.
func (s *Server) begin(ctx context.Context, fullMethod string) (*rpcCall, error) {
	method := strings.TrimPrefix(fullMethod, "/")
	c := &rpcCall{record: models.AuditRecord{Time: s.now(), Method: method, Source: "unix"}}
	_, c.source = caller(ctx)
	var from netip.Addr
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		if from = addressOf(p.Addr); from.IsValid() {
			c.record.Source = p.Addr.String()
		}
	}
	if from.IsValid() && !s.rate.allow(from, s.now()) {
		s.limited.Add(1)
		return c, failf(codes.ResourceExhausted, "more than %g calls a second come from %v (rate-limit): slow down", s.opt.Limits.Rate, from)
	}
	service, _, _ := strings.Cut(method, "/")
	if service == healthService {
		return c, nil
	}
	subject, err := s.authenticate(ctx, from)
	if err != nil {
		if md, ok := metadata.FromIncomingContext(ctx); ok {
			c.record.User = first(md, "username")
		}
		return c, err
	}
	if subject == nil {
		name, _ := caller(ctx)
		c.record.User = name
		return c, nil
	}
	c.subject = subject
	c.record.User, c.record.Auth = subject.Name, subject.Auth
	if !subject.Rights.RPC(method, s.open[service]) {
		s.denied()
		return c, failf(codes.PermissionDenied, "your roles don't permit to call %s", method)
	}
	return c, nil
}

// authenticate finds out who calls. nil is anybody, where there is no guard.
func (s *Server) authenticate(ctx context.Context, from netip.Addr) (*access.Subject, error) {
	g := s.opt.Guard
	if g == nil {
		return nil, nil
	}
	var certificate *x509.Certificate
	if p, ok := peer.FromContext(ctx); ok {
		switch a := p.AuthInfo.(type) {
		case peerInfo:
			return access.Root(a.user, models.AuthSocket), nil
		case credentials.TLSInfo:
			if chains := a.State.VerifiedChains; len(chains) > 0 {
				certificate = chains[0][0]
			}
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	user, password := first(md, "username"), first(md, "password")
	if !g.HasUsers() {
		switch {
		case certificate != nil:
			return access.Root(certificate.Subject.CommonName, models.AuthCertificate), nil
		case s.opt.Trusted != nil && s.opt.Trusted(from):
			name, _ := caller(ctx)
			return access.Root(name, models.AuthNone), nil
		}
		g.NoCredentials()
		return nil, failf(codes.Unauthenticated, "no user is declared: declare one over the router's Unix socket, or name an authority of client certificates (tls-ca)")
	}
	if password != "" {
		subject, err := g.Password(ctx, user, password, from)
		var throttled *access.ThrottledError
		switch {
		case err == nil:
			return subject, nil
		case errors.As(err, &throttled):
			return nil, failf(codes.ResourceExhausted, "%v", throttled)
		case errors.Is(err, access.ErrCredentials):
			return nil, failf(codes.Unauthenticated, "%v", err)
		}
		return nil, status.FromContextError(err).Err()
	}
	if certificate != nil {
		if subject, ok := g.Certificate(certificateNames(certificate), from, s.fresh(ctx)); ok {
			return subject, nil
		}
		g.NoCredentials()
		return nil, failf(codes.Unauthenticated, "no user is declared for the certificate of %q: add its name to a user's certificate, or give a password", certificate.Subject.CommonName)
	}
	g.NoCredentials()
	return nil, failf(codes.Unauthenticated, "give a user name and a password (metadata username, password), or a client certificate")
}

type loginKey struct{}

// A connections tells the calls of one connection from those of another.
type connections struct{}

// TagConn implements [stats.Handler].
func (connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, loginKey{}, new(atomic.Bool))
}

// HandleConn implements [stats.Handler].
func (connections) HandleConn(context.Context, stats.ConnStats) {}

// TagRPC implements [stats.Handler].
func (connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements [stats.Handler].
func (connections) HandleRPC(context.Context, stats.RPCStats) {}

// fresh reports whether the call is the first with its certificate on its
// connection.
func (s *Server) fresh(ctx context.Context) bool {
	c, ok := ctx.Value(loginKey{}).(*atomic.Bool)
	return ok && c.CompareAndSwap(false, true)
}

func first(md metadata.MD, key string) string {
	if v := md.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// certificateNames are the names that a certificate may stand for a user by.
func certificateNames(c *x509.Certificate) []string {
	names := []string{c.Subject.CommonName}
	names = append(names, c.DNSNames...)
	names = append(names, c.EmailAddresses...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}
