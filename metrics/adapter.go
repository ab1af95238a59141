package metrics

import (
	"context"
	"errors"
	"io"
	"iter"
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
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
		return s
	}
	return "OTHER"
}

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
		return "throttled"
	}
	return strconv.Itoa(resp.StatusCode/100) + "xx"
}

// Wrap counts the calls of a.
func (b *Backend) Wrap(a backends.CloudStorageAdapter) backends.CloudStorageAdapter {
	return &adapter{a, b}
}

// adapter counts calls by operation and result.
type adapter struct {
	backends.CloudStorageAdapter
	backend *Backend
}

// count notes how an operation ended that waits for nobody but the store.
func (a *adapter) count(ctx context.Context, operation string, start time.Time, err error) {
	a.result(operation, err)
	observe(ctx, a.backend.metrics.operationDuration.WithLabelValues(a.backend.name, operation), time.Since(start))
}

func (a *adapter) result(operation string, err error) {
	a.backend.metrics.operations.WithLabelValues(a.backend.name, operation, resultOf(err)).Inc()
}

// resultOf is one of a closed set.
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

// Stat implements backends.CloudStorageAdapter.
func (a *adapter) Stat(ctx context.Context, key string) (obj backends.Object, err error) {
	defer func(start time.Time) { a.count(ctx, "stat", start, err) }(time.Now())
	return a.CloudStorageAdapter.Stat(ctx, key)
}

// List implements backends.CloudStorageAdapter.
func (a *adapter) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		start, begun := time.Now(), false
		first := func(err error) {
			if !begun {
				begun = true
				a.count(ctx, "list", start, err)
			} else if err != nil {
				a.result("list", err)
			}
		}
		for obj, err := range a.CloudStorageAdapter.List(ctx, dir, o) {
			first(err)
			if !yield(obj, err) {
				return
			}
		}
		first(nil)
	}
}

// Open implements backends.CloudStorageAdapter.
func (a *adapter) Open(ctx context.Context, key string, o backends.OpenOptions) (r backends.Reader, err error) {
	defer func(start time.Time) { a.count(ctx, "open", start, err) }(time.Now())
	return a.CloudStorageAdapter.Open(ctx, key, o)
}

// Put implements backends.CloudStorageAdapter. It takes as long as the client does.
func (a *adapter) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	obj, err := a.CloudStorageAdapter.Put(ctx, key, r, o)
	a.result("put", err)
	return obj, err
}

// Pending implements backends.CloudStorageAdapter.
func (a *adapter) Pending(ctx context.Context, key, owner string) (p backends.Pending, err error) {
	defer func(start time.Time) { a.count(ctx, "pending", start, err) }(time.Now())
	return a.CloudStorageAdapter.Pending(ctx, key, owner)
}

// Discard implements backends.CloudStorageAdapter.
func (a *adapter) Discard(ctx context.Context, key, owner string) (err error) {
	defer func(start time.Time) { a.count(ctx, "discard", start, err) }(time.Now())
	return a.CloudStorageAdapter.Discard(ctx, key, owner)
}

// Copy implements backends.CloudStorageAdapter.
func (a *adapter) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (obj backends.Object, err error) {
	defer func(start time.Time) { a.count(ctx, "copy", start, err) }(time.Now())
	return a.CloudStorageAdapter.Copy(ctx, from, to, o)
}

// Rename implements backends.CloudStorageAdapter.
func (a *adapter) Rename(ctx context.Context, from, to string, o backends.RenameOptions) (err error) {
	defer func(start time.Time) { a.count(ctx, "rename", start, err) }(time.Now())
	return a.CloudStorageAdapter.Rename(ctx, from, to, o)
}

// Remove implements backends.CloudStorageAdapter.
func (a *adapter) Remove(ctx context.Context, key string) (err error) {
	defer func(start time.Time) { a.count(ctx, "remove", start, err) }(time.Now())
	return a.CloudStorageAdapter.Remove(ctx, key)
}

// Mkdir implements backends.CloudStorageAdapter.
func (a *adapter) Mkdir(ctx context.Context, dir string) (err error) {
	defer func(start time.Time) { a.count(ctx, "mkdir", start, err) }(time.Now())
	return a.CloudStorageAdapter.Mkdir(ctx, dir)
}

// Rmdir implements backends.CloudStorageAdapter.
func (a *adapter) Rmdir(ctx context.Context, dir string) (err error) {
	defer func(start time.Time) { a.count(ctx, "rmdir", start, err) }(time.Now())
	return a.CloudStorageAdapter.Rmdir(ctx, dir)
}

// SetModTime implements backends.CloudStorageAdapter.
func (a *adapter) SetModTime(ctx context.Context, key string, t time.Time) (err error) {
	defer func(start time.Time) { a.count(ctx, "set_mod_time", start, err) }(time.Now())
	return a.CloudStorageAdapter.SetModTime(ctx, key, t)
}
