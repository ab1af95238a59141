package bucket

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Names of what is kept with an object besides its content.
const (
	// MetaModTime is the time that the client set, in seconds since 1970 with a fraction: as rclone
	// and s3fs have it.
	MetaModTime = "mtime"
	// MetaToken tells one writing of an object from every other.
	MetaToken = "sluice-upload"
)

// Stat implements backends.CloudStorageAdapter. The two questions, for an object and for a folder,
// are asked at once.
func (a *Adapter) Stat(ctx context.Context, key string) (backends.Object, error) {
	obj, err := a.stat(ctx, key)
	return obj, a.Translate("stat", key, err)
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
	folder := a.ask(ctx, Asking, key)
	info, err := a.head(ctx, a.full(key))
	if err == nil {
		cancel()
		<-folder
		return info.object(key), nil
	}
	f := <-folder
	switch {
	case f.err != nil:
		return backends.Object{}, f.err // it may have a body, and say more than the answer to HEAD
	case f.exists:
		return backends.Object{Key: key, Dir: true, ModTime: f.modTime}, nil
	}
	return backends.Object{}, err
}

// head describes what has that name in the bucket.
func (a *Adapter) head(ctx context.Context, name string) (info *Info, err error) {
	err = a.Retry(ctx, Asking, func(ctx context.Context) error {
		info, err = a.store.Head(ctx, name)
		return err
	})
	return info, err
}

// folderAnswer says whether there is a folder.
type folderAnswer struct {
	exists  bool
	modTime time.Time // of its placeholder, if it has one
	err     error
}

// ask finds out in the background whether dir is a folder. The answer always comes, soon after ctx ends.
func (a *Adapter) ask(ctx context.Context, p Patience, dir string) <-chan folderAnswer {
	answer := make(chan folderAnswer, 1)
	go func() { answer <- a.folderAt(ctx, p, dir) }()
	return answer
}

func (a *Adapter) folderAt(ctx context.Context, p Patience, dir string) folderAnswer {
	if a.hierarchy != nil {
		return a.statFolder(ctx, p, dir)
	}
	page, err := a.page(ctx, p, Query{Prefix: a.folder(dir), Most: 1})
	if err != nil || len(page.Objects) == 0 {
		return folderAnswer{err: err}
	}
	answer := folderAnswer{exists: true}
	if first := page.Objects[0]; first.Key == a.folder(dir) {
		answer.modTime = first.ModTime
	}
	return answer
}

// object describes the object at key.
func (i *Info) object(key string) backends.Object {
	return backends.Object{Key: key, Size: i.Size, Version: i.Version, ModTime: i.ModTime()}
}

// ModTime is what the client set, or when the object was written.
func (i *Info) ModTime() time.Time {
	if t, ok := ParseModTime(i.Metadata[MetaModTime]); ok {
		return t
	}
	return i.Written
}

// FormatModTime and ParseModTime are for seconds with up to nine digits behind the point. A
// floating-point number would not hold them.
func FormatModTime(t time.Time) string {
	s := strconv.FormatInt(t.Unix(), 10)
	if ns := t.Nanosecond(); ns != 0 {
		s += "." + strings.TrimRight(strconv.Itoa(1_000_000_000 + ns)[1:], "0")
	}
	return s
}

// ParseModTime reads what FormatModTime wrote.
func ParseModTime(s string) (time.Time, bool) {
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
