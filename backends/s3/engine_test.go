package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// TestRequests holds every method to the requests that it needs, and to the time of those that follow
// one another.
func TestRequests(t *testing.T) {
	const trip = time.Second
	for _, test := range []struct {
		name  string
		do    func(ctx context.Context, a *s3.Adapter) error
		want  string
		trips int // one after another
	}{
		{
			"put small", func(ctx context.Context, a *s3.Adapter) error {
				return put(ctx, a, "new", "small", backends.PutOptions{})
			},
			"ListObjectsV2 PutObject", 2,
		},
		{
			"put a page", func(ctx context.Context, a *s3.Adapter) error {
				return put(ctx, a, "new", oldBytes[:testPart-1], backends.PutOptions{})
			},
			"ListObjectsV2 PutObject", 2,
		},
		{
			// The record of the upload is written before it, with its name, and goes at the end.
			"put in parts", func(ctx context.Context, a *s3.Adapter) error {
				return put(ctx, a, "new", oldBytes, backends.PutOptions{})
			},
			"CompleteMultipartUpload CreateMultipartUpload DeleteObject ListObjectsV2 PutObject PutObject UploadPart UploadPart", 6,
		},
		{
			"stat", func(ctx context.Context, a *s3.Adapter) error { _, err := a.Stat(ctx, "d/k"); return err },
			"HeadObject ListObjectsV2", 1,
		},
		{
			"stat of a folder", func(ctx context.Context, a *s3.Adapter) error { _, err := a.Stat(ctx, "d"); return err },
			"HeadObject ListObjectsV2", 1,
		},
		{
			"list", func(ctx context.Context, a *s3.Adapter) error {
				for _, err := range a.List(ctx, "d", backends.ListOptions{}) {
					if err != nil {
						return err
					}
				}
				return nil
			},
			"ListObjectsV2", 1,
		},
		{
			"open and read", func(ctx context.Context, a *s3.Adapter) error { _, err := get(ctx, a, "d/k"); return err },
			"GetObject", 1,
		},
		{
			"remove", func(ctx context.Context, a *s3.Adapter) error { return a.Remove(ctx, "d/k") },
			"DeleteObject HeadObject ListObjectsV2 ListObjectsV2", 3,
		},
		{
			"mkdir", func(ctx context.Context, a *s3.Adapter) error { return a.Mkdir(ctx, "new") },
			"HeadObject ListObjectsV2 PutObject", 2,
		},
		{
			"set the time", func(ctx context.Context, a *s3.Adapter) error { return a.SetModTime(ctx, "d/k", newTime) },
			"CopyObject HeadObject", 2,
		},
		{
			"copy", func(ctx context.Context, a *s3.Adapter) error {
				_, err := a.Copy(ctx, "d/k", "k", backends.CopyOptions{})
				return err
			},
			"CopyObject HeadObject ListObjectsV2", 2,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, s3fake.Options{Latency: trip}, func(b *bubble) {
				b.fill(map[string]string{"d/": "", "d/k": "old"})
				a := b.open()
				begun := time.Now()
				if err := test.do(b.Context(), a); err != nil {
					b.Fatal(err)
				}
				took := time.Since(begun)
				var ops []string
				for _, r := range b.store.Requests() {
					ops = append(ops, r.Op)
				}
				slices.Sort(ops)
				if got := strings.Join(ops, " "); got != test.want {
					b.Errorf("requests: %s\nwant:     %s", got, test.want)
				}
				if took > time.Duration(test.trips)*trip {
					b.Errorf("it took %v, that is more than %d requests one after another", took, test.trips)
				}
			})
		})
	}
}

// TestCredentialsOnce has many ask at once, and the service that gives out credentials be asked once.
func TestCredentialsOnce(t *testing.T) {
	var asked atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = fmt.Fprintf(w, `{"AccessKeyId": "testkey", "SecretAccessKey": "testsecret", "Token": "t", "Expiration": %q}`,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer service.Close()
	for name, value := range map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.URL, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_CONFIG_FILE":                        "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	c := config(t, s3fake.Start(t, s3fake.Options{}))
	c.AccessKeyID, c.SecretAccessKey = "", ""
	a := open(t, c)
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() {
			for range 3 {
				if err := put(t.Context(), a, fmt.Sprint(i), "small", backends.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("credentials were asked for %d times", n)
	}
}

// budget is for so many parts of 1 MiB, besides the beginnings.
func budget(t testing.TB, parts int64) *pages.Budget {
	t.Helper()
	memory, err := pages.New(max(pages.MinBudget, parts*bigPart/3*4))
	if err != nil {
		t.Fatal(err)
	}
	if held := memory.Parts() - parts*bigPart; held > 0 {
		lease, err := memory.Reserve(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(lease.Release)
	}
	return memory
}

// bigPart is a part that does not grow until there are very many.
const bigPart = 1 << 20

func (b *bubble) openWith(memory *pages.Budget) *s3.Adapter {
	b.Helper()
	a := b.open(func(c *s3.Config) { c.Memory = memory })
	a.SetSizes(bigPart, 4*bigPart, bigPart)
	return a
}

// isFree checks that nobody holds any of so many parts.
func isFree(t testing.TB, memory *pages.Budget, parts int64) {
	t.Helper()
	lease := memory.TryReserve(parts * bigPart)
	if lease == nil {
		t.Error("not all memory was given back")
		return
	}
	lease.Release()
}

// slowStore answers late, and keeps no bytes.
var slowStore = s3fake.Options{Latency: time.Second, Discard: true}

// TestPartsAtOnce: while the store is slow and memory is free, more and more parts are on their way.
func TestPartsAtOnce(t *testing.T) {
	inBubble(t, slowStore, func(b *bubble) {
		const free = 24
		memory := budget(b, free)
		a := b.openWith(memory)
		begun := time.Now()
		if _, err := a.Put(b.Context(), "k", io.LimitReader(&endless{}, 120*bigPart), backends.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		const most = 16
		if n := b.mostAtOnce("UploadPart"); n != most {
			b.Errorf("%d parts were on their way at once, not %d", n, most)
		}
		if took := time.Since(begun); took > 30*time.Second {
			b.Errorf("120 parts took %v", took)
		}
		isFree(b, memory, free)
	})
}

// TestManyUploads: thirty uploads share memory for three parts. All of them come to their end, and
// none is much faster than another.
func TestManyUploads(t *testing.T) {
	inBubble(t, slowStore, func(b *bubble) {
		const uploads, free = 30, 3
		memory := budget(b, free)
		a := b.openWith(memory)
		begun := time.Now()
		var took [uploads]time.Duration
		var writers sync.WaitGroup
		for i := range uploads {
			writers.Go(func() {
				key, bytes := fmt.Sprint("k", i), content(uint64(i), 2*bigPart+1)
				if err := put(b.Context(), a, key, bytes, backends.PutOptions{}); err != nil {
					b.Errorf("%s: %v", key, err)
				}
				if o, _ := b.store.Object(key); o.CRC32 != crc32.ChecksumIEEE([]byte(bytes)) || o.Size != int64(len(bytes)) {
					b.Errorf("%s is not what was sent", key)
				}
				took[i] = time.Since(begun)
			})
		}
		writers.Wait()
		if n := b.mostAtOnce("UploadPart"); n != free {
			b.Errorf("%d parts were on their way at once; there is memory for %d", n, free)
		}
		fastest, slowest := slices.Min(took[:]), slices.Max(took[:])
		if slowest > 3*fastest {
			b.Errorf("the fastest took %v, the slowest %v", fastest, slowest)
		}
		isFree(b, memory, free)
	})
}

// TestWideUploads: a few uploads use all the memory there is, and no more.
func TestWideUploads(t *testing.T) {
	inBubble(t, slowStore, func(b *bubble) {
		const free = 20
		memory := budget(b, free)
		a := b.openWith(memory)
		var writers sync.WaitGroup
		for i := range 4 {
			writers.Go(func() {
				_, err := a.Put(b.Context(), fmt.Sprint("k", i), io.LimitReader(&endless{}, 30*bigPart), backends.PutOptions{})
				if err != nil {
					b.Error(err)
				}
			})
		}
		writers.Wait()
		if n := b.mostAtOnce("UploadPart"); n > free || n < free*3/4 {
			b.Errorf("%d parts were on their way at once; there is memory for %d", n, free)
		}
		isFree(b, memory, free)
	})
}

// endless never ends, and says when something was read of it.
type endless struct{ sum atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.sum.Add(int64(len(p)))
	return len(p), nil
}

// TestWaitingUploadEnds: an upload that waits for memory ends when its context does, and reads nothing
// while it waits.
func TestWaitingUploadEnds(t *testing.T) {
	for _, test := range []struct {
		name  string
		free  int64 // memory for parts
		first bool  // there are first pages
		most  int64 // bytes that may be read
	}{
		{"for its first part without a page", 0, false, testPart - 1},
		{"for its first part", 0, true, testPart},
		{"for its next part", 1, true, 2 * bigPart},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				memory := budget(b, test.free)
				if !test.first {
					for lease := memory.TryFirst(); lease != nil; lease = memory.TryFirst() {
						defer lease.Release()
					}
				}
				a := b.openWith(memory)
				ctx, cancel := context.WithCancel(b.Context())
				r := &endless{}
				done := make(chan error)
				hold := make(chan struct{})
				if test.free == 1 { // its first part is on its way, and someone else comes for the memory
					b.store.OnRequest(func(q s3fake.Request) s3fake.Fault {
						if q.Op == "UploadPart" {
							return s3fake.Fault{Stall: hold}
						}
						return s3fake.Fault{}
					})
				}
				go func() {
					_, err := a.Put(ctx, "k", r, backends.PutOptions{})
					done <- err
				}()
				synctest.Wait()
				if n := r.sum.Load(); n > test.most {
					b.Errorf("%d bytes were read", n)
				}
				begun := time.Now()
				cancel()
				close(hold)
				if err := <-done; !errors.Is(err, context.Canceled) {
					b.Error(err)
				}
				if took := time.Since(begun); took > time.Second {
					b.Errorf("it took %v to end", took)
				}
				if left := leftovers(b.store, ""); len(left) > 0 || len(b.store.Keys()) > 0 {
					b.Errorf("left behind: %q, %q", left, b.store.Keys())
				}
				isFree(b, memory, test.free)
			})
		})
	}
}

// TestEndsWithContext: while nothing was asked that may publish, an upload whose client has gone ends
// before long, also when the store has gone too.
func TestEndsWithContext(t *testing.T) {
	for name, hangs := range map[string]bool{"hangs up": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(b *bubble, n int) (done bool) {
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				var mu sync.Mutex
				var gone time.Time
				publishing := false
				b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
					mu.Lock()
					defer mu.Unlock()
					publishing = publishing || r.Op == "CompleteMultipartUpload"
					if r.Index == n {
						gone = time.Now()
						cancel()
					}
					switch {
					case r.Index < n:
						return s3fake.Fault{}
					case hangs:
						return s3fake.Fault{Stall: b.Context().Done()}
					}
					return s3fake.Fault{Before: true}
				})
				_, err := b.open().Put(ctx, "k", io.LimitReader(&endless{}, 3*testPart), backends.PutOptions{})
				b.store.OnRequest(nil)
				mu.Lock()
				defer mu.Unlock()
				if gone.IsZero() || publishing {
					return true
				}
				if took := time.Since(gone); took > 2*time.Minute {
					b.Errorf("it took %v: %v", took, err)
				}
				return false
			})
		})
	}
}

// checker compares what is written with what should be.
type checker struct {
	want string
	sum  int
	hook func(sum int) error
}

func (c *checker) Write(p []byte) (int, error) {
	if c.sum+len(p) > len(c.want) || c.want[c.sum:c.sum+len(p)] != string(p) {
		return 0, fmt.Errorf("wrong bytes at %d", c.sum)
	}
	c.sum += len(p)
	if c.hook != nil {
		return len(p), c.hook(c.sum)
	}
	return len(p), nil
}

var film = content(9, 64<<20)

// rated is a store whose connections are slow.
var rated = s3fake.Options{Rate: 20 << 20, Latency: 20 * time.Millisecond}

func (b *bubble) film(memory *pages.Budget) backends.Reader {
	b.Helper()
	b.store.Put("film", []byte(film), nil)
	r, err := b.openWith(memory).Open(b.Context(), "film", backends.OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// TestDownloadWidens: when a connection is the bottleneck, several are used, all for one version.
func TestDownloadWidens(t *testing.T) {
	inBubble(t, rated, func(b *bubble) {
		memory := budget(b, 12)
		r := b.film(memory)
		begun := time.Now()
		w := &checker{want: film}
		n, err := r.WriteTo(w)
		if err != nil || n != int64(len(film)) || w.sum != len(film) {
			b.Errorf("%d bytes of %d, %v", n, len(film), err)
		}
		if took := time.Since(begun); took > 2500*time.Millisecond { // by one connection it is 3.2 s
			b.Errorf("it took %v", took)
		}
		object, _ := b.store.Object("film")
		for _, q := range b.store.Requests()[1:] {
			if q.Op != "GetObject" || q.Header.Get("If-Match") != object.ETag || q.Header.Get("Range") == "" {
				b.Errorf("request %d: %s, If-Match %q, Range %q", q.Index, q.Op, q.Header.Get("If-Match"), q.Header.Get("Range"))
			}
		}
		if n := b.mostAtOnce("GET"); n < 2 {
			b.Errorf("%d requests at once", n)
		}
		if err := r.Close(); err != nil {
			b.Error(err)
		}
		isFree(b, memory, 12)
	})
}

// TestDownloadStaysNarrow: a slow client needs one request, and so does one for which there is no
// memory.
func TestDownloadStaysNarrow(t *testing.T) {
	for _, test := range []struct {
		name string
		free int64
		hook func(sum int) error
	}{
		{"slow client", 12, func(int) error {
			<-time.After(200 * time.Millisecond)
			return nil
		}},
		{"no memory", 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, rated, func(b *bubble) {
				r := b.film(budget(b, test.free))
				defer r.Close()
				n, err := r.WriteTo(&checker{want: film, hook: test.hook})
				if err != nil || n != int64(len(film)) {
					b.Errorf("%d bytes of %d, %v", n, len(film), err)
				}
				if n := b.store.Count(""); n != 1 {
					b.Errorf("%d requests", n)
				}
			})
		})
	}
}

// TestDownloadEndsInTheMiddle: whoever ends a wide download gives its memory back.
func TestDownloadEndsInTheMiddle(t *testing.T) {
	errGone := errors.New("client has gone")
	for _, how := range []string{"client", "close", "overwrite", "store"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, rated, func(b *bubble) {
				memory := budget(b, 12)
				r := b.film(memory)
				hook := func(sum int) error {
					if sum < 40<<20 {
						return nil
					}
					switch how {
					case "client":
						return errGone
					case "close":
						return r.Close()
					case "overwrite":
						b.store.Put("film", []byte("another"), nil)
					case "store":
						b.store.OnRequest(func(s3fake.Request) s3fake.Fault { return s3fake.Fault{Status: 403} })
					}
					return nil
				}
				n, err := r.WriteTo(&checker{want: film, hook: hook})
				switch {
				case err == nil || n == int64(len(film)):
					b.Errorf("%d bytes, and no error", n)
				case how == "client" && !errors.Is(err, errGone):
					b.Error(err)
				case how == "overwrite" && backends.KindOf(err) != backends.Conflict:
					b.Error(err)
				}
				if err := r.Close(); err != nil {
					b.Error(err)
				}
				isFree(b, memory, 12)
			})
		})
	}
}

// TestSmallBudget: with every profile the smallest budget is enough for an upload of any size.
func TestSmallBudget(t *testing.T) {
	for _, name := range s3.ProfileNames() {
		t.Run(name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{})
			c := config(t, f)
			c.Profile, _ = s3.ProfileByName(name)
			c.Memory = budget(t, 12)
			a, err := s3.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if p := recover(); p != nil {
					t.Error(p)
				}
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}()
			want := bytes.Repeat([]byte("0123456789abcdef"), 9<<16)
			if _, err := a.Put(t.Context(), "k", io.LimitReader(bytes.NewReader(want), int64(len(want))), backends.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if o, _ := f.Object("k"); !bytes.Equal(o.Data, want) {
				t.Error("it is not what was sent")
			}
		})
	}
}
