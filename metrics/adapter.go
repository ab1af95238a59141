package metrics

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Backend counts what happens between the gateway and one store.
type Backend struct {
	metrics *Metrics
	name    string
}

// Backend returns the counters of the store of that name.
func (m *Metrics) Backend(name string) *Backend { return &Backend{m, name} }

// Kept notes what an adapter has found of uploads that may go on.
func (b *Backend) Kept(k backends.Kept) {
	b.metrics.keptUploads.WithLabelValues(b.name).Set(float64(k.Uploads))
	oldest := 0.0
	if !k.Oldest.IsZero() {
		oldest = float64(k.Oldest.Unix())
	}
	b.metrics.keptOldest.WithLabelValues(b.name).Set(oldest)
}

// Up notes whether the store answered when it was asked.
func (b *Backend) Up(up bool) { b.metrics.backendUp.WithLabelValues(b.name).Set(truth(up)) }

// Transport counts the requests that next sends.
func (b *Backend) Transport(next http.RoundTripper) http.RoundTripper { return transport{next, b} }

type transport struct {
	next    http.RoundTripper
	backend *Backend
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	m, name := t.backend.metrics, t.backend.name
	if backends.Attempt(r.Context()) > 0 {
		m.retries.WithLabelValues(name).Inc()
	}
	start := time.Now()
	resp, err := t.next.RoundTrip(r)
	method := method(r.Method)
	m.requests.WithLabelValues(name, method, answer(resp, err)).Inc()
	observe(r.Context(), m.requestDuration.WithLabelValues(name, method), time.Since(start))
	return resp, err
}

// method is one of those that stores are asked with.
func method(s string) string {
	switch s {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete:
		return s
	}
	return "OTHER"
}

const throttled = "throttled"

// answer is the class of a status, throttling by itself, or what went wrong before there was one.
func answer(resp *http.Response, err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case err != nil:
		return "error"
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return throttled
	}
	return strconv.Itoa(resp.StatusCode/100) + "xx"
}

// Wrap counts the calls of a.
func (b *Backend) Wrap(a backends.CloudStorageAdapter) backends.CloudStorageAdapter {
	return backends.Watched(a, func(ctx context.Context, op string) (context.Context, backends.Call) {
		return ctx, &call{backend: b, ctx: ctx, op: op, start: time.Now()}
	})
}

// call counts one call of an adapter.
type call struct {
	backend *Backend
	ctx     context.Context // stored for the exemplar, for as long as the call takes
	op      string
	start   time.Time
	timed   bool
}

// Began implements backends.Call: what comes after it waits for the client too.
func (c *call) Began() {
	if !c.timed {
		c.timed = true
		m := c.backend.metrics
		observe(c.ctx, m.operationDuration.WithLabelValues(c.backend.name, c.op), time.Since(c.start))
	}
}

// Ended implements backends.Call.
func (c *call) Ended(err error) {
	if c.op != "put" { // which takes as long as the client does
		c.Began()
	}
	c.backend.metrics.operations.WithLabelValues(c.backend.name, c.op, resultOf(err)).Inc()
}

// operations are the calls that backends.Watched tells of, results how they end.
var (
	operations = []string{
		"stat", "list", "open", "put", "pending", "discard", "copy", "rename", "remove", "mkdir", "rmdir", "set_mod_time", "available",
	}
	results = []string{
		"ok", "not_found", "denied", "conflict", "unavailable", "no_space", "corrupt", "internal", "refused",
	}
)

// resultOf is one of results.
func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	switch backends.KindOf(err) {
	case backends.NotExist:
		return "not_found"
	case backends.Permission, backends.Misconfigured:
		return "denied"
	case backends.Exist, backends.Conflict, backends.Fenced, backends.Busy, backends.NotEmpty:
		return "conflict"
	case backends.Unavailable:
		return "unavailable"
	case backends.NoSpace:
		return "no_space"
	case backends.Corrupt:
		return "corrupt"
	case backends.Internal:
		return "internal" // of put mostly that its upload broke off
	}
	return "refused"
}
