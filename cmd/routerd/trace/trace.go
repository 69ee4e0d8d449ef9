// Package trace records how long the steps of a commit take, as OpenTelemetry
// spans, and sends them to a collector by OTLP.
//
// Invariant: as long as no collector is configured, nothing is started and a
// span costs one atomic load. A collector that is slow or away costs spans, never
// time of a commit: they wait in a queue of bounded length (2048), and what has no
// room there is dropped.
//
// Source: the OpenTelemetry specification, Trace API; W3C Trace Context for what
// comes in from clients; docs/telemetry.md lists the spans.
package trace

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// Options say where spans go.
type Options struct {
	Endpoint string // http://HOST:PORT in the clear, https://HOST:PORT over TLS
	Version  string // of routerd
	Instance string // tells this router from others
}

// tracer makes spans; nil while there is nobody to send them to.
var tracer atomic.Pointer[api.Tracer]

// Open starts to send spans, until stop is called; stop hands over what waits, as
// long as its context lasts. It doesn't wait for the collector, which may come and go.
func Open(ctx context.Context, opt Options) (stop func(context.Context) error, err error) {
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(opt.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("otlp-endpoint %s: %w", opt.Endpoint, err)
	}
	return use(sdk.NewBatchSpanProcessor(exporter), opt), nil
}

// use sends spans to p.
func use(p sdk.SpanProcessor, opt Options) (stop func(context.Context) error) {
	provider := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(p),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "routerd"),
			attribute.String("service.version", opt.Version),
			attribute.String("service.instance.id", opt.Instance),
		)),
	)
	t := provider.Tracer("routerd")
	tracer.Store(&t)
	return func(ctx context.Context) error {
		tracer.Store(nil)
		return provider.Shutdown(ctx)
	}
}

// Enabled reports whether spans go anywhere: whether a name or an attribute is
// worth making.
func Enabled() bool { return tracer.Load() != nil }

// A Span is a step under way. The zero Span records nothing.
type Span struct{ span api.Span }

// Start begins a step. The context that it returns makes later spans its parts.
func Start(ctx context.Context, name string) (context.Context, Span) {
	t := tracer.Load()
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := (*t).Start(ctx, name)
	return ctx, Span{s}
}

// End ends the step.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}

// Done ends the step with what became of it; nil is success.
func (s Span) Done(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// Int notes a number with the step.
func (s Span) Int(key string, n int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(key, n))
	}
}

// Text notes a text with the step.
func (s Span) Text(key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Remote continues the trace that a client began, where it says so in the fields
// traceparent and tracestate (W3C Trace Context, 3). get reads the first value of
// a field, "" for none. What is malformed is left out of account.
func Remote(ctx context.Context, get func(key string) string) context.Context {
	if !Enabled() {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, carrier(get))
}

type carrier func(string) string

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return c(key) }

// Set implements propagation.TextMapCarrier; nothing is written to a request.
func (c carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return []string{"traceparent", "tracestate"} }
