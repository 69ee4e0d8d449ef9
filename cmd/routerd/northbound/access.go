package northbound

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"github.com/openconfig/ygot/ygot"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/access"
	"router/cmd/routerd/audit"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
	"router/models"
)

// This file stands in front of every call: it finds out who calls, whether that
// may call this at all, and writes the audit log.

type callKey struct{}

// An rpcCall is what is known of one RPC under way.
type rpcCall struct {
	subject *access.Subject
	source  string // as in the record of a commit
	record  models.AuditRecord
}

func callOf(ctx context.Context) *rpcCall {
	c, _ := ctx.Value(callKey{}).(*rpcCall)
	return c
}

// Caller says who called, and through what ("gnmi", "gnmi-tls" or "socket"), for
// the record of a commit. The name is proven wherever anybody is asked for a
// proof; else it is what the client calls itself, marked as unproven.
func Caller(ctx context.Context) (name, source string) {
	if c := callOf(ctx); c != nil && c.subject != nil && c.subject.Auth != models.AuthNone {
		return c.subject.Name, c.source
	}
	return caller(ctx)
}

// Note adds a path, or another thing that the call is about, to its entry in the
// audit log. Never give it a secret. It is for handlers of services whose requests
// this package doesn't know; call it before the handler returns.
func Note(ctx context.Context, what string) {
	if c := callOf(ctx); c != nil {
		c.note(what)
	}
}

const (
	notedPaths = 16
	notedText  = 256
)

func (c *rpcCall) note(what string) {
	if len(c.record.Paths) >= notedPaths {
		return
	}
	if len(what) > notedText {
		what = what[:notedText-3] + "..."
	}
	c.record.Paths = append(c.record.Paths, strings.ToValidUTF8(what, "?"))
}

// rights are what the caller may do; everything is true where nobody has to ask.
func rights(ctx context.Context) (r *access.Rights, everything bool) {
	c := callOf(ctx)
	if c == nil || c.subject == nil {
		return nil, true
	}
	return c.subject.Rights, false
}

// Authorize checks that the caller may do what the operations of a transaction
// do, and says by a status error what it may not. Services that change the
// configuration call it before they commit. A path that the model has not is denied
// where not everything is permitted. Operations that expand are changed, to be
// asked about when they do. The cost follows the request.
func (s *Server) Authorize(ctx context.Context, ops []tree.Op) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	for i, op := range ops {
		if op.Expand != nil {
			ops[i].Expand = s.authorizedExpand(r, op.Expand)
			continue
		}
		if err := s.authorizeOp(r, op); err != nil {
			s.denied()
			return err
		}
	}
	return nil
}

// authorizedExpand asks about the native operations that one of another origin
// turns out to be.
func (s *Server) authorizedExpand(r *access.Rights, expand func(ygot.GoStruct) ([]tree.Op, []*tree.Error)) func(ygot.GoStruct) ([]tree.Op, []*tree.Error) {
	return func(root ygot.GoStruct) ([]tree.Op, []*tree.Error) {
		ops, errs := expand(root)
		if len(errs) > 0 {
			return ops, errs
		}
		for _, op := range ops {
			if err := s.authorizeOp(r, op); err != nil {
				s.denied()
				return nil, []*tree.Error{{Kind: tree.Denied, Path: op.Path.String(), Err: errors.New(status.Convert(err).Message())}}
			}
		}
		return ops, nil
	}
}

func (s *Server) authorizeOp(r *access.Rights, op tree.Op) error {
	p := s.schema.Canonical(op.Path)
	switch r.Path(access.Write, p) {
	case access.Permit:
		return nil
	case access.Mixed:
	case access.Deny:
		return failf(codes.PermissionDenied, "path %s: your roles don't permit to %s it", p, op.Kind)
	}
	// Part of it is permitted: an update does no more than it says.
	if op.Kind == tree.Update {
		var denied tree.Path
		ok := s.schema.Leaves(p, op.Value, func(leaf tree.Path) {
			if denied == nil && r.Path(access.Write, s.schema.Canonical(leaf)) != access.Permit {
				denied = leaf
			}
		})
		switch {
		case denied != nil:
			return failf(codes.PermissionDenied, "path %s: your roles don't permit to update it", denied)
		case ok:
			return nil
		}
	}
	return failf(codes.PermissionDenied, "path %s: your roles don't permit to %s all that stands below it: name what you want to change", p, op.Kind)
}

// mayWrite refuses who may write nothing at all, before it changes anything by
// asking.
func (s *Server) mayWrite(ctx context.Context) error {
	r, everything := rights(ctx)
	if everything || r.Path(access.Write, nil) != access.Deny {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "your roles don't permit to change the configuration")
}

// authorizePending checks that the caller may confirm, cancel or put off the
// commit that waits: it has made it, or may write everything.
func (s *Server) authorizePending(ctx context.Context, c *gnmi_ext.Commit) error {
	if c == nil || c.GetCommit() != nil {
		return nil
	}
	return s.mayEndPending(ctx)
}

// mayEndPending is authorizePending for whatever asks for it.
func (s *Server) mayEndPending(ctx context.Context) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	name, _ := Caller(ctx)
	if p, ok := s.store.Pending(); ok && p.User == name {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "your roles permit to end unconfirmed commits of your own only")
}

// mayWriteAll refuses who may not write everything: what goes back to another
// configuration can change anything.
func (s *Server) mayWriteAll(ctx context.Context) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "your roles don't permit to change all of the configuration, which this can do")
}

// pathFilter is readFilter for paths of leaves.
func pathFilter(ctx context.Context) func(tree.Path) bool {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	return func(p tree.Path) bool { return r.Path(access.Read, p) == access.Permit }
}

// authorizeEdits checks that the caller may do what edits do.
func (c *configuration) authorizeEdits(ctx context.Context, edits []*configpb.Edit) error {
	if r, everything := rights(ctx); everything || r.Everything(access.Write) {
		return nil
	}
	var ops []tree.Op
	whole := func(texts ...string) error {
		for _, text := range texts {
			p, err := parsePath(text)
			if err != nil {
				return err
			}
			// As a delete does, it touches all that stands there.
			ops = append(ops, tree.Op{Kind: tree.Delete, Path: p})
		}
		return nil
	}
	for _, e := range edits {
		list, ok, err := c.operations(e)
		if err != nil {
			return err
		}
		ops = append(ops, list...)
		if ok {
			continue
		}
		switch x := e.GetEdit().(type) {
		case *configpb.Edit_Copy_:
			// What is copied can be read in the copy.
			if p, err := parsePath(x.Copy.GetFrom()); err != nil {
				return err
			} else if r, _ := rights(ctx); r.Path(access.Read, c.s.schema.Canonical(p)) != access.Permit {
				c.s.denied()
				return failf(codes.PermissionDenied, "path %s: your roles don't permit to read all of it", p)
			}
			err = whole(x.Copy.GetTo())
		case *configpb.Edit_Rename_:
			err = whole(x.Rename.GetFrom(), x.Rename.GetTo())
		case *configpb.Edit_Insert_:
			err = whole(x.Insert.GetPath())
		}
		if err != nil {
			return err
		}
	}
	return c.s.Authorize(ctx, ops)
}

// authorizeCandidate checks that the caller may make the changes of a candidate,
// others' in a shared one included.
func (c *configuration) authorizeCandidate(ctx context.Context, candidate *datastore.Candidate) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Write) {
		return nil
	}
	list, err := candidate.Compare()
	if err != nil {
		return configError(err)
	}
	for _, d := range list {
		p := d.Path
		switch n := c.s.schema.Nodes(p)[0]; {
		case n.KeyCopy:
			continue // it comes and goes with the key
		case n.IsKey():
			// The entry comes or goes.
			if p = p[:len(p)-1]; d.New != nil && r.Path(access.Write, p) == access.Mixed {
				continue // the leaves that come with it are asked about
			}
		}
		if r.Path(access.Write, p) != access.Permit {
			c.s.denied()
			return failf(codes.PermissionDenied, "path %s: your roles don't permit to change it", p)
		}
	}
	return nil
}

// mayRead checks the paths that a request asks for. A path that names one node,
// of which nothing is permitted, is an error; what patterns match is filtered as
// it is read.
func (s *Server) mayRead(ctx context.Context, paths []tree.Path) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	for _, p := range paths {
		p = s.schema.Canonical(p)
		if !isPattern(s.schema, p) && r.Path(access.Read, p) == access.Deny {
			s.denied()
			return failf(codes.PermissionDenied, "path %s: your roles don't permit to read it", p)
		}
	}
	return nil
}

// behindView are the native subtrees that the OpenConfig view shows below each of
// its roots.
var behindView = map[string][]string{
	"interfaces":        {"interface"},
	"network-instances": {"instance", "interface"},
	"system":            {"system"},
}

// mayReadOf is mayRead for paths of either tree. The view is read whole or not at all:
// rights are about native paths, and a leaf of the view may come from many.
func (s *Server) mayReadOf(ctx context.Context, list ...readable) error {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	for _, p := range list {
		if p.view == nil {
			if err := s.mayRead(ctx, []tree.Path{p.path}); err != nil {
				return err
			}
			continue
		}
		behind := []string{"interface", "instance", "system"}
		if len(p.path) > 0 {
			_, name, ok := strings.Cut(p.path[0].GetName(), ":")
			if !ok {
				name = p.path[0].GetName()
			}
			if some, known := behindView[name]; known {
				behind = some
			}
		}
		for _, name := range behind {
			if r.Path(access.Read, tree.Path{{Name: name}}) != access.Permit {
				s.denied()
				return failf(codes.PermissionDenied, "path %s of origin openconfig: your roles don't permit to read all of /%s, from which it comes: read what they permit there", p.path, name)
			}
		}
	}
	return nil
}

// isNative reports whether the node is one of the native tree.
func (s *Server) isNative(n *tree.Node) bool {
	for n.Parent != nil {
		n = n.Parent
	}
	return n == s.schema.Root
}

// readFilter reports, for the path of a leaf, whether the caller may read it. It is
// nil where everything is permitted. A key is readable where something of its entry
// may be.
func (s *Server) readFilter(ctx context.Context) func(tree.LeafValue) bool {
	r, everything := rights(ctx)
	if everything || r.Everything(access.Read) {
		return nil
	}
	return func(l tree.LeafValue) bool {
		if !s.isNative(l.Node) {
			return true // mayReadOf has asked about all that it can show
		}
		if l.Node.IsKey() {
			return r.Path(access.Read, l.Path[:len(l.Path)-1]) != access.Deny
		}
		return r.Path(access.Read, l.Path) == access.Permit
	}
}

func (s *Server) denied() {
	if s.opt.Guard != nil {
		s.opt.Guard.Denied()
	}
}

// openServices are those whose RPCs need no rule: they check paths, tell nothing
// of the router, or, for health, are asked by who has no name.
var openServices = []string{"gnmi.gNMI", "routerd.v1.Configuration", "routerd.v1.State", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}

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

// unary is the interceptor of calls with one request and one answer.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	c, err := s.begin(ctx, info.FullMethod)
	c.noteRequest(req)
	if err == nil {
		resp, err = handler(context.WithValue(ctx, callKey{}, c), req)
	}
	c.record.Status, c.record.Duration = codeText(err), s.now().Sub(c.record.Time)
	if s.opt.Audit != nil && !strings.HasPrefix(c.record.Method, healthService) {
		s.opt.Audit.Add(c.record)
	}
	return resp, err
}

// stream is the interceptor of calls with streams. A stream ends when its
// caller's rights have changed.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c, err := s.begin(ss.Context(), info.FullMethod)
	if err != nil {
		c.record.Status, c.record.Duration = codeText(err), s.now().Sub(c.record.Time)
		if s.opt.Audit != nil {
			s.opt.Audit.Add(c.record)
		}
		return err
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(ss.Context(), callKey{}, c))
	defer cancel(nil)
	if s.opt.Guard != nil && c.subject != nil {
		go s.watchRights(ctx, c, cancel)
	}
	w := &watchedStream{ServerStream: ss, ctx: ctx, call: c, audit: s.opt.Audit}
	err = handler(srv, w)
	if cause := context.Cause(ctx); errors.Is(cause, errRights) {
		err = cause
	}
	w.close(codeText(err), s.now().Sub(c.record.Time))
	return err
}

// errRights ends the streams of a user whose rights have changed.
var errRights = failf(codes.PermissionDenied, "your rights have changed: call again")

// watchRights cancels the stream when its caller may not go on with it.
func (s *Server) watchRights(ctx context.Context, c *rpcCall, cancel context.CancelCauseFunc) {
	service, _, _ := strings.Cut(c.record.Method, "/")
	for {
		changed := s.opt.Guard.Changed()
		if !s.opt.Guard.Current(c.subject, c.record.Method, s.open[service]) {
			cancel(errRights)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// codeText is the gRPC code that a handler's error is answered with.
func codeText(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Code().String()
	}
	return status.Code(err).String()
}

// A watchedStream notes what the client asks for, and sends nothing more once the
// call is over.
type watchedStream struct {
	grpc.ServerStream
	ctx   context.Context
	call  *rpcCall
	audit *audit.Log
	asked bool // the client has said what it wants
}

// Context implements [grpc.ServerStream].
func (w *watchedStream) Context() context.Context { return w.ctx }

// SendMsg implements [grpc.ServerStream].
func (w *watchedStream) SendMsg(m any) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return w.ServerStream.SendMsg(m)
}

// RecvMsg implements [grpc.ServerStream].
func (w *watchedStream) RecvMsg(m any) error {
	err := w.ServerStream.RecvMsg(m)
	if err == nil && !w.asked {
		w.asked = true
		w.call.noteRequest(m)
		w.open()
	}
	return err
}

func (w *watchedStream) open() {
	if w.audit == nil {
		return
	}
	r := w.call.record
	r.Status = "open"
	w.call.record.Number = w.audit.Add(r)
}

func (w *watchedStream) close(code string, took time.Duration) {
	if w.audit == nil {
		return
	}
	w.call.record.Status, w.call.record.Duration = code, took
	if w.call.record.Number == 0 {
		w.audit.Add(w.call.record)
		return
	}
	w.audit.Finish(w.call.record)
}

// noteRequest takes the paths of gNMI's requests down, without values.
func (c *rpcCall) noteRequest(req any) {
	text := func(prefix, p *gnmi.Path) string {
		full := append(append(tree.Path{}, prefix.GetElem()...), p.GetElem()...)
		if origin := prefix.GetOrigin() + p.GetOrigin(); origin != "" && origin != nativeOrigin {
			return origin + ":" + full.String()
		}
		return full.String()
	}
	switch m := req.(type) {
	case *gnmi.GetRequest:
		for _, p := range m.GetPath() {
			c.note(text(m.GetPrefix(), p))
		}
	case *gnmi.SetRequest:
		for _, p := range m.GetDelete() {
			c.note("delete " + text(m.GetPrefix(), p))
		}
		for _, u := range m.GetReplace() {
			c.note("replace " + text(m.GetPrefix(), u.GetPath()))
		}
		for _, u := range m.GetUpdate() {
			c.note("update " + text(m.GetPrefix(), u.GetPath()))
		}
		for _, u := range m.GetUnionReplace() {
			c.note("union-replace " + text(m.GetPrefix(), u.GetPath()))
		}
	case *gnmi.SubscribeRequest:
		list := m.GetSubscribe()
		for _, sub := range list.GetSubscription() {
			c.note(text(list.GetPrefix(), sub.GetPath()))
		}
	}
}
