package s3_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// watcher notes each request and how often it was sent before.
type watcher struct {
	http.RoundTripper
	mu   sync.Mutex
	seen []string
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	again := ""
	if backends.Attempt(r.Context()) > 0 {
		again = " again"
	}
	w.seen = append(w.seen, r.Method+again)
	w.mu.Unlock()
	return w.RoundTripper.RoundTrip(r)
}

// Whoever is put around the transport sees every request, and which of them are repeated.
func TestTransportIsWatched(t *testing.T) {
	f := s3fake.Start(t, s3fake.Options{})
	w := &watcher{}
	c := config(t, f)
	c.Transport = func(next http.RoundTripper) http.RoundTripper {
		w.RoundTripper = next
		return w
	}
	a := open(t, c)
	refused := 0
	f.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Op == "PutObject" && refused < 2 {
			refused++
			return s3fake.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
		}
		return s3fake.Fault{}
	})
	if _, err := a.Put(t.Context(), "o", strings.NewReader("content"), backends.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove(t.Context(), "o"); err != nil { // which the SDK sends
		t.Fatal(err)
	}
	var puts []string
	others := 0
	for _, s := range w.seen {
		if strings.HasPrefix(s, "PUT") {
			puts = append(puts, s)
		} else {
			others++
		}
	}
	// A folder's placeholder may be among the last.
	if diff := cmp.Diff([]string{"PUT", "PUT again", "PUT again"}, puts[:3]); diff != "" {
		t.Errorf("%q: %s", w.seen, diff)
	}
	// A question that is not needed any more may be withdrawn before it has left.
	if len(w.seen) < f.Count("") || others == 0 {
		t.Errorf("%d requests were watched, %d came: %q", len(w.seen), f.Count(""), w.seen)
	}
}

// A sweep tells what there is of uploads that may go on.
func TestSweepTellsWhatIsKept(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		var told []backends.Kept
		a := b.open(func(c *s3.Config) { c.Kept = func(k backends.Kept) { told = append(told, k) } })
		if err := a.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
		for _, key := range []string{"one", "two"} {
			if _, err := a.Put(b.Context(), key, cut(newBytes, 2*testPart), resumable()); !errors.Is(err, errLine) {
				b.Fatal(err)
			}
			<-time.After(time.Minute)
		}
		if err := a.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
		if len(told) != 2 || told[0].Uploads != 0 || !told[0].Oldest.IsZero() || told[1].Uploads != 2 ||
			time.Since(told[1].Oldest).Round(time.Minute) != 2*time.Minute {
			b.Errorf("told %+v", told)
		}
		b.store.OnRequest(func(s3fake.Request) s3fake.Fault {
			return s3fake.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
		})
		if err := a.Sweep(b.Context()); err == nil || len(told) != 2 {
			b.Errorf("a store that tells nothing: %v, told %d times", err, len(told))
		}
	})
}
