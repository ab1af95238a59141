package gcs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/gcsfake"
)

// What others do meanwhile: another process with the same session, an operator with a copy, a partner with
// a name.

var errLine = errors.New("the line broke")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errLine }

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// final: a request says how many bytes there are.
func final(r *http.Request) bool {
	span := r.Header.Get("Content-Range")
	return r.Method == http.MethodPut && span != "" && !strings.HasSuffix(span, "/*")
}

// sendRaw sends a request of somebody else.
func sendRaw(t *testing.T, method, target string, header map[string]string, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	wire := &http.Transport{DisableKeepAlives: true}
	resp, err := wire.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: %s", method, resp.Status)
	}
}

// clock is the store's, which a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration) { c.ahead.Add(int64(d)) }
func kept(owner string) backends.PutOptions {
	return backends.PutOptions{Resumable: true, Owner: owner}
}

// breakOff leaves so many bytes of an upload to k.
func breakOff(t *testing.T, a *gcs.Adapter, n int, o backends.PutOptions) backends.Pending {
	t.Helper()
	r := io.MultiReader(strings.NewReader(strings.Repeat("a", n)), broken{})
	if _, err := a.Put(t.Context(), "k", r, o); !errors.Is(err, errLine) {
		t.Fatal(err)
	}
	p, err := a.Pending(t.Context(), "k", o.Owner)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A session that another process has finished says that it is finished. That is no success.
func TestFinishedByAnother(t *testing.T) {
	for name, end := range map[string]string{"longer": "AAAAAAAAAAAAAAA", "as long": "AAAAAAAAAA"} {
		t.Run(name, func(t *testing.T) {
			f := gcsfake.Start(t, gcsfake.Options{})
			c := config(t, f)
			done := false
			c.Transport = func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					if final(r) && !done {
						done = true
						span := fmt.Sprintf("bytes %d-%d/%d", testPart, testPart+len(end)-1, testPart+len(end))
						sendRaw(t, http.MethodPut, r.URL.String(), map[string]string{"Content-Range": span}, end)
					}
					return next.RoundTrip(r)
				})
			}
			content := strings.Repeat("x", testPart) + "BBBBBBBBBB"
			_, err := open(t, c).Put(t.Context(), "k", strings.NewReader(content), backends.PutOptions{})
			if o, _ := f.Object("k"); backends.KindOf(err) != backends.Fenced {
				t.Errorf("%v, and %q is there", err, o.Data[testPart:])
			}
		})
	}
}

// What was sent behind the record's back by somebody else ends the upload, and nothing of it is kept that
// could never be published.
func TestPoisonedSession(t *testing.T) {
	f := gcsfake.Start(t, gcsfake.Options{})
	a := open(t, config(t, f))
	p := breakOff(t, a, 2*testPart, kept("acme"))
	s := f.Sessions()[0]
	target := f.URL() + "/upload/storage/v1/b/bucket/o?" +
		url.Values{"uploadType": {"resumable"}, "name": {s.Name}, "upload_id": {s.ID}}.Encode()
	span := fmt.Sprintf("bytes %d-%d/*", s.Size, s.Size+testPart-1)
	sendRaw(t, http.MethodPut, target, map[string]string{"Content-Range": span}, strings.Repeat("Z", testPart))

	o := kept("acme")
	o.Continue, o.Offset = p.Version, p.Size
	obj, err := a.Put(t.Context(), "k", strings.NewReader(strings.Repeat("b", 3*testPart)), o)
	if backends.KindOf(err) != backends.Corrupt || obj.Size != 0 {
		t.Errorf("%d bytes are kept, %v", obj.Size, err)
	}
	if _, err := a.Pending(t.Context(), "k", "acme"); backends.KindOf(err) != backends.NotExist {
		t.Error(err)
	}
	if left := leftovers(f, ""); len(left) > 0 || len(f.Keys()) > 0 {
		t.Errorf("left: %q, %q", left, f.Keys())
	}
}

// Who may not replace anything any more cannot go on with an upload that may.
func TestContinuedUnderAnotherCondition(t *testing.T) {
	var time clock
	f := gcsfake.Start(t, gcsfake.Options{Now: time.now})
	a := open(t, config(t, f))
	f.Put("k", []byte("theirs"), nil)
	time.pass(2e9)
	p := breakOff(t, a, 2*testPart, kept("acme"))
	o := kept("acme")
	o.Continue, o.Offset, o.IfAbsent = p.Version, p.Size, true
	if _, err := a.Put(t.Context(), "k", strings.NewReader("end"), o); backends.KindOf(err) != backends.Busy {
		t.Error(err)
	}
	if got, _ := f.Object("k"); string(got.Data) != "theirs" {
		t.Errorf("%d bytes are there", got.Size)
	}
	if left := leftovers(f, ""); len(left) > 0 {
		t.Errorf("it is kept still: %q", left)
	}
}

// The name of a session is a credential: it is in no error.
func TestSessionIsInNoError(t *testing.T) {
	f := gcsfake.Start(t, gcsfake.Options{})
	var id string
	f.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
		if r.Op == "session.put" {
			id = r.Query.Get("upload_id")
			return gcsfake.Fault{Status: 403, Reason: "forbidden"}
		}
		return gcsfake.Fault{}
	})
	_, err := open(t, config(t, f)).Put(t.Context(), "k", strings.NewReader(strings.Repeat("x", 3*testPart)), backends.PutOptions{})
	if id == "" || err == nil || strings.Contains(err.Error(), id) {
		t.Errorf("%q: %v", id, err)
	}
}

// Without the key what is kept cannot be gone on with, and is swept all the same.
func TestKeyIsGone(t *testing.T) {
	for name, key := range map[string][]byte{"none": nil, "another": bytes.Repeat([]byte{8}, gcs.KeySize)} {
		t.Run(name, func(t *testing.T) {
			var time clock
			f := gcsfake.Start(t, gcsfake.Options{Now: time.now})
			c := config(t, f)
			breakOff(t, open(t, c), 2*testPart, kept("acme"))
			c.SessionKey = key
			a := open(t, c)
			if _, err := a.Pending(t.Context(), "k", "acme"); err == nil {
				t.Error("it could be gone on with")
			}
			time.pass(25 * 3600e9)
			if err := a.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if keys := f.Keys(); len(keys) > 0 {
				t.Errorf("left: %q", keys)
			}
		})
	}
}

// An operator's copy has the token of what it is a copy of. A rename onto it is a rename.
func TestRenameOntoCopy(t *testing.T) {
	for name, lost := range map[string]bool{"copied": false, "moved, and the answer lost": true} {
		t.Run(name, func(t *testing.T) {
			f := gcsfake.Start(t, gcsfake.Options{})
			c := config(t, f)
			if _, err := open(t, c).Put(t.Context(), "a", strings.NewReader("hello"), backends.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			sendRaw(t, http.MethodPost, f.URL()+"/storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/b",
				map[string]string{"Authorization": "Bearer testtoken"}, "")
			if !lost {
				c.StorageClass = "NEARLINE" // so that it is copied
			}
			first := true
			f.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
				if r.Op == "objects.move" && first {
					first = false
					return gcsfake.Fault{Before: true}
				}
				return gcsfake.Fault{}
			})
			if err := open(t, c).Rename(t.Context(), "a", "b", backends.RenameOptions{}); err != nil {
				t.Error(err)
			}
			if _, there := f.Object("a"); there {
				t.Error("renamed, it says, and it is there")
			}
			if o, _ := f.Object("b"); string(o.Data) != "hello" {
				t.Errorf("%q", o.Data)
			}
		})
	}
}

// The answer to the renaming of a folder is lost, and then the question whether it has happened.
func TestFolderRenameLost(t *testing.T) {
	f := gcsfake.Start(t, gcsfake.Options{Hierarchical: true})
	c := config(t, f)
	c.Hierarchical = true
	a := open(t, c)
	if _, err := a.Put(t.Context(), "x/f", strings.NewReader("1"), backends.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var renamed, asked atomic.Int32
	f.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
		switch {
		case r.Op == "folders.rename" && renamed.Add(1) == 1:
			return gcsfake.Fault{After: true}
		case r.Op == "folders.get" && r.Key == "y/" && renamed.Load() == 1 && asked.Add(1) == 1:
			return gcsfake.Fault{Status: 503, Reason: "backendError"}
		}
		return gcsfake.Fault{}
	})
	if err := a.Rename(t.Context(), "x", "y", backends.RenameOptions{}); err != nil || asked.Load() == 0 {
		t.Error("an error after it is done:", err)
	}
}

// What a partner calls a file is not what the store says of it.
func TestNamesAreNoMessages(t *testing.T) {
	f := gcsfake.Start(t, gcsfake.Options{})
	a := open(t, config(t, f))
	for _, name := range []string{"The specified bucket does not exist.", "Provided CRC32C", "Bucket is a requester pays bucket", "KMS"} {
		if _, err := a.Stat(t.Context(), name); backends.KindOf(err) != backends.NotExist {
			t.Errorf("%q: %v", name, err)
		}
	}
}
