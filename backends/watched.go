package backends

import (
	"context"
	"io"
	"iter"
	"time"
)

// Call is told how one call of an adapter goes.
type Call interface {
	// Began comes when a listing has its first entry; from there on it also waits for who reads it.
	Began()
	// Ended comes once, at the end.
	Ended(err error)
}

// Begin is called before each call of an adapter's method of that name, in lower case with underscores.
// The call gets the context that it returns.
type Begin func(ctx context.Context, op string) (context.Context, Call)

// Watched tells of all calls of a that go to its store.
func Watched(a CloudStorageAdapter, begin Begin) CloudStorageAdapter { return &watched{a, begin} }

type watched struct {
	CloudStorageAdapter
	begin Begin
}

// call runs do as a call of op.
func (w *watched) call(ctx context.Context, op string, do func(context.Context) error) error {
	ctx, call := w.begin(ctx, op)
	err := do(ctx)
	call.Ended(err)
	return err
}

func (w *watched) Stat(ctx context.Context, key string) (obj Object, err error) {
	err = w.call(ctx, "stat", func(ctx context.Context) error {
		obj, err = w.CloudStorageAdapter.Stat(ctx, key)
		return err
	})
	return obj, err
}

func (w *watched) List(ctx context.Context, dir string, o ListOptions) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, call := w.begin(ctx, "list")
		var failed error
		defer func() { call.Ended(failed) }()
		first := true
		for obj, err := range w.CloudStorageAdapter.List(ctx, dir, o) {
			if first && err == nil {
				call.Began()
			}
			first, failed = false, err
			if !yield(obj, err) {
				return
			}
		}
	}
}

func (w *watched) Open(ctx context.Context, key string, o OpenOptions) (r Reader, err error) {
	err = w.call(ctx, "open", func(ctx context.Context) error {
		r, err = w.CloudStorageAdapter.Open(ctx, key, o)
		return err
	})
	return r, err
}

func (w *watched) Put(ctx context.Context, key string, r io.Reader, o PutOptions) (obj Object, err error) {
	err = w.call(ctx, "put", func(ctx context.Context) error {
		obj, err = w.CloudStorageAdapter.Put(ctx, key, r, o)
		return err
	})
	return obj, err
}

func (w *watched) Pending(ctx context.Context, key, owner string) (p Pending, err error) {
	err = w.call(ctx, "pending", func(ctx context.Context) error {
		p, err = w.CloudStorageAdapter.Pending(ctx, key, owner)
		return err
	})
	return p, err
}

func (w *watched) Discard(ctx context.Context, key, owner string) error {
	return w.call(ctx, "discard", func(ctx context.Context) error {
		return w.CloudStorageAdapter.Discard(ctx, key, owner)
	})
}

func (w *watched) Copy(ctx context.Context, from, to string, o CopyOptions) (obj Object, err error) {
	err = w.call(ctx, "copy", func(ctx context.Context) error {
		obj, err = w.CloudStorageAdapter.Copy(ctx, from, to, o)
		return err
	})
	return obj, err
}

func (w *watched) Rename(ctx context.Context, from, to string, o RenameOptions) error {
	return w.call(ctx, "rename", func(ctx context.Context) error {
		return w.CloudStorageAdapter.Rename(ctx, from, to, o)
	})
}

func (w *watched) Remove(ctx context.Context, key string) error {
	return w.call(ctx, "remove", func(ctx context.Context) error { return w.CloudStorageAdapter.Remove(ctx, key) })
}

func (w *watched) Mkdir(ctx context.Context, dir string) error {
	return w.call(ctx, "mkdir", func(ctx context.Context) error { return w.CloudStorageAdapter.Mkdir(ctx, dir) })
}

func (w *watched) Rmdir(ctx context.Context, dir string) error {
	return w.call(ctx, "rmdir", func(ctx context.Context) error { return w.CloudStorageAdapter.Rmdir(ctx, dir) })
}

func (w *watched) SetModTime(ctx context.Context, key string, t time.Time) error {
	return w.call(ctx, "set_mod_time", func(ctx context.Context) error {
		return w.CloudStorageAdapter.SetModTime(ctx, key, t)
	})
}

func (w *watched) Available(ctx context.Context, dir string) (n int64, err error) {
	err = w.call(ctx, "available", func(ctx context.Context) error {
		n, err = w.CloudStorageAdapter.Available(ctx, dir)
		return err
	})
	return n, err
}
