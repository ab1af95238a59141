package gcs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// changes are operations that change k, or make something of it.
var changes = map[string]func(ctx context.Context, a *bucket.Adapter, version string) error{
	"put": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return buckettest.Put(ctx, a, "k", "small", backends.PutOptions{})
	},
	"put if absent": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return buckettest.Put(ctx, a, "new", "small", backends.PutOptions{IfAbsent: true})
	},
	"put if version": func(ctx context.Context, a *bucket.Adapter, version string) error {
		return buckettest.Put(ctx, a, "k", "small", backends.PutOptions{IfVersion: version})
	},
	"put in parts if absent": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return buckettest.Put(ctx, a, "new", buckettest.Content(1, 2*testPart), backends.PutOptions{IfAbsent: true})
	},
	"put in parts if version": func(ctx context.Context, a *bucket.Adapter, version string) error {
		return buckettest.Put(ctx, a, "k", buckettest.Content(1, 2*testPart), backends.PutOptions{IfVersion: version})
	},
	"append": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return buckettest.Put(ctx, a, "k", "more", backends.PutOptions{Offset: 1})
	},
	"append to the end": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return buckettest.Put(ctx, a, "k", "more", backends.PutOptions{Offset: 2 * testPart})
	},
	"copy": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		_, err := a.Copy(ctx, "k", "new", backends.CopyOptions{})
		return err
	},
	"copy if absent": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		_, err := a.Copy(ctx, "k", "new", backends.CopyOptions{IfAbsent: true})
		return err
	},
	"rename": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return a.Rename(ctx, "k", "new", backends.RenameOptions{})
	},
	"rename if absent": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return a.Rename(ctx, "k", "new", backends.RenameOptions{IfAbsent: true})
	},
	"set the time": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		return a.SetModTime(ctx, "k", testTime)
	},
	"keep": func(ctx context.Context, a *bucket.Adapter, _ string) error {
		r := io.MultiReader(strings.NewReader(buckettest.Content(1, 2*testPart)), failing{})
		if _, err := a.Put(ctx, "new", r, buckettest.Resumable()); err == nil {
			return io.ErrShortWrite
		}
		return nil
	},
}

// Every request that changes something says what it is to change: the version that was seen, or nothing.
func TestConditions(t *testing.T) {
	const write, begin, join = "objects.insert", "session.start", "objects.compose"
	for _, test := range []struct {
		name    string
		variant string
		want    string // what k's version is called V
	}{
		{"put", "", write + " of k"},
		{"put if absent", "", write + " of new if 0"},
		{"put if version", "", write + " of k if V"},
		{"put in parts if absent", "", begin + " of new if 0"},
		{"put in parts if version", "", begin + " of k if V"},
		{"append", "", write + " of k if V"},
		{"append to the end", "", write + " of appends, " + join + " of k if V, objects.delete of appends if its"},
		{"copy", "", "objects.rewrite of new from V"},
		{"copy if absent", "", "objects.rewrite of new if 0 from V"},
		{"rename", "", "objects.move of new from V, objects.patch of new if its"},
		{"rename if absent", "", "objects.move of new if 0 from V, objects.patch of new if its"},
		{"rename", "without moving", "objects.move of new from V, objects.rewrite of new from V, objects.delete of k if V"},
		{"set the time", "", "objects.patch of k if V"},
		{"keep", "", write + " of uploads if 0, " + begin + " of new, " + write + " of uploads if its, " + write + " of uploads if its"},
	} {
		t.Run(test.name+" "+test.variant, func(t *testing.T) {
			buckettest.InBubble(t, &kind, buckettest.Options{Variant: test.variant}, func(b *buckettest.Bubble) {
				b.Put("k", []byte(buckettest.Content(3, 2*testPart)), map[string]string{bucket.MetaToken: "token"})
				k, _ := b.Object("k")
				a := b.Open()
				if err := changes[test.name](b.Context(), a, k.Version); err != nil {
					b.Fatal(err)
				}
				var got []string
				for _, r := range b.Fake.(fake).Server.Requests() {
					if s := condition(&r, k.Version); s != "" {
						got = append(got, s)
					}
				}
				if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
					b.Error(diff)
				}
			})
		})
	}
}

// condition describes a request that changes something, by its operation, object and conditions.
func condition(r *gcsfake.Request, version string) string {
	switch r.Op {
	case "token", "objects.get", "objects.list", "objects.media", "session.put", "session.status":
		return ""
	}
	key := r.Key
	if private := strings.Split(key, "/"); private[0] == ".sluice" {
		key = private[2]
	}
	s := r.Op + " of " + key
	for _, c := range []struct{ name, parameter string }{{"if", "ifGenerationMatch"}, {"from", "ifSourceGenerationMatch"}} {
		switch value := r.Query.Get(c.parameter); value {
		case "":
		case "0":
			s += " " + c.name + " 0"
		case version:
			s += " " + c.name + " V"
		default:
			s += " " + c.name + " its"
		}
	}
	return s
}

// What the configuration says of new objects, and of who pays, is in every request that it is about.
func TestParameters(t *testing.T) {
	const key = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		t.Run(name, func(t *testing.T) {
			k := kind
			k.New = func(buckettest.Options) buckettest.Fake {
				return fake{gcsfake.New(gcsfake.Options{RequesterPays: true})}
			}
			buckettest.InBubble(t, &k, buckettest.Options{}, func(b *buckettest.Bubble) {
				b.Put("k", []byte(buckettest.Content(3, 2*testPart)), nil)
				old, _ := b.Object("k")
				a := opened(b, b.Setup(), func(c *gcs.Config) {
					c.UserProject, c.KMSKey, c.StorageClass = "payer", key, "NEARLINE"
				})
				if err := changes[name](b.Context(), a.Adapter, old.Version); err != nil {
					b.Fatal(err) // which it is if nobody pays
				}
				class := "NEARLINE"
				if name == "append to the end" {
					class = "STANDARD" // what is joined has the class of what was there
				}
				f := b.Fake.(fake).Server
				for _, r := range f.Requests() {
					want := map[string]string{
						"objects.insert": "kmsKeyName", "session.start": "kmsKeyName", "objects.compose": "kmsKeyName",
						"objects.rewrite": "destinationKmsKeyName",
					}[r.Op]
					if want != "" && r.Query.Get(want) != key {
						b.Errorf("%s of %s: %v", r.Op, r.Key, r.Query)
					}
				}
				for _, name := range f.Keys() {
					o, _ := f.Object(name)
					if made := !strings.HasPrefix(name, ".sluice/"); made && o.Generation != mustParse(b, old.Version) {
						if got := o.Header.Get("X-Goog-Storage-Class"); got != class || !strings.HasPrefix(o.KMSKey, key) {
							b.Errorf("%s is of class %q with the key %q", name, got, o.KMSKey)
						}
					}
				}
			})
		})
	}
}

func mustParse(t testing.TB, generation string) (n int64) {
	t.Helper()
	if _, err := fmt.Sscan(generation, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A variable that has Google's libraries send everything elsewhere, in clear, is heeded by who says that
// he wants it, and named to others.
func TestEmulatorVariable(t *testing.T) {
	f := gcsfake.Start(t, gcsfake.Options{NoAuth: true})
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(f.URL(), "http://"))
	c := config(t, f)
	c.Endpoint = ""
	if _, err := gcs.Open(t.Context(), with(c, func(c *gcs.Config) { c.AllowHTTP = false })); err == nil || !strings.Contains(err.Error(), "STORAGE_EMULATOR_HOST") {
		t.Error(err)
	}
	if err := buckettest.Put(t.Context(), open(t, c), "k", "small", backends.PutOptions{}); err != nil {
		t.Error(err)
	}
	for _, r := range f.Requests() {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s brings a token", r.Op)
		}
	}
	if len(f.Keys()) != 1 {
		t.Errorf("the bucket holds %q", f.Keys())
	}
}

func with(c gcs.Config, change func(c *gcs.Config)) gcs.Config {
	change(&c)
	return c
}

// google is the internet as far as it is Google's: whatever is asked of it over TLS is answered by a
// fake, and noted with whether it came with a token.
type google struct {
	fake *httptest.Server
	mu   sync.Mutex
	seen map[string]bool // hosts and whether they were told a token
}

// RoundTrip implements http.RoundTripper.
func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.seen[r.URL.Host] = g.seen[r.URL.Host] || r.Header.Get("Authorization") != ""
	g.mu.Unlock()
	there := r.Clone(r.Context())
	there.URL.Scheme, there.URL.Host = "http", strings.TrimPrefix(g.fake.URL, "http://")
	return g.fake.Client().Transport.RoundTrip(there)
}

// Each kind of credentials works at Google's own addresses, and tokens go nowhere else.
func TestCredentials(t *testing.T) {
	user := func(t *testing.T) string {
		name := t.TempDir() + "/user.json"
		content := `{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}`
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	key := func(t *testing.T) string { return keyFile(t, "https://oauth2.googleapis.com/token") }
	for _, test := range []struct {
		name        string
		file        func(t *testing.T) string
		variable    bool // it is found by the environment
		impersonate string
		want        map[string]bool
	}{
		{name: "a key", file: key, want: map[string]bool{"storage.googleapis.com": true, "oauth2.googleapis.com": false}},
		{name: "a key by default", file: key, variable: true, want: map[string]bool{"storage.googleapis.com": true, "oauth2.googleapis.com": false}},
		{name: "a user", file: user, want: map[string]bool{"storage.googleapis.com": true, "oauth2.googleapis.com": false}},
		{name: "a key for another account", file: key, impersonate: "other@p.iam.gserviceaccount.com", want: map[string]bool{
			"storage.googleapis.com": true, "oauth2.googleapis.com": false, "iamcredentials.googleapis.com": true,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := gcsfake.New(gcsfake.Options{})
			server := httptest.NewServer(f)
			defer server.Close()
			defer f.Close()
			g := &google{fake: server, seen: map[string]bool{}}
			c := configAt(t, "")
			c.AllowHTTP = true // which the fake's sessions need
			c.CredentialsFile = test.file(t)
			if test.variable {
				t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", c.CredentialsFile)
				c.CredentialsFile = ""
			}
			c.Impersonate = test.impersonate
			c.Transport = func(next http.RoundTripper) http.RoundTripper {
				next.(*http.Transport).RegisterProtocol("https", g)
				next.(*http.Transport).RegisterProtocol("http", g) // the fake's sessions have no TLS
				return next
			}
			a := open(t, c)
			if err := buckettest.Put(t.Context(), a, "k", buckettest.Content(1, 2*testPart), backends.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := buckettest.Read(t.Context(), a, "k"); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.want, g.seen); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A store that refuses an upload need not take all of it first.
func TestRefusedBeforeTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // in memory
		w.Header().Set("Connection", "close")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusForbidden) // and the rest is never read
			return
		}
		_, _ = io.WriteString(w, "{}")
	})}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	c := configAt(t, "http://"+l.Addr().String())
	c.Anonymous = true
	if c.Memory, err = pages.New(64 << 20); err != nil {
		t.Fatal(err)
	}
	a := open(t, c)
	const size = 16 << 20 // more than sockets hold
	a.SetSizes(2 * size)
	if err := buckettest.Put(t.Context(), a, "k", strings.Repeat("x", size), backends.PutOptions{}); backends.KindOf(err) != backends.Permission {
		t.Error(err)
	}
	if c.Memory.TryReserve(c.Memory.Parts()) == nil {
		t.Error("memory was not given back")
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
