package trace

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestSpans(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	stop := use(rec, Options{Version: "v1", Instance: "abc"})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := Remote(context.Background(), func(key string) string {
		if key == "traceparent" {
			return parent
		}
		return ""
	})
	ctx, whole := Start(ctx, "commit")
	whole.Int("commit", 7)
	whole.Text("user", "root")
	_, part := Start(ctx, "apply")
	part.Done(errors.New("no link"))
	whole.Done(nil)
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	spans := rec.Ended()
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	apply, commit := spans[0], spans[1]
	if apply.Name() != "apply" || apply.Parent().SpanID() != commit.SpanContext().SpanID() || apply.Status() != (sdk.Status{Code: codes.Error, Description: "no link"}) {
		t.Errorf("the part: %s of %v, %v", apply.Name(), apply.Parent().SpanID(), apply.Status())
	}
	if commit.SpanContext().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || commit.Parent().SpanID().String() != "b7ad6b7169203331" || !commit.Parent().IsRemote() {
		t.Errorf("the trace does not continue the client's: %v in %v", commit.Parent(), commit.SpanContext().TraceID())
	}
	if a := commit.Attributes(); len(a) != 2 || a[0].Value.AsInt64() != 7 || a[1].Value.AsString() != "root" {
		t.Errorf("attributes %v", a)
	}
	if Enabled() {
		t.Error("spans are made after the end")
	}
}

func TestMalformedParentIsLeftOut(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	stop := use(rec, Options{})
	defer stop(context.Background())
	for _, parent := range []string{"", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} {
		ctx := Remote(context.Background(), func(string) string { return parent })
		_, s := Start(ctx, "commit")
		s.End()
	}
	for _, s := range rec.Ended() {
		if s.Parent().IsValid() {
			t.Errorf("a parent was made of nonsense: %v", s.Parent())
		}
	}
}

func TestOffCostsNothing(t *testing.T) {
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		ctx, s := Start(Remote(ctx, func(string) string { return "" }), "commit")
		s.Int("commit", 7)
		s.Text("user", "root")
		_, p := Start(ctx, "apply")
		p.Done(nil)
		s.End()
	}); n != 0 {
		t.Errorf("%v allocations with nobody to send spans to", n)
	}
}
