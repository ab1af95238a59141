package google

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// others is an adapter at fake-gcs-server, which others wrote. It is a second opinion on what it does as
// Google does, and that is what these tests ask for. What it does otherwise is left out: conditions on
// anything but uploads, moving, pages of a listing, what a session says of itself and what it takes. It
// believes what a chunk says about its place, and what a session's end says about its checksum: of those
// gcsfake is the judge.
type others struct {
	*gcs.Adapter
	t      *testing.T
	server *fakestorage.Server
}

const bucketName = "bucket"

func open(t *testing.T) others {
	t.Helper()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		Scheme: "http", Host: "127.0.0.1", PublicHost: "127.0.0.1", // where the XML API is
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: bucketName})
	memory, err := pages.New(pages.MinBudget)
	if err != nil {
		t.Fatal(err)
	}
	c := gcs.Config{
		Config: bucket.Config{
			Memory: memory, SweepEvery: -1, KeepAtLeast: 1, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Transport: func(next http.RoundTripper) http.RoundTripper {
				return &wellFormed{t: t, next: next, sums: map[string]uint32{}}
			},
		},
		Bucket: bucketName, Endpoint: server.URL(), AllowHTTP: true, Anonymous: true,
		SessionKey: bytes.Repeat([]byte{7}, gcs.KeySize),
	}
	if err := gcs.Check(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	a, err := gcs.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return others{a, t, server}
}

// wellFormed looks at what servers take whether or not it is right: the end of a body in two parts, and the
// checksum of an upload in pieces.
type wellFormed struct {
	t    *testing.T
	next http.RoundTripper

	mu   sync.Mutex
	sums map[string]uint32 // of what each session has been sent, in order: nothing goes wrong here
}

// RoundTrip implements http.RoundTripper.
func (w *wellFormed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return w.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	if r.ContentLength != int64(len(body)) {
		w.t.Errorf("%d bytes are announced, %d come", r.ContentLength, len(body))
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "multipart/related":
		w.parts(params["boundary"], body)
	case r.Method == http.MethodPut:
		w.piece(r, body)
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.next.RoundTrip(r)
}

func (w *wellFormed) parts(boundary string, body []byte) {
	// https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects
	line := "--" + boundary
	if content, ended := bytes.CutSuffix(body, []byte("\r\n"+line+"--\r\n")); !ended || !bytes.HasPrefix(content, []byte(line+"\r\n")) ||
		bytes.Count(content, []byte(line)) != 2 {
		w.t.Errorf("no body in two parts: %.300q", body)
	}
}

// piece looks at a request to a session. The one that says how many bytes there are says their checksum too.
func (w *wellFormed) piece(r *http.Request, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	session := r.URL.String()
	w.sums[session] = crc32.Update(w.sums[session], crc32.MakeTable(crc32.Castagnoli), body)
	_, total, _ := strings.Cut(r.Header.Get("Content-Range"), "/")
	if total == "*" {
		return
	}
	want := "crc32c=" + base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, w.sums[session]))
	if got := r.Header.Get("X-Goog-Hash"); got != want {
		w.t.Errorf("an upload of %s bytes ends with %q, want %q", total, got, want)
	}
}

func (o others) put(key string, content []byte, p backends.PutOptions) {
	o.t.Helper()
	obj, err := o.Put(o.t.Context(), key, bytes.NewReader(content), p)
	if err != nil {
		o.t.Fatalf("%s: %v", key, err)
	}
	if obj.Size != int64(len(content)) || obj.Version == "" {
		o.t.Errorf("%s: %+v", key, obj)
	}
}

// holds looks at an object by the adapter and by the server's own eyes.
func (o others) holds(key string, content []byte) fakestorage.Object {
	o.t.Helper()
	there, err := o.server.GetObject(bucketName, key)
	if err != nil || !bytes.Equal(there.Content, content) {
		o.t.Errorf("the server has %d bytes of %s, want %d: %v", len(there.Content), key, len(content), err)
	}
	obj, err := o.Stat(o.t.Context(), key)
	if err != nil || obj.Size != int64(len(content)) {
		o.t.Errorf("%s: %+v, %v", key, obj, err)
	}
	o.reads(key, content, 0)
	return there
}

func (o others) reads(key string, content []byte, offset int64) {
	o.t.Helper()
	r, err := o.Open(o.t.Context(), key, backends.OpenOptions{Offset: offset})
	if err != nil {
		o.t.Errorf("%s: %v", key, err)
		return
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content[offset:]) {
		o.t.Errorf("%s: read %d bytes from %d: %v", key, len(got), offset, err)
	}
	if size := r.Object().Size; size != int64(len(content)) {
		o.t.Errorf("%s: of %d bytes, want %d", key, size, len(content))
	}
}

func (o others) wantKind(want backends.Kind, err error) {
	o.t.Helper()
	if got := backends.KindOf(err); got != want {
		o.t.Errorf("%v, want %v", err, want)
	}
}

// list is what is directly in a folder. Folders end with a slash.
func (o others) list(dir string) (names []string) {
	o.t.Helper()
	for obj, err := range o.List(o.t.Context(), dir, backends.ListOptions{}) {
		if err != nil {
			o.t.Fatalf("%s: %v", dir, err)
		}
		if obj.Dir {
			obj.Key += "/"
		}
		names = append(names, obj.Key)
	}
	return names
}

func (o others) wantNothingPrivate() {
	o.t.Helper()
	left, err := o.server.ListObjectsWithOptionsPaginated(bucketName, fakestorage.ListOptions{Prefix: harness.Private + "/"})
	if err != nil || len(left.Objects) > 0 {
		o.t.Errorf("left behind: %v, %v", left.Objects, err)
	}
}

func TestSmallObjects(t *testing.T) {
	t.Parallel()
	o := open(t)
	names := []string{
		"a", "with space", "a+b&c=d", "100%", "#?", "Grüße", "日本", "😀", "d/e/f", "'\"", "[x]*", "a;b", "%2F", "~", "-- ",
	}
	for _, name := range names {
		content := []byte("content of " + name)
		o.put(name, content, backends.PutOptions{})
		o.holds(name, content)
		o.wantKind(backends.Exist, second(o.Put(t.Context(), name, strings.NewReader("other"), backends.PutOptions{IfAbsent: true})))
	}
	o.put("empty", nil, backends.PutOptions{})
	o.holds("empty", nil)
	o.put("a", []byte("another one"), backends.PutOptions{})
	o.holds("a", []byte("another one"))
	for _, name := range names {
		if err := o.Remove(t.Context(), name); err != nil {
			t.Error(err)
		}
		o.wantKind(backends.NotExist, second(o.Stat(t.Context(), name)))
		o.wantKind(backends.NotExist, second(o.Adapter.Open(t.Context(), name, backends.OpenOptions{})))
	}
	o.wantNothingPrivate()
}

func second[T any](_ T, err error) error { return err }

func TestDescription(t *testing.T) {
	t.Parallel()
	o := open(t)
	then := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	p := backends.PutOptions{ModTime: then, ContentType: "text/csv", Metadata: map[string]string{"partner": "acme"}}
	for key, size := range map[string]int{"small": 100, "large": 20 << 20} {
		o.put(key, harness.Pattern(size), p)
		there := o.holds(key, harness.Pattern(size))
		if there.ContentType != p.ContentType || there.Metadata["partner"] != "acme" {
			t.Errorf("%s: %q, %v", key, there.ContentType, there.Metadata)
		}
		for _, want := range []time.Time{then, then.Add(time.Hour)} {
			if err := o.SetModTime(t.Context(), key, want); err != nil {
				t.Error(err)
			}
			if obj, err := o.Stat(t.Context(), key); err != nil || !obj.ModTime.Equal(want) {
				t.Errorf("%s: %v, %v; want %v", key, obj.ModTime, err, want)
			}
		}
		if now := o.holds(key, harness.Pattern(size)); now.Generation != there.Generation {
			t.Errorf("%s: generation %d is %d now", key, there.Generation, now.Generation)
		}
	}
}

// Sizes about the borders of parts, by requests that have all of it and by sessions.
func TestSizes(t *testing.T) {
	t.Parallel()
	o := open(t)
	const part = pages.MinBudget * 3 / 8
	for _, size := range []int{1, 256 << 10, part - 1, part, part + 1, 2 * part, 2*part + 1, 20<<20 + 7} {
		content := harness.Pattern(size)
		for _, p := range []backends.PutOptions{{}, {Resumable: true, Owner: "acme"}} {
			o.put("k", content, p)
			o.holds("k", content)
		}
	}
	o.wantNothingPrivate()
}

func TestRanges(t *testing.T) {
	t.Parallel()
	o := open(t)
	content := harness.Pattern(3<<20 + 5)
	o.put("k", content, backends.PutOptions{})
	for _, offset := range []int64{0, 1, 1 << 20, 3 << 20, int64(len(content)) - 1, int64(len(content))} {
		o.reads("k", content, offset)
	}
	o.wantKind(backends.BadOffset, second(o.Adapter.Open(t.Context(), "k", backends.OpenOptions{Offset: int64(len(content)) + 1})))
}

func TestListing(t *testing.T) {
	t.Parallel()
	o := open(t)
	for _, key := range []string{"a/b/1", "a/b/2", "a/c", "a/d e/3", "b", "ä"} {
		o.put(key, []byte(key), backends.PutOptions{})
	}
	for _, dir := range []string{"new", "a/b/new"} {
		if err := o.Mkdir(t.Context(), dir); err != nil {
			t.Error(err)
		}
		o.wantKind(backends.Exist, o.Mkdir(t.Context(), dir))
	}
	for dir, want := range map[string][]string{
		"":        {"a/", "b", "new/", "ä"},
		"a":       {"a/b/", "a/c", "a/d e/"},
		"a/b":     {"a/b/1", "a/b/2", "a/b/new/"},
		"a/b/new": nil,
	} {
		if diff := cmp.Diff(want, o.list(dir)); diff != "" {
			t.Errorf("%q: %s", dir, diff)
		}
	}
	o.wantKind(backends.NotEmpty, o.Rmdir(t.Context(), "a"))
	for _, dir := range []string{"new", "a/b/new"} {
		if err := o.Rmdir(t.Context(), dir); err != nil {
			t.Error(err)
		}
		o.wantKind(backends.NotExist, o.Rmdir(t.Context(), dir))
	}
	o.wantKind(backends.NotDir, o.Rmdir(t.Context(), "b"))
	o.wantKind(backends.IsDir, o.Remove(t.Context(), "a"))
}

func TestCopies(t *testing.T) {
	t.Parallel()
	o := open(t)
	then := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	content := harness.Pattern(9 << 20)
	o.put("from", content, backends.PutOptions{ModTime: then, ContentType: "text/csv", Metadata: map[string]string{"partner": "acme"}})
	obj, err := o.Copy(t.Context(), "from", "to a/folder", backends.CopyOptions{})
	if err != nil || !obj.ModTime.Equal(then) {
		t.Errorf("%+v, %v", obj, err)
	}
	there := o.holds("to a/folder", content)
	if there.ContentType != "text/csv" || there.Metadata["partner"] != "acme" {
		t.Errorf("%q, %v", there.ContentType, there.Metadata)
	}
	// This server moves nothing, so that the object is copied and deleted.
	if err := o.Rename(t.Context(), "from", "renamed", backends.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	o.holds("renamed", content)
	o.wantKind(backends.NotExist, second(o.Stat(t.Context(), "from")))
	if err := o.Rename(t.Context(), "to a", "another", backends.RenameOptions{}); err != nil {
		t.Fatal(err)
	}
	o.holds("another/folder", content)
	if got, want := o.list(""), []string{"another/", "renamed"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	o.wantNothingPrivate()
}

// What is appended is composed.
func TestAppend(t *testing.T) {
	t.Parallel()
	o := open(t)
	content := harness.Pattern(14 << 20)
	have := 1 << 20
	o.put("k", content[:have], backends.PutOptions{ContentType: "text/csv"})
	for _, to := range []int{have + 1, 3 << 20, len(content)} {
		p := backends.PutOptions{Offset: int64(have), ContentType: "text/csv"}
		if _, err := o.Put(t.Context(), "k", bytes.NewReader(content[have:to]), p); err != nil {
			t.Fatal(err)
		}
		have = to
		if there := o.holds("k", content[:have]); there.ContentType != "text/csv" {
			t.Errorf("%q", there.ContentType)
		}
	}
	o.wantNothingPrivate()
}
