package northbound

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/access"
	"router/cmd/routerd/audit"
	"router/cmd/routerd/datastore/tree"
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

// unary is the interceptor of calls with one request and one answer.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if changing[info.FullMethod] {
		s.first.begin()
		defer s.first.end()
	}
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
