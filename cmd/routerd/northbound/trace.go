package northbound

import (
	"context"

	"google.golang.org/grpc/metadata"

	"router/cmd/routerd/trace"
)

// startSpan begins the trace of a call, as a part of the client's where its
// metadata has one (traceparent, W3C Trace Context).
func startSpan(ctx context.Context, name string) (context.Context, trace.Span) {
	if !trace.Enabled() {
		return ctx, trace.Span{}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = trace.Remote(ctx, func(key string) string {
		if v := md.Get(key); len(v) > 0 {
			return v[0]
		}
		return ""
	})
	ctx, span := trace.Start(ctx, name)
	user, via := caller(ctx)
	span.Text("user", user)
	span.Text("source", via)
	return ctx, span
}
