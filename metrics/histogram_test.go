package metrics_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/metrics"
)

// A slow command leads to its trace, where there is one that is recorded and the scraper can read that.
func TestExemplars(t *testing.T) {
	m := metrics.New(metrics.Options{})
	id := trace.TraceID{1, 2, 3}
	for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled} {
		ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: flags,
		}))
		m.Reply(ctx, "SIZE", 213, gateway.FaultNone, 3*time.Second)
		for accept, may := range map[string]bool{"application/openmetrics-text; version=1.0.0": true, "text/plain": false} {
			var out answer
			m.Handler().ServeHTTP(&out, &http.Request{Method: http.MethodGet, Header: http.Header{"Accept": {accept}}})
			want := may && flags.IsSampled()
			if got := strings.Contains(out.String(), `# {trace_id="`+id.String()+`"}`); got != want {
				t.Errorf("sampled %v, %s: an exemplar is %v", flags.IsSampled(), accept, got)
			}
		}
	}
}

// Histograms have classic buckets, and native ones for who asks for them.
func TestNativeHistograms(t *testing.T) {
	m := metrics.New(metrics.Options{})
	m.Reply(t.Context(), "SIZE", 213, gateway.FaultNone, time.Second)
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	var out answer
	m.Handler().ServeHTTP(&out, &http.Request{Method: http.MethodGet, Header: http.Header{"Accept": {string(format)}}})
	decoder, found := expfmt.NewDecoder(strings.NewReader(out.String()), format), 0
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(f.GetName(), "sluice_") || f.GetMetric()[0].GetHistogram() == nil {
			continue
		}
		found++
		h := f.GetMetric()[0].GetHistogram()
		if len(h.GetBucket()) == 0 || h.Schema == nil || len(h.GetPositiveSpan()) == 0 {
			t.Errorf("%s has %d buckets, schema %v", f.GetName(), len(h.GetBucket()), h.Schema)
		}
	}
	if found == 0 {
		t.Error("there is no histogram")
	}
}
