package conformance

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/e2e/versity"
)

const (
	owner = "acme"
	// lease is how long a process may be silent before another one takes its uploads over.
	lease = 62 * time.Second
)

// line is the way to the store of a process that can be killed: of the requests that it sends when it is
// dead none arrives. They are refused, so that it does not try for minutes.
type line struct {
	url   string
	count atomic.Int64
	// lose says of the n-th request, from 0, whether it is lost before the store gets it, or its answer.
	lose func(n int64, r *http.Request) (before, after bool)
}

func newLine(t *testing.T, endpoint string) *line {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &line{}
	// The signature is over the host that the client names, so that stays.
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before, after := l.lose(l.count.Add(1)-1, r)
		if before {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
			return
		}
		if after {
			w = &mute{w.Header()}
		}
		proxy.ServeHTTP(w, r)
		if after {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// mute takes an answer that nobody gets.
type mute struct{ header http.Header }

func (m *mute) Header() http.Header         { return m.header.Clone() }
func (m *mute) WriteHeader(int)             {}
func (m *mute) Write(p []byte) (int, error) { return len(p), nil }

// through is an adapter that reaches the store by l.
func through(t *testing.T, store versity.Store, l *line) *s3.Adapter {
	t.Helper()
	if l != nil {
		store.Endpoint = l.url
	}
	c := config(t, store)
	c.Log = slog.New(slog.DiscardHandler) // of the dead there is much to say
	c.KeepAtLeast = 1
	a, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func content(n int64) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

func keeping(p backends.Pending) backends.PutOptions {
	return backends.PutOptions{Resumable: true, Owner: owner, Continue: p.Version, Offset: p.Size}
}

// A process is killed at each of its requests, before the store gets it or the answer comes back. When its
// lease is over another one goes on, or begins again where nothing is kept: the object is always whole.
func TestKilledAtEveryRequest(t *testing.T) {
	t.Parallel()
	store := versity.Start(t, versity.Options{})
	const requests = 12 // more than there are, so that some come to their end
	want := content(4*5<<20 + 9)
	type victim struct {
		key     string
		n       int64
		after   bool
		died    atomic.Bool
		adapter *s3.Adapter
	}
	var all []*victim
	var wg sync.WaitGroup
	for n := range int64(requests) {
		for _, after := range []bool{false, true} {
			v := &victim{key: fmt.Sprintf("k%d-%t", n, after), n: n, after: after}
			l := newLine(t, store.Endpoint)
			ctx, cancel := context.WithCancel(t.Context())
			l.lose = func(n int64, _ *http.Request) (bool, bool) {
				if n < v.n {
					return false, false
				}
				v.died.Store(true)
				cancel()
				return !v.after || n > v.n, v.after && n == v.n
			}
			v.adapter = through(t, store, l)
			all = append(all, v)
			wg.Go(func() {
				defer cancel()
				_, err := v.adapter.Put(ctx, v.key, strings.NewReader(want), keeping(backends.Pending{}))
				if !v.died.Load() && err != nil {
					t.Errorf("%s: %v", v.key, err)
				}
			})
		}
	}
	other := through(t, store, nil)
	wg.Wait()
	<-time.After(lease)
	died, wentOn := 0, 0
	for _, v := range all {
		if v.died.Load() {
			died++
		}
		p, err := other.Pending(t.Context(), v.key, owner)
		if err == nil {
			wentOn++
		} else if backends.KindOf(err) != backends.NotExist {
			t.Errorf("%s: %v", v.key, err)
			continue
		}
		if obj, err := other.Stat(t.Context(), v.key); err == nil && obj.Size == int64(len(want)) {
			continue // all of it had arrived
		}
		if _, err := other.Put(t.Context(), v.key, strings.NewReader(want[p.Size:]), keeping(p)); err != nil {
			t.Errorf("%s: from %d: %v", v.key, p.Size, err)
		}
		r, err := other.Open(t.Context(), v.key, backends.OpenOptions{})
		if err != nil {
			t.Errorf("%s: %v", v.key, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", v.key, len(got), err)
		}
		_ = r.Close()
	}
	t.Logf("of %d processes %d died and %d were gone on from", len(all), died, wentOn)
	if died == len(all) || died < len(all)/2 || wentOn == 0 {
		t.Error("some should die and some live, and something should be kept")
	}
}

// A process that cannot renew its lease for a while, and then can, finds that another has gone on.
func TestFencedZombie(t *testing.T) {
	t.Parallel()
	store := versity.Start(t, versity.Options{})
	want := content(6 * 5 << 20)
	l := newLine(t, store.Endpoint)
	var asleep, part atomic.Bool
	l.lose = func(_ int64, r *http.Request) (bool, bool) {
		if !asleep.Load() && r.URL.Query().Has("partNumber") {
			part.Store(true)
		}
		return asleep.Load(), false
	}
	zombie, other := through(t, store, l), through(t, store, nil)
	half := int64(len(want)) / 2
	taken, died := make(chan struct{}), make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		r := io.MultiReader(strings.NewReader(want[:half]), wait(taken, func() { close(begun) }), strings.NewReader(want[half:]))
		_, err := zombie.Put(t.Context(), "k", r, keeping(backends.Pending{}))
		died <- err
	}()
	<-begun
	for tick := time.Tick(10 * time.Millisecond); !part.Load(); {
		<-tick
	}
	asleep.Store(true)
	<-time.After(lease)
	asleep.Store(false)
	p, err := other.Pending(t.Context(), "k", owner)
	if err != nil {
		t.Fatal(err)
	}
	const theirs = "what the partner has sent since"
	if _, err := other.Put(t.Context(), "k", strings.NewReader(theirs), keeping(p)); err != nil {
		t.Fatal(err)
	}
	close(taken)
	// It hears of it from its record, or of a part for an upload that has ended.
	if err := <-died; backends.KindOf(err) != backends.Fenced && backends.KindOf(err) != backends.Conflict {
		t.Errorf("the zombie: %v", err)
	}
	obj, err := other.Stat(t.Context(), "k")
	if err != nil || obj.Size != p.Size+int64(len(theirs)) {
		t.Errorf("%+v, %v", obj, err)
	}
	if left := leftovers(t, store); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// wait is a reader of nothing that calls reached and ends when a channel is closed.
func wait(end chan struct{}, reached func()) io.Reader {
	return readerFunc(func([]byte) (int, error) {
		reached()
		<-end
		return 0, io.EOF
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
