package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// List implements backends.CloudStorageAdapter. It yields in the order of the folder, which is none.
// What Stat or Open would refuse is not shown: special files, links that lead out of the root or
// nowhere, names that are no keys, such as one with a line break in it, and what cannot be read.
func (a *Adapter) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		if err := a.list(ctx, dir, o, yield); err != nil {
			yield(backends.Object{}, translate("list", dir, err))
		}
	}
}

func (a *Adapter) list(ctx context.Context, dir string, o backends.ListOptions, yield func(backends.Object, error) bool) error {
	if err := begin(ctx, dir); err != nil {
		return err
	}
	f, err := a.openFolder(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	entries := newDirents(f)
	prefix := []byte(o.Prefix)
	key := []byte(join(dir, ""))
	start := len(key)
	for {
		if err := backends.Alive(ctx); err != nil {
			return err
		}
		name, kind, err := entries.next()
		if err == io.EOF { //nolint:errorlint // next's own
			return nil
		}
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(name, prefix) {
			continue
		}
		key = append(key[:start], name...)
		obj, shown, err := a.entry(f, string(key), start, kind, o.NamesOnly)
		if err != nil {
			return err
		}
		if shown && !yield(obj, nil) {
			return nil
		}
	}
}

// entry describes the entry of f whose name begins at key[start], unless it is not to be shown or
// gone already.
func (a *Adapter) entry(f *folder, key string, start int, kind uint32, namesOnly bool) (backends.Object, bool, error) {
	var none backends.Object
	name := key[start:]
	if !listable(key) || (name == backends.Private && f.id == a.top) { // the root may be here by a link
		return none, false, nil
	}
	private := f.id == a.top && strings.EqualFold(name, backends.Private)
	if namesOnly && !private && (kind == unix.S_IFREG || kind == unix.S_IFDIR) {
		return backends.Object{Key: key, Dir: kind == unix.S_IFDIR}, true, nil
	}
	st, err := statAt(f.fd(), name)
	if err == nil && kindOf(&st) == unix.S_IFLNK {
		if st, err = a.follow(key); err != nil {
			return none, false, nil
		}
	}
	if isGone(err) || (err == nil && a.isHidden(inodeOf(&st))) {
		return none, false, nil
	}
	if err != nil {
		return none, false, err
	}
	if kind = kindOf(&st); kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return none, false, nil
	}
	return object(key, &st), true, nil
}

// isGone is true of what the system says about an entry that cannot be described though the folder
// can be read: removed meanwhile, on a damaged block, or a mount whose server died. The others are
// listed all the same.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOTCONN) ||
		errors.Is(err, unix.ESTALE)
}

// listable is CheckKey, without its cost for the names that there are most of.
func listable(key string) bool {
	if len(key) > backends.MaxKey || key[0] == '.' {
		return backends.CheckKey(key) == nil
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return backends.CheckKey(key) == nil
		}
	}
	return true
}
