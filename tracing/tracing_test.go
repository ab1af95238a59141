package tracing

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brief is what a test looks at of a span.
type brief struct {
	Name, Parent, Attributes, Status string
}

// A call of the store is below its command, and nothing that came from a client is told.
func TestSpans(t *testing.T) {
	memory := tracetest.NewInMemoryExporter()
	tr := newTracing(memory, resource.Empty())
	store := tr.Wrap("disk", backendtest.Memory())

	ctx, end := tr.Command(t.Context(), "SESSION", "SIZE")
	if _, err := store.Stat(ctx, "private/name"); backends.KindOf(err) != backends.NotExist {
		t.Fatal(err)
	}
	end(550, gateway.FaultClient)
	ctx, end = tr.Command(t.Context(), "SESSION", "STOR")
	if _, err := store.Put(ctx, "private/name", broken{}, backends.PutOptions{}); err == nil {
		t.Fatal("no error")
	}
	end(451, gateway.FaultServer)
	if err := tr.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := memory.GetSpans()
	names := map[string]string{}
	for _, s := range spans {
		names[s.SpanContext.SpanID().String()] = s.Name
	}
	var got []brief
	for _, s := range spans {
		var attributes []string
		for _, a := range s.Attributes {
			attributes = append(attributes, string(a.Key)+"="+a.Value.String())
		}
		got = append(got, brief{s.Name, names[s.Parent.SpanID().String()], strings.Join(attributes, " "), s.Status.Code.String()})
	}
	want := []brief{
		{"store stat", "FTP SIZE", "sluice.backend=disk sluice.operation=stat error.type=does not exist", "Unset"},
		{"FTP SIZE", "", "sluice.session=SESSION ftp.command=SIZE ftp.reply_code=550 sluice.fault=client", "Unset"},
		{"store put", "FTP STOR", "sluice.backend=disk sluice.operation=put error.type=internal error", "Error"},
		{"FTP STOR", "", "sluice.session=SESSION ftp.command=STOR ftp.reply_code=451 sluice.fault=server", "Error"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("private reason") }

// What the environment names is sent to, and only that; what cannot be sent is reported.
func TestOpen(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	status := http.StatusOK
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, r.URL.Path+" "+string(body))
		w.WriteHeader(status)
	}))
	defer collector.Close()
	var reported []error
	report := func(err error) { reported = append(reported, err) }

	if tr, err := Open(t.Context(), "v1", report); tr != nil || err != nil {
		t.Errorf("without an endpoint: %v, %v", tr, err)
	} else if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	t.Setenv(envEndpoint, collector.URL)
	t.Setenv(envProtocol, "grpc")
	if _, err := Open(t.Context(), "v1", report); err == nil || !strings.Contains(err.Error(), envProtocol) {
		t.Errorf("with grpc: %v", err)
	}
	t.Setenv(envProtocol, "")
	send := func() {
		t.Helper()
		tr, err := Open(t.Context(), "v1.2.3", report)
		if err != nil {
			t.Fatal(err)
		}
		_, end := tr.Command(t.Context(), "SESSION", "NOOP")
		end(200, gateway.FaultNone)
		if err := tr.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	send()
	if len(bodies) != 1 || !strings.HasPrefix(bodies[0], "/v1/traces ") || !strings.Contains(bodies[0], "FTP NOOP") ||
		!strings.Contains(bodies[0], "v1.2.3") {
		t.Errorf("the collector got %q", bodies)
	}
	if len(reported) > 0 {
		t.Error(reported)
	}
	status = http.StatusBadRequest
	send()
	if len(reported) != 1 {
		t.Errorf("reported: %v", reported)
	}
}

// The wrapper keeps the contract.
func TestWrap(t *testing.T) {
	tr := newTracing(tracetest.NewNoopExporter(), resource.Empty())
	defer func() {
		if err := tr.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	backendtest.Run(t, func(*testing.T) backendtest.Store {
		return backendtest.Store{Adapter: tr.Wrap("memory", backendtest.Memory())}
	})
}
