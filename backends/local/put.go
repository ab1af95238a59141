package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Put implements backends.CloudStorageAdapter. An Offset builds the new version beside the old one:
// readers of the old are undisturbed, and a failure costs nothing but the time.
func (a *Adapter) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	obj, err := a.put(ctx, key, r, o)
	return obj, translate("put", key, err)
}

func (a *Adapter) put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	var none backends.Object
	if err := begin(ctx, key); err != nil {
		return none, err
	}
	if len(o.Metadata) > 0 || o.Resumable && !a.resumes {
		return none, fault(backends.Unsupported, nil)
	}
	c := condition{ifAbsent: o.IfAbsent, ifVersion: o.IfVersion}
	st, err := a.admit(key, c)
	if err != nil {
		return none, err
	}
	var u *upload
	if o.Continue != "" {
		u, err = a.goOn(ctx, key, &o)
	} else {
		u, err = a.afresh(ctx, key, &o, st.Size)
	}
	if err != nil {
		return none, err
	}
	obj, err := u.run(r, &o, c)
	kept, err := u.end(err)
	if err != nil {
		return backends.Object{Size: kept}, err
	}
	return obj, nil
}

// afresh begins an upload to key, where an object of that size is. What is kept of an earlier one goes.
func (a *Adapter) afresh(ctx context.Context, key string, o *backends.PutOptions, size int64) (*upload, error) {
	if o.Offset < 0 || o.Offset > size {
		return nil, fault(backends.BadOffset, nil)
	}
	if o.MaxSize > 0 && o.Offset > o.MaxSize {
		return nil, fault(backends.TooLarge, nil)
	}
	u := &upload{adapter: a, ctx: ctx, key: key, owner: o.Owner}
	if o.Resumable {
		if err := a.discardKept(ctx, key, o.Owner); err != nil {
			return nil, err
		}
		// One that begins with a part of an object is not kept: it had to be held against that object again.
		if o.Offset == 0 {
			u.slot = backends.Slot(key, o.Owner)
		}
	}
	var err error
	u.content, err = a.create()
	return u, err
}

// run reads r to its end and publishes.
func (u *upload) run(r io.Reader, o *backends.PutOptions, c condition) (backends.Object, error) {
	if o.Offset > 0 && o.Continue == "" {
		base, err := u.adapter.begins(u.ctx, u.content, u.key, o.Offset, &c)
		if err != nil {
			return backends.Object{}, err
		}
		// Held until the end, so that its inode's number and with it its version stay taken.
		defer base.Close()
		u.size = o.Offset
	}
	if err := u.fill(r, o); err != nil {
		return backends.Object{}, err
	}
	return u.publish(o.ModTime, c)
}

// admit refuses before the transfer what could only fail after it, and describes the present
// object. If there is none, the description is empty.
func (a *Adapter) admit(key string, c condition) (unix.Stat_t, error) {
	f, name, err := a.nearest(key)
	if err != nil {
		return unix.Stat_t{}, err
	}
	defer f.Close()
	st, err := unix.Stat_t{}, error(unix.ENOENT)
	if name != "" {
		st, err = a.look(f, name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if c.ifVersion != "" {
			return st, fault(backends.Conflict, nil)
		}
		st = unix.Stat_t{}
	case err != nil:
		return st, err
	case isDir(&st):
		return st, fault(backends.IsDir, nil)
	case c.ifAbsent:
		return st, fault(backends.Exist, nil)
	case c.ifVersion != "" && c.ifVersion != version(&st):
		return st, fault(backends.Conflict, nil)
	}
	return st, a.takes(f)
}

// takes refuses a folder into which a temporary file cannot be moved.
func (a *Adapter) takes(f *folder) error {
	if f.id.dev != a.tmp.id.dev {
		return unix.EXDEV
	}
	return access(f, unix.W_OK|unix.X_OK)
}

// begins copies the beginning of the present object into t and makes its version the one to replace.
func (a *Adapter) begins(ctx context.Context, t *temporary, key string, n int64, c *condition) (*os.File, error) {
	base, st, err := a.openObject(key)
	if err != nil {
		return nil, err
	}
	switch v := version(&st); {
	case c.ifVersion != "" && c.ifVersion != v:
		err = fault(backends.Conflict, nil)
	case n > st.Size:
		err = fault(backends.BadOffset, nil)
	default:
		c.ifVersion = v
		err = clone(ctx, t.File, base, n)
	}
	if err != nil {
		_ = base.Close()
		return nil, err
	}
	return base, nil
}
