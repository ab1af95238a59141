package s3

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-ftp/sluice/backends"
)

// Names of what is kept with an object besides its content.
const (
	// metaModTime is the time that the client set, in seconds since 1970 with a fraction: as rclone
	// and s3fs have it.
	metaModTime = "mtime"
	// metaToken tells one writing of an object from every other.
	metaToken = "sluice-upload"
)

// Stat implements backends.CloudStorageAdapter. The two questions, for an object and for a folder,
// are asked at once.
func (a *Adapter) Stat(ctx context.Context, key string) (backends.Object, error) {
	obj, err := a.stat(ctx, key)
	return obj, translate("stat", key, err)
}

func (a *Adapter) stat(ctx context.Context, key string) (backends.Object, error) {
	if err := a.begin(ctx, key); err != nil {
		return backends.Object{}, err
	}
	if key == "" {
		return backends.Object{Dir: true}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	folder := a.ask(ctx, asking, key)
	head, err := a.head(ctx, key)
	if err == nil {
		cancel()
		<-folder
		return object(key, head), nil
	}
	f := <-folder
	switch {
	case f.err != nil:
		return backends.Object{}, f.err // it has a body, so it says more than the answer to HEAD
	case f.exists:
		return backends.Object{Key: key, Dir: true, ModTime: f.modTime}, nil
	}
	return backends.Object{}, err
}

// head describes the object at key.
func (a *Adapter) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	return a.headAs(ctx, a.full(key))
}

// headAs describes what has that name in the bucket.
func (a *Adapter) headAs(ctx context.Context, full string) (out *s3.HeadObjectOutput, err error) {
	err = retry(ctx, asking, func(ctx context.Context) error {
		out, err = a.client.HeadObject(ctx, &s3.HeadObjectInput{
			Bucket: &a.Bucket, Key: &full, RequestPayer: a.payer(),
		})
		return err
	})
	if kind, _ := classify(err); err != nil && (kind == backends.Permission || kind == backends.Misconfigured) {
		// The answer to HEAD has no body: another question tells more.
		if _, listErr := a.keys(ctx, full, "", 1); listErr != nil {
			err = listErr
		}
	}
	return out, err
}

// folderAnswer says whether there is a folder.
type folderAnswer struct {
	exists  bool
	modTime time.Time // of its placeholder, if it has one
	err     error
}

// ask finds out in the background whether dir is a folder. The answer always comes, soon after ctx ends.
func (a *Adapter) ask(ctx context.Context, p patience, dir string) <-chan folderAnswer {
	answer := make(chan folderAnswer, 1)
	go func() { answer <- a.folderAt(ctx, p, dir) }()
	return answer
}

func (a *Adapter) folderAt(ctx context.Context, p patience, dir string) folderAnswer {
	page, err := a.pageWith(ctx, p, a.folder(dir), "", "", 1)
	if err != nil || len(page.objects) == 0 {
		return folderAnswer{err: err}
	}
	answer := folderAnswer{exists: true}
	if first := page.objects[0]; first.Key == a.folder(dir) {
		answer.modTime = first.ModTime
	}
	return answer
}

// object describes what was asked about with HEAD.
func object(key string, head *s3.HeadObjectOutput) backends.Object {
	return backends.Object{
		Key: key, Size: aws.ToInt64(head.ContentLength), Version: aws.ToString(head.ETag),
		ModTime: modTime(head.Metadata, head.LastModified),
	}
}

// modTime is what the client set, or when the object was written.
func modTime(metadata map[string]string, written *time.Time) time.Time {
	if t, ok := parseModTime(metadata[metaModTime]); ok {
		return t
	}
	return aws.ToTime(written)
}

// writtenAt is the same, from the header of an object.
func writtenAt(h http.Header) time.Time {
	if t, ok := parseModTime(h.Get("X-Amz-Meta-" + metaModTime)); ok {
		return t
	}
	t, _ := http.ParseTime(h.Get("Last-Modified")) // without one there is none
	return t
}

// formatModTime and parseModTime are for seconds with up to nine digits behind the point. A
// floating-point number would not hold them.
func formatModTime(t time.Time) string {
	s := strconv.FormatInt(t.Unix(), 10)
	if ns := t.Nanosecond(); ns != 0 {
		s += "." + strings.TrimRight(strconv.Itoa(1_000_000_000 + ns)[1:], "0")
	}
	return s
}

func parseModTime(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	const digits = 9
	ns, err := strconv.ParseUint((fraction + "000000000")[:digits], 10, 32)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(ns)).UTC(), true
}
