// Package tracing sends a span for each command and for each call of a store below it to a collector, by
// OpenTelemetry's protocol over HTTP. It is off unless the environment names one. Spans tell of sessions
// by their id, and of nothing that a client sends.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/gateway"
)

// The variables that are looked at here; the exporter and the SDK read the others of OpenTelemetry's
// specification (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES ...).
const (
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envDisabled       = "OTEL_SDK_DISABLED"
)

// Tracing makes spans and sends them.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Open begins to trace if the environment names a collector; otherwise it returns nil. What goes wrong
// with sending is told to report.
func Open(ctx context.Context, version string, report func(error)) (*Tracing, error) {
	if os.Getenv(envEndpoint) == "" && os.Getenv(envTracesEndpoint) == "" || os.Getenv(envDisabled) == "true" {
		return nil, nil //nolint:nilnil // off
	}
	for _, name := range []string{envTracesProtocol, envProtocol} {
		if p := os.Getenv(name); p != "" && p != "http/protobuf" {
			return nil, fmt.Errorf("tracing: %s is %q; http/protobuf is what there is", name, p)
		}
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		semconv.ServiceName("sluice"), semconv.ServiceVersion(version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", errors.Join(err, exporter.Shutdown(ctx)))
	}
	return newTracing(&reporting{exporter, report}, about), nil
}

func newTracing(exporter sdktrace.SpanExporter, about *resource.Resource) *Tracing {
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &Tracing{provider: p, tracer: p.Tracer("github.com/sluice-ftp/sluice")}
}

// reporting tells of what could not be sent: the SDK would write it to standard error by itself.
type reporting struct {
	sdktrace.SpanExporter
	report func(error)
}

func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := r.SpanExporter.ExportSpans(ctx, spans); err != nil {
		r.report(err)
	}
	return nil
}

// Close sends what has not been sent.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

var _ gateway.Tracer = (*Tracing)(nil)

// Command implements gateway.Tracer.
func (t *Tracing) Command(ctx context.Context, session, verb string) (context.Context, func(int, gateway.Fault)) {
	ctx, span := t.tracer.Start(ctx, "FTP "+verb, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("sluice.session", session), attribute.String("ftp.command", verb)))
	return ctx, func(code int, fault gateway.Fault) {
		span.SetAttributes(attribute.Int("ftp.reply_code", code))
		if fault != gateway.FaultNone {
			span.SetAttributes(attribute.String("sluice.fault", string(fault)))
		}
		if fault == gateway.FaultServer {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Wrap makes a span of each call of a, which is called name.
func (t *Tracing) Wrap(name string, a backends.CloudStorageAdapter) backends.CloudStorageAdapter {
	return backends.Watched(a, func(ctx context.Context, op string) (context.Context, backends.Call) {
		ctx, span := t.tracer.Start(ctx, "store "+op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("sluice.backend", name), attribute.String("sluice.operation", op)))
		return ctx, call{span}
	})
}

// call is the span of one call.
type call struct{ trace.Span }

// Began implements backends.Call.
func (c call) Began() { c.AddEvent("first entry") }

// Ended implements backends.Call. What an error says is for the log: it may name what partners sent.
func (c call) Ended(err error) {
	if err != nil {
		kind := backends.KindOf(err)
		c.SetAttributes(attribute.String("error.type", kind.String()))
		if kind != backends.NotExist {
			c.SetStatus(codes.Error, "")
		}
	}
	c.End()
}
