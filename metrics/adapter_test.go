package metrics_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/metrics"
)

// scrape returns the lines of a scrape that begin with one of prefixes.
func scrape(t *testing.T, m *metrics.Metrics, prefixes ...string) []string {
	t.Helper()
	var out answer
	m.Handler().ServeHTTP(&out, &http.Request{Method: http.MethodGet, Header: http.Header{}})
	var lines []string
	for line := range strings.Lines(out.String()) {
		for _, p := range prefixes {
			if strings.HasPrefix(line, p) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// answer is a http.ResponseWriter that keeps the body.
type answer struct {
	strings.Builder
	header http.Header
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}
func (a *answer) WriteHeader(int) {}

func counted(lines []string) map[string]bool {
	all := map[string]bool{}
	for _, l := range lines {
		all[l] = true
	}
	return all
}

// The wrapper keeps the contract.
func TestWrapContract(t *testing.T) {
	m := metrics.New(metrics.Options{})
	backendtest.Run(t, func(*testing.T) backendtest.Store {
		return backendtest.Store{Adapter: m.Backend("memory").Wrap(backendtest.Memory())}
	})
}

func TestWrapCounts(t *testing.T) {
	m := metrics.New(metrics.Options{})
	faulty := backendtest.Faulty(backendtest.Memory())
	a := m.Backend("b").Wrap(faulty)
	ctx := t.Context()
	if _, err := a.Put(ctx, "dir/o", strings.NewReader("x"), backends.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(ctx, "o", io.MultiReader(strings.NewReader("x"), broken{}), backends.PutOptions{}); err == nil {
		t.Fatal("a broken upload is published")
	}
	for _, err := range a.List(ctx, "dir", backends.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	for kind, want := range map[backends.Kind]string{
		backends.NotExist: "not_found", backends.Permission: "denied", backends.Misconfigured: "denied", backends.Busy: "conflict",
		backends.Unavailable: "unavailable", backends.NoSpace: "no_space", backends.Corrupt: "corrupt", backends.Internal: "internal",
		backends.InvalidName: "refused",
	} {
		faulty.FailNext("stat", &backends.Error{Kind: kind})
		if _, err := a.Stat(ctx, "o"); backends.KindOf(err) != kind {
			t.Fatal(err)
		}
		line := `sluice_backend_operations_total{backend="b",operation="stat",result="` + want + `"}`
		if len(scrape(t, m, line)) != 1 {
			t.Errorf("%v: no %s", kind, line)
		}
	}
	faulty.FailNext("list", &backends.Error{Kind: backends.Unavailable})
	for _, err := range a.List(ctx, "dir", backends.ListOptions{}) {
		if err == nil {
			t.Error("no error")
		}
	}
	got := counted(scrape(t, m, "sluice_backend_operations_total", "sluice_backend_operation_duration_seconds_count"))
	for _, want := range []string{
		`sluice_backend_operations_total{backend="b",operation="put",result="ok"} 1`,
		`sluice_backend_operations_total{backend="b",operation="put",result="internal"} 1`,
		`sluice_backend_operations_total{backend="b",operation="list",result="ok"} 1`,
		`sluice_backend_operations_total{backend="b",operation="list",result="unavailable"} 1`,
		`sluice_backend_operation_duration_seconds_count{backend="b",operation="list"} 2`,
		`sluice_backend_operation_duration_seconds_count{backend="b",operation="stat"} 9`,
	} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
	if n := len(scrape(t, m, `sluice_backend_operation_duration_seconds_count{backend="b",operation="put"}`)); n > 0 {
		t.Error("the time of a put is that of its client")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

// sender answers as it is told.
type sender func(*http.Request) (*http.Response, error)

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func TestTransport(t *testing.T) {
	m := metrics.New(metrics.Options{Backends: []string{"b"}})
	status := func(code int) sender {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: http.NoBody}, nil
		}
	}
	fails := func(err error) sender {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	for want, next := range map[string]sender{
		"2xx": status(204), "3xx": status(304), "4xx": status(404), "5xx": status(500), "throttled": status(503),
		"timeout": fails(context.DeadlineExceeded), "cancelled": fails(context.Canceled), "error": fails(io.EOF),
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://host/key", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := m.Backend("b").Transport(next).RoundTrip(req)
		if (resp == nil) == (err == nil) {
			t.Fatal(resp, err)
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		if len(scrape(t, m, `sluice_backend_requests_total{backend="b",method="PUT",result="`+want+`"} 1`)) != 1 {
			t.Errorf("%s was not counted", want)
		}
	}
	again, err := http.NewRequestWithContext(backends.WithAttempt(t.Context(), 1), "EVIL", "http://host/key", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := m.Backend("b").Transport(status(200)).RoundTrip(again)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if diff := cmp.Diff([]string{
		`sluice_backend_requests_total{backend="b",method="OTHER",result="2xx"} 1`, `sluice_backend_retries_total{backend="b"} 1`,
	}, scrape(t, m, `sluice_backend_requests_total{backend="b",method="OTHER"`, "sluice_backend_retries_total")); diff != "" {
		t.Error(diff)
	}
}

func TestKept(t *testing.T) {
	m := metrics.New(metrics.Options{})
	var k backends.Kept
	m.Backend("b").Kept(k)
	if diff := cmp.Diff([]string{`sluice_kept_upload_oldest_timestamp_seconds{backend="b"} 0`, `sluice_kept_uploads{backend="b"} 0`}, scrape(t, m, "sluice_kept")); diff != "" {
		t.Error(diff)
	}
	k.Add(time.Unix(2000, 0))
	k.Add(time.Unix(1000, 0))
	k.Add(time.Unix(3000, 0))
	m.Backend("b").Kept(k)
	if diff := cmp.Diff([]string{`sluice_kept_upload_oldest_timestamp_seconds{backend="b"} 1000`, `sluice_kept_uploads{backend="b"} 3`}, scrape(t, m, "sluice_kept")); diff != "" {
		t.Error(diff)
	}
}
