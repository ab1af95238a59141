package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
	"github.com/sluice-ftp/sluice/gateway"
)

// anyone lets everybody do everything in the bucket.
type anyone struct{}

// Refresh finds everybody as they were.
func (anyone) Refresh(u *auth.User, _ netip.Addr) (*auth.User, error) { return u, nil }

func (anyone) Authenticate(context.Context, auth.Login) (*auth.User, error) {
	return &auth.User{Name: "ann", Mounts: []auth.Mount{{Path: "/", Backend: "lake", Permissions: auth.All}}}, nil
}

// impatient bounds every call, because the adapter tries again for minutes what may be temporary.
type impatient struct {
	backends.CloudStorageAdapter
	t testing.TB
}

func (i impatient) soon(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	i.t.Cleanup(cancel)
	return ctx
}

func (i impatient) Stat(ctx context.Context, key string) (backends.Object, error) {
	return i.CloudStorageAdapter.Stat(i.soon(ctx), key)
}

func (i impatient) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return i.CloudStorageAdapter.List(i.soon(ctx), dir, o)
}

func (i impatient) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	return i.CloudStorageAdapter.Open(i.soon(ctx), key, o)
}

func (i impatient) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	return i.CloudStorageAdapter.Put(i.soon(ctx), key, r, o)
}

func (i impatient) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	return i.CloudStorageAdapter.Rename(i.soon(ctx), from, to, o)
}

func (i impatient) Remove(ctx context.Context, key string) error {
	return i.CloudStorageAdapter.Remove(i.soon(ctx), key)
}

func (i impatient) Mkdir(ctx context.Context, dir string) error {
	return i.CloudStorageAdapter.Mkdir(i.soon(ctx), dir)
}

func (i impatient) Rmdir(ctx context.Context, dir string) error {
	return i.CloudStorageAdapter.Rmdir(i.soon(ctx), dir)
}

func (i impatient) SetModTime(ctx context.Context, key string, t time.Time) error {
	return i.CloudStorageAdapter.SetModTime(i.soon(ctx), key, t)
}

// fakeBucket is a fake store and what differs between such.
type fakeBucket struct {
	adapter backends.CloudStorageAdapter
	url     string
	put     func(key string, content []byte)
	has     func(key string) bool
	// answer has requests answered with an error: all, or those of one of ops that are not about what is ours.
	answer func(e storeError, all bool, ops string)
	well   func() // nothing goes wrong any more
}

// storeError is an error as a store answers it. A code is S3's or a reason of Google's.
type storeError struct {
	status int
	code   string
}

// front is a gateway in front of a fake bucket, and one client of it.
type front struct {
	*fakeBucket
	t       *testing.T
	control *textproto.Conn
}

const (
	secretBucket = "ledger-of-acme"
	secretKey    = "AKIAFAKEFAKE"
	largeUpload  = 7 << 20 // more than a part of the smallest budget
)

// newS3 makes a bucket of S3.
func newS3(t *testing.T, c bucket.Config) *fakeBucket {
	t.Helper()
	f := s3fake.Start(t, s3fake.Options{Bucket: secretBucket, AccessKey: secretKey})
	a, err := s3.Open(t.Context(), s3.Config{
		Config: c, Bucket: secretBucket, Region: "us-east-1", Endpoint: f.URL(), PathStyle: true, AllowHTTP: true,
		AccessKeyID: secretKey, SecretAccessKey: "testsecret",
	})
	check0(t, err)
	return &fakeBucket{
		adapter: a, url: f.URL(),
		put: func(key string, content []byte) { f.Put(key, content, nil) },
		has: func(key string) bool { _, ok := f.Object(key); return ok },
		answer: func(e storeError, all bool, ops string) {
			f.OnRequest(func(r s3fake.Request) s3fake.Fault {
				if hit(all, ops, r.Op, r.Key) {
					return s3fake.Fault{Code: e.code, Status: e.status}
				}
				return s3fake.Fault{}
			})
		},
		well: func() { f.OnRequest(nil) },
	}
}

// newGCS makes a bucket of Google.
func newGCS(t *testing.T, c bucket.Config) *fakeBucket {
	t.Helper()
	f := gcsfake.Start(t, gcsfake.Options{Bucket: secretBucket, NoAuth: true})
	a, err := gcs.Open(t.Context(), gcs.Config{
		Config: c, Bucket: secretBucket, Endpoint: f.URL(), AllowHTTP: true, Anonymous: true,
	})
	check0(t, err)
	return &fakeBucket{
		adapter: a, url: f.URL(),
		put: func(key string, content []byte) { f.Put(key, content, nil) },
		has: func(key string) bool { _, ok := f.Object(key); return ok },
		answer: func(e storeError, all bool, ops string) {
			f.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
				if hit(all, ops, r.Op, r.Key) {
					return gcsfake.Fault{Reason: e.code, Status: e.status}
				}
				return gcsfake.Fault{}
			})
		},
		well: func() { f.OnRequest(nil) },
	}
}

// hit: a request is one of those that are to be answered with an error.
func hit(all bool, ops, op, key string) bool {
	return all || slices.Contains(strings.Fields(ops), op) && !strings.HasPrefix(key, ".sluice/")
}

// newFront starts a gateway before a bucket; hurry bounds the adapter's calls.
func newFront(t *testing.T, open func(t *testing.T, c bucket.Config) *fakeBucket, hurry bool) *front {
	t.Helper()
	memory, err := pages.New(pages.MinBudget)
	check0(t, err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	store := open(t, bucket.Config{Memory: memory, Log: log, SweepEvery: -1})
	t.Cleanup(func() { check0(t, store.adapter.Close()) })
	adapter := store.adapter
	if hurry {
		adapter = impatient{adapter, t}
	}
	server, err := gateway.New(gateway.Options{
		Backends: map[string]backends.CloudStorageAdapter{"lake": adapter}, Auth: anyone{}, Log: log,
		TLS: gateway.TLSOptions{Mode: gateway.TLSOff}, TransferEOF: gateway.EOFOff,
	})
	check0(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check0(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l, false) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = l.Close()
		serving.Wait()
	})
	control, err := textproto.Dial("tcp", l.Addr().String())
	check0(t, err)
	t.Cleanup(func() { _ = control.Close() })
	b := &front{store, t, control}
	b.reply()
	b.do("USER ann")
	b.do("PASS x")
	b.do("TYPE I")
	return b
}

func (b *front) reply() string {
	b.t.Helper()
	code, text, err := b.control.ReadResponse(0)
	if code == 0 && err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", code, text)
}

func (b *front) do(command string) string {
	b.t.Helper()
	check0(b.t, b.control.PrintfLine("%s", command))
	return b.reply()
}

// transfer sends content, or takes what comes if it is nil, and returns the last reply.
func (b *front) transfer(command string, content io.Reader) string {
	b.t.Helper()
	epsv := b.do("EPSV")
	var port int
	if _, err := fmt.Sscanf(epsv[strings.Index(epsv, "(|||")+4:], "%d", &port); err != nil {
		b.t.Fatalf("EPSV: %s", epsv)
	}
	data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check0(b.t, err)
	defer data.Close()
	last := b.do(command)
	if !strings.HasPrefix(last, "1") {
		return last
	}
	if content != nil {
		_, _ = io.Copy(data, content) // who refuses hangs up
	} else {
		_, _ = io.Copy(io.Discard, data)
	}
	_ = data.Close()
	return b.reply()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// ftpVerbs are the verbs, on a bucket with file, folder/ and full/file in it.
var ftpVerbs = []struct {
	name    string
	s3, gcs string // the requests that do it
	do      func(b *front) string
}{
	{"STOR", "PutObject", "objects.insert", func(b *front) string { return b.transfer("STOR new", strings.NewReader("small")) }},
	{"STOR large", "UploadPart", "session.put", func(b *front) string { return b.transfer("STOR new", io.LimitReader(zeros{}, largeUpload)) }},
	{"STOR published", "CompleteMultipartUpload", "session.put", func(b *front) string {
		return b.transfer("STOR new", io.LimitReader(zeros{}, largeUpload))
	}},
	{"RETR", "GetObject", "objects.media", func(b *front) string { return b.transfer("RETR file", nil) }},
	{"LIST", "ListObjectsV2", "objects.list", func(b *front) string { return b.transfer("LIST full", nil) }},
	{"MLSD", "ListObjectsV2", "objects.list", func(b *front) string { return b.transfer("MLSD full", nil) }},
	{"SIZE", "HeadObject", "objects.get", func(b *front) string { return b.do("SIZE file") }},
	{"DELE", "DeleteObject", "objects.delete", func(b *front) string { return b.do("DELE full/file") }},
	{"MKD", "PutObject", "objects.insert", func(b *front) string { return b.do("MKD new") }},
	{"RMD", "DeleteObject", "objects.delete", func(b *front) string { return b.do("RMD folder") }},
	{"RNTO", "CopyObject", "objects.move objects.rewrite", func(b *front) string {
		if r := b.do("RNFR file"); !strings.HasPrefix(r, "350") {
			return r
		}
		return b.do("RNTO other")
	}},
	{"MFMT", "CopyObject", "objects.patch", func(b *front) string { return b.do("MFMT 20200102030405 file") }},
}

// repliesTo are the replies to an error of a store, in the order of ftpVerbs. "-" is a case that does not
// occur, or that takes minutes.
type repliesTo struct {
	storeError
	all     bool // every request is answered so, not only the main one
	replies string
}

var s3Replies = []repliesTo{
	//                                              STOR large publ RETR LIST MLSD SIZE DELE MKD  RMD  RNTO MFMT
	{storeError{0, "NoSuchBucket"}, true, "           451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{0, "InvalidAccessKeyId"}, true, "     451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{0, "SignatureDoesNotMatch"}, true, "  451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{0, "PermanentRedirect"}, true, "      451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{0, "ExpiredToken"}, true, "           451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{0, "AccessDenied"}, true, "           451  451  451  550  550  550  550  550  550  550  550  550"},
	{storeError{0, "AccessDenied"}, false, "          451  451  451  550  550  550  550  550  550  550  553  550"},
	{storeError{0, "NoSuchKey"}, false, "             -    -    -    550  -    -    550  -    -    -    -    -"},
	{storeError{0, "PreconditionFailed"}, false, "    451  451  451  450  -    -    -    -    -    -    450  450"},
	{storeError{0, "KeyTooLongError"}, false, "       553  -    -    -    -    -    -    -    553  -    553  -"},
	{storeError{0, "EntityTooLarge"}, false, "        552  552  552  -    -    -    -    -    -    -    552  -"},
	{storeError{403, "QuotaExceeded"}, false, "       552  552  552  -    -    -    -    -    552  -    552  552"},
	{storeError{507, "InsufficientStorage"}, false, " 452  452  452  -    -    -    -    -    452  -    452  452"},
	{storeError{0, "InvalidObjectState"}, false, "    -    -    -    450  -    -    -    -    -    -    450  450"},
	{storeError{0, "BadDigest"}, false, "             451  451  451  -    -    -    -    -    -    -    -    -"},
	{storeError{0, "InvalidPart"}, false, "           -    -    451  -    -    -    -    -    -    -    -    -"},
	{storeError{0, "NoSuchUpload"}, false, "          -    451  451  -    -    -    -    -    -    -    -    -"},
	{storeError{0, "EntityTooSmall"}, false, "        -    -    451  -    -    -    -    -    -    -    -    -"},
	{storeError{0, "MalformedXML"}, false, "          451  451  451  451  451  451  -    451  451  451  451  451"},
	{storeError{0, "NotImplemented"}, false, "        451  451  451  502  502  502  502  502  502  502  502  502"},
	{storeError{0, "SlowDown"}, true, "               451  -    -    450  450  450  450  450  450  450  450  450"},
	{storeError{0, "InternalError"}, true, "          451  -    -    450  450  450  450  450  450  450  450  450"},
}

// The reasons are those of the JSON API: with the content, which comes by the other one, none of them does.
var gcsReplies = []repliesTo{
	//                                                STOR large publ RETR LIST MLSD SIZE DELE MKD  RMD  RNTO MFMT
	{storeError{401, "authError"}, true, "               451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{403, "forbidden"}, true, "               451  451  451  550  550  550  550  550  550  550  550  550"},
	{storeError{403, "forbidden"}, false, "              451  451  451  550  550  550  550  550  550  550  553  550"},
	{storeError{403, "accountDisabled"}, true, "         451  451  451  -    451  451  451  451  451  451  451  451"},
	{storeError{400, "userProjectMissing"}, true, "      451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{404, "notFound"}, false, "               -    451  451  550  451  451  550  -    -    -    -    -"},
	{storeError{412, "conditionNotMet"}, false, "        451  451  451  450  -    -    -    450  -    450  450  450"},
	{storeError{413, "uploadTooLarge"}, false, "         552  552  552  -    -    -    -    -    -    -    552  -"},
	{storeError{403, "quotaExceeded"}, false, "          552  552  552  -    -    -    -    -    552  -    552  552"},
	{storeError{400, "invalid"}, false, "                451  451  451  451  451  451  451  451  451  451  451  451"},
	{storeError{499, "cancelled"}, false, "              -    451  451  -    -    -    -    -    -    -    -    -"},
	{storeError{410, "gone"}, false, "                   -    451  451  -    -    -    -    -    -    -    -    -"},
	{storeError{501, "notImplemented"}, false, "         451  451  451  502  502  502  502  502  502  502  502  502"},
	{storeError{429, "rateLimitExceeded"}, true, "       451  -    -    450  450  450  450  450  450  450  450  450"},
	{storeError{403, "userRateLimitExceeded"}, true, "   451  -    -    -    450  450  450  450  450  450  450  450"},
	{storeError{500, "internalError"}, true, "           451  -    -    450  450  450  450  450  450  450  450  450"},
	{storeError{503, "backendError"}, true, "            451  -    -    450  450  450  450  450  450  450  450  450"},
}

// hasty are the errors after which an adapter tries again for minutes.
var hasty = []string{"SlowDown", "InternalError", "rateLimitExceeded", "userRateLimitExceeded", "internalError", "backendError"}

// TestReplies: each error of a store in each verb is answered with the code that tells its cause, and
// with nothing that is the operator's: no bucket, endpoint or key.
func TestReplies(t *testing.T) {
	for name, store := range map[string]struct {
		open func(t *testing.T, c bucket.Config) *fakeBucket
		rows []repliesTo
	}{"s3": {newS3, s3Replies}, "gcs": {newGCS, gcsReplies}} {
		for _, row := range store.rows {
			replies := strings.Fields(row.replies)
			for i, verb := range ftpVerbs {
				want := replies[i]
				if want == "-" {
					continue
				}
				ops := verb.s3
				if name == "gcs" {
					ops = verb.gcs
				}
				t.Run(fmt.Sprintf("%s %s %v %s", name, row.code, row.all, verb.name), func(t *testing.T) {
					t.Parallel()
					b := newFront(t, store.open, slices.Contains(hasty, row.code))
					b.put("file", []byte("content"))
					b.put("folder/", nil)
					b.put("full/file", []byte("content"))
					b.answer(row.storeError, row.all, ops)
					got := verb.do(b)
					if !strings.HasPrefix(got, want+" ") {
						t.Errorf("reply %q, want %s", got, want)
					}
					for _, secret := range []string{
						secretBucket, secretKey, strings.TrimPrefix(b.url, "http://"), row.code, "injected", "http", name,
					} {
						if strings.Contains(strings.ToLower(got), strings.ToLower(secret)) {
							t.Errorf("the reply tells of %q: %s", secret, got)
						}
					}
					if b.well(); strings.HasPrefix(verb.name, "STOR") && b.has("new") {
						t.Error("the object is there")
					}
					if b.do("NOOP")[:3] != "200" {
						t.Error("the session is over")
					}
				})
			}
		}
	}
}

// TestBadOffset: a restart behind the end has a reply of its own.
func TestBadOffset(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, c bucket.Config) *fakeBucket{"s3": newS3, "gcs": newGCS} {
		t.Run(name, func(t *testing.T) {
			b := newFront(t, open, false)
			b.put("file", []byte("content"))
			for _, test := range []struct {
				offset, want string
			}{{"7", "226"}, {"8", "554"}} {
				if r := b.do("REST " + test.offset); !strings.HasPrefix(r, "350") {
					t.Fatal(r)
				}
				if r := b.transfer("RETR file", nil); !strings.HasPrefix(r, test.want) {
					t.Errorf("RETR from %s: %s", test.offset, r)
				}
			}
		})
	}
}
