package bucket

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
)

// folderType is the content type of a placeholder, as other programs write it.
const folderType = "application/x-directory"

var errRoot = errors.New("the root itself")

// Mkdir implements backends.CloudStorageAdapter. The folders above need nothing: a key below them is
// all that they are.
func (a *Adapter) Mkdir(ctx context.Context, dir string) error {
	return a.Translate("mkdir", dir, a.mkdir(ctx, dir))
}

func (a *Adapter) mkdir(ctx context.Context, dir string) error {
	_, err := a.stat(ctx, dir)
	switch {
	case err == nil:
		return Fault(backends.Exist, nil)
	case !a.missing(err):
		return err
	case len(a.folder(dir)) > backends.MaxKey:
		return Fault(backends.InvalidName, errTooLong)
	}
	if a.hierarchy != nil {
		return a.makeFolder(ctx, dir)
	}
	return a.keep(ctx, dir)
}

// keep writes the placeholder of a folder; one that is there already does no harm.
func (a *Adapter) keep(ctx context.Context, dir string) error {
	placeholder := &NewObject{Name: a.folder(dir), Purpose: Folder, ContentType: folderType}
	return a.Retry(ctx, Asking, func(ctx context.Context) error {
		_, err := a.store.Write(ctx, placeholder)
		return err
	})
}

// leave takes what has the name full in the bucket out of the folder that holds it, by remove, and has
// that folder stay. If it is the last, the folder's placeholder is written before; and when it has gone
// the folder is looked for again, because two that go at once each took the other for a reason to do
// nothing. A failure then is no reason to say that it has not gone.
func (a *Adapter) leave(ctx context.Context, full string, remove func(ctx context.Context) error) error {
	key := strings.TrimSuffix(strings.TrimPrefix(full, a.Prefix), "/")
	dir := path.Dir(key)
	if dir == "." || a.hierarchy != nil {
		return remove(ctx)
	}
	page, err := a.firstTwo(ctx, a.folder(dir)) // this one, and anything else
	if err != nil {
		return err
	}
	if len(page.Objects) > 0 && page.Objects[0].Key == a.folder(dir) {
		return remove(ctx) // it has a placeholder
	}
	if len(page.Objects) == 1 {
		if err := a.keep(ctx, dir); err != nil {
			return err
		}
	}
	if err := remove(ctx); err != nil {
		return err
	}
	ctx = background(ctx)
	f := a.folderAt(ctx, Asking, dir)
	if f.err == nil && !f.exists {
		f.err = a.keep(ctx, dir)
	}
	if f.err != nil {
		a.Log.Warn("an emptied folder may be gone", "key", dir, "err", f.err)
	}
	return nil
}

// Rmdir implements backends.CloudStorageAdapter.
func (a *Adapter) Rmdir(ctx context.Context, dir string) error {
	return a.Translate("rmdir", dir, a.rmdir(ctx, dir))
}

func (a *Adapter) rmdir(ctx context.Context, dir string) error {
	if err := a.begin(ctx, dir); err != nil {
		return err
	}
	if dir == "" {
		return Fault(backends.Permission, errRoot)
	}
	page, err := a.firstTwo(ctx, a.folder(dir)) // the placeholder, and anything else
	if err != nil {
		return err
	}
	switch {
	case len(page.Objects) == 0 && a.hierarchy != nil:
		return a.rmdirEmpty(ctx, dir)
	case len(page.Objects) == 0:
		if _, err := a.head(ctx, a.full(dir)); err != nil {
			return err
		}
		return Fault(backends.NotDir, nil)
	case len(page.Objects) > 1 || page.Objects[0].Key != a.folder(dir):
		return Fault(backends.NotEmpty, nil)
	case a.hierarchy != nil:
		return a.removeFolder(ctx, dir, true)
	}
	return a.leave(ctx, a.folder(dir), func(ctx context.Context) error { return a.delete(ctx, a.folder(dir)) })
}

// Remove implements backends.CloudStorageAdapter.
func (a *Adapter) Remove(ctx context.Context, key string) error {
	return a.Translate("remove", key, a.remove(ctx, key))
}

func (a *Adapter) remove(ctx context.Context, key string) error {
	obj, err := a.stat(ctx, key)
	if err != nil {
		return err
	}
	if obj.Dir {
		return Fault(backends.IsDir, nil)
	}
	return a.leave(ctx, a.full(key), func(ctx context.Context) error { return a.delete(ctx, a.full(key)) })
}

// delete removes what has that name in the bucket. One that has gone is no error.
func (a *Adapter) delete(ctx context.Context, name string) error {
	return a.deleteVersion(ctx, name, "")
}

// deleteVersion removes what has that name if it is still that version. Another one has come
// meanwhile, and stays.
func (a *Adapter) deleteVersion(ctx context.Context, name, version string) error {
	err := a.Retry(ctx, Asking, func(ctx context.Context) error { return a.store.Delete(ctx, name, version) })
	if kind := a.kind(err); kind == backends.NotExist || version != "" && kind == backends.Conflict {
		return nil
	}
	return err
}
