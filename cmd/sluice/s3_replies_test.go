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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
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

// bucket is a gateway in front of a fake bucket, and one client of it.
type front struct {
	t       *testing.T
	store   *s3fake.Server
	control *textproto.Conn
}

const (
	secretBucket = "ledger-of-acme"
	secretKey    = "AKIAFAKEFAKE"
	largeUpload  = 7 << 20 // more than a part of the smallest budget
)

// newFront starts a gateway; hurry bounds the adapter's calls.
func newFront(t *testing.T, hurry bool) *front {
	t.Helper()
	store := s3fake.Start(t, s3fake.Options{Bucket: secretBucket, AccessKey: secretKey})
	memory, err := pages.New(pages.MinBudget)
	check0(t, err)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	lake, err := s3.Open(t.Context(), s3.Config{
		Config: bucket.Config{Memory: memory, Log: log, SweepEvery: -1},
		Bucket: secretBucket, Region: "us-east-1", Endpoint: store.URL(), PathStyle: true, AllowHTTP: true,
		AccessKeyID: secretKey, SecretAccessKey: "testsecret",
	})
	check0(t, err)
	t.Cleanup(func() { check0(t, lake.Close()) })
	var adapter backends.CloudStorageAdapter = lake
	if hurry {
		adapter = impatient{lake, t}
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
	b := &front{t, store, control}
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
	name string
	main string // the request that does it
	do   func(b *front) string
}{
	{"STOR", "PutObject", func(b *front) string { return b.transfer("STOR new", strings.NewReader("small")) }},
	{"STOR large", "UploadPart", func(b *front) string { return b.transfer("STOR new", io.LimitReader(zeros{}, largeUpload)) }},
	{"STOR published", "CompleteMultipartUpload", func(b *front) string {
		return b.transfer("STOR new", io.LimitReader(zeros{}, largeUpload))
	}},
	{"RETR", "GetObject", func(b *front) string { return b.transfer("RETR file", nil) }},
	{"LIST", "ListObjectsV2", func(b *front) string { return b.transfer("LIST full", nil) }},
	{"MLSD", "ListObjectsV2", func(b *front) string { return b.transfer("MLSD full", nil) }},
	{"SIZE", "HeadObject", func(b *front) string { return b.do("SIZE file") }},
	{"DELE", "DeleteObject", func(b *front) string { return b.do("DELE full/file") }},
	{"MKD", "PutObject", func(b *front) string { return b.do("MKD new") }},
	{"RMD", "DeleteObject", func(b *front) string { return b.do("RMD folder") }},
	{"RNTO", "CopyObject", func(b *front) string {
		if r := b.do("RNFR file"); !strings.HasPrefix(r, "350") {
			return r
		}
		return b.do("RNTO other")
	}},
	{"MFMT", "CopyObject", func(b *front) string { return b.do("MFMT 20200102030405 file") }},
}

// s3Replies are the replies to each error of S3, in the order of ftpVerbs. "-" is a case that
// does not occur, or that takes minutes.
var s3Replies = []struct {
	code    string
	all     bool // every request is answered so, not only the main one
	replies string
}{
	//                               STOR large publ RETR LIST MLSD SIZE DELE MKD  RMD  RNTO MFMT
	{"NoSuchBucket", true, "           451  451  451  451  451  451  451  451  451  451  451  451"},
	{"InvalidAccessKeyId", true, "     451  451  451  451  451  451  451  451  451  451  451  451"},
	{"SignatureDoesNotMatch", true, "  451  451  451  451  451  451  451  451  451  451  451  451"},
	{"PermanentRedirect", true, "      451  451  451  451  451  451  451  451  451  451  451  451"},
	{"ExpiredToken", true, "           451  451  451  451  451  451  451  451  451  451  451  451"},
	{"AccessDenied", true, "           451  451  451  550  550  550  550  550  550  550  550  550"},
	{"AccessDenied", false, "          451  451  451  550  550  550  550  550  550  550  553  550"},
	{"NoSuchKey", false, "             -    -    -    550  -    -    550  -    -    -    -    -"},
	{"PreconditionFailed", false, "    451  451  451  450  -    -    -    -    -    -    450  450"},
	{"KeyTooLongError", false, "       553  -    -    -    -    -    -    -    553  -    553  -"},
	{"EntityTooLarge", false, "        552  552  552  -    -    -    -    -    -    -    552  -"},
	{"QuotaExceeded", false, "         552  552  552  -    -    -    -    -    552  -    552  552"},
	{"InsufficientStorage", false, "   452  452  452  -    -    -    -    -    452  -    452  452"},
	{"InvalidObjectState", false, "    -    -    -    450  -    -    -    -    -    -    450  450"},
	{"BadDigest", false, "             451  451  451  -    -    -    -    -    -    -    -    -"},
	{"InvalidPart", false, "           -    -    451  -    -    -    -    -    -    -    -    -"},
	{"NoSuchUpload", false, "          -    451  451  -    -    -    -    -    -    -    -    -"},
	{"EntityTooSmall", false, "        -    -    451  -    -    -    -    -    -    -    -    -"},
	{"MalformedXML", false, "          451  451  451  451  451  451  -    451  451  451  451  451"},
	{"NotImplemented", false, "        451  451  451  502  502  502  502  502  502  502  502  502"},
	{"SlowDown", true, "               451  -    -    450  450  450  450  450  450  450  450  450"},
	{"InternalError", true, "          451  -    -    450  450  450  450  450  450  450  450  450"},
}

// TestS3Replies: each error of S3 in each verb is answered with the code that tells its cause, and
// with nothing that is the operator's: no bucket, endpoint or key.
func TestS3Replies(t *testing.T) {
	for _, row := range s3Replies {
		replies := strings.Fields(row.replies)
		for i, verb := range ftpVerbs {
			want := replies[i]
			if want == "-" {
				continue
			}
			t.Run(fmt.Sprintf("%s %v %s", row.code, row.all, verb.name), func(t *testing.T) {
				t.Parallel()
				hurry := row.code == "SlowDown" || row.code == "InternalError"
				b := newFront(t, hurry)
				b.store.Put("file", []byte("content"), nil)
				b.store.Put("folder/", nil, nil)
				b.store.Put("full/file", []byte("content"), nil)
				b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
					if row.all || r.Op == verb.main && !strings.HasPrefix(r.Key, ".sluice/") {
						return s3fake.Fault{Code: row.code, Status: statusOf(row.code)}
					}
					return s3fake.Fault{}
				})
				got := verb.do(b)
				if !strings.HasPrefix(got, want+" ") {
					t.Errorf("reply %q, want %s", got, want)
				}
				for _, secret := range []string{
					secretBucket, secretKey, strings.TrimPrefix(b.store.URL(), "http://"), row.code, "injected", "http", "s3",
				} {
					if strings.Contains(strings.ToLower(got), strings.ToLower(secret)) {
						t.Errorf("the reply tells of %q: %s", secret, got)
					}
				}
				if b.store.OnRequest(nil); verb.main == "CompleteMultipartUpload" || strings.HasPrefix(verb.name, "STOR") {
					if _, there := b.store.Object("new"); there {
						t.Error("the object is there")
					}
				}
				if b.do("NOOP")[:3] != "200" {
					t.Error("the session is over")
				}
			})
		}
	}
}

// statusOf is for codes that the fake has no status for.
func statusOf(code string) int {
	switch code {
	case "QuotaExceeded":
		return 403
	case "InsufficientStorage":
		return 507
	}
	return 0
}

// TestS3BadOffset: a restart behind the end has a reply of its own.
func TestS3BadOffset(t *testing.T) {
	b := newFront(t, false)
	b.store.Put("file", []byte("content"), nil)
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
}
