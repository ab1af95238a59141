package backendtest

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Hook is asked before each call; an error that it returns is the call's, as it is. It may wait, for
// a slow store, and gets the call's context for that.
//
// The operations are the methods in lower case, and two within them: "publish", when a Put has read
// everything but nothing is visible yet, and "read", before each Read of a Reader.
type Hook func(ctx context.Context, op, key string) error

// FaultyAdapter is an adapter that fails where it is told to. It may be told at any time.
type FaultyAdapter struct {
	backends.CloudStorageAdapter

	mu   sync.Mutex
	hook Hook
	next map[string][]error
}

// Faulty wraps an adapter. With no fault set it behaves as the adapter does.
func Faulty(a backends.CloudStorageAdapter) *FaultyAdapter {
	return &FaultyAdapter{CloudStorageAdapter: a, next: make(map[string][]error)}
}

// SetHook replaces the hook; nil removes it.
func (f *FaultyAdapter) SetHook(h Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = h
}

// FailNext makes the next call of op return err; several queue up. It comes before the hook.
func (f *FaultyAdapter) FailNext(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next[op] = append(f.next[op], err)
}

func (f *FaultyAdapter) fail(ctx context.Context, op, key string) error {
	f.mu.Lock()
	hook := f.hook
	if queue := f.next[op]; len(queue) > 0 {
		f.next[op] = queue[1:]
		f.mu.Unlock()
		return queue[0]
	}
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ctx, op, key)
}

// Stat implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Stat(ctx context.Context, key string) (backends.Object, error) {
	if err := f.fail(ctx, "stat", key); err != nil {
		return backends.Object{}, err
	}
	return f.CloudStorageAdapter.Stat(ctx, key)
}

// List implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		if err := f.fail(ctx, "list", dir); err != nil {
			yield(backends.Object{}, err)
			return
		}
		f.CloudStorageAdapter.List(ctx, dir, o)(yield)
	}
}

// Open implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	if err := f.fail(ctx, "open", key); err != nil {
		return nil, err
	}
	r, err := f.CloudStorageAdapter.Open(ctx, key, o)
	if err != nil {
		return nil, err
	}
	return &faultyReader{Reader: r, ctx: ctx, faulty: f}, nil
}

type faultyReader struct {
	backends.Reader
	ctx    context.Context //nolint:containedctx // Open's, as a Reader's has to be
	faulty *FaultyAdapter
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if err := r.faulty.fail(r.ctx, "read", r.Object().Key); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// WriteTo reads by Read, so that a fault may come in the middle.
func (r *faultyReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

// Put implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	if err := f.fail(ctx, "put", key); err != nil {
		return backends.Object{}, err
	}
	last := &lastReader{Reader: r, end: func() error { return f.fail(ctx, "publish", key) }}
	if wt, ok := r.(io.WriterTo); ok {
		r = struct {
			io.Reader
			io.WriterTo
		}{last, &lastWriterTo{wt, last}}
	} else {
		r = last
	}
	obj, err := f.CloudStorageAdapter.Put(ctx, key, r, o)
	if err != nil && last.err != nil {
		return backends.Object{}, last.err
	}
	return obj, err
}

// lastReader puts an error of ours in the place of the reader's io.EOF.
type lastReader struct {
	io.Reader
	end func() error
	err error
}

func (r *lastReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		if r.err = r.end(); r.err != nil {
			err = r.err
		}
	}
	return n, err
}

type lastWriterTo struct {
	from io.WriterTo
	last *lastReader
}

func (w *lastWriterTo) WriteTo(dst io.Writer) (int64, error) {
	n, err := w.from.WriteTo(dst)
	if err == nil {
		w.last.err = w.last.end()
		err = w.last.err
	}
	return n, err
}

// Copy implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	if err := f.fail(ctx, "copy", from); err != nil {
		return backends.Object{}, err
	}
	return f.CloudStorageAdapter.Copy(ctx, from, to, o)
}

// Rename implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	if err := f.fail(ctx, "rename", from); err != nil {
		return err
	}
	return f.CloudStorageAdapter.Rename(ctx, from, to, o)
}

// Remove implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Remove(ctx context.Context, key string) error {
	if err := f.fail(ctx, "remove", key); err != nil {
		return err
	}
	return f.CloudStorageAdapter.Remove(ctx, key)
}

// Mkdir implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Mkdir(ctx context.Context, dir string) error {
	if err := f.fail(ctx, "mkdir", dir); err != nil {
		return err
	}
	return f.CloudStorageAdapter.Mkdir(ctx, dir)
}

// Rmdir implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Rmdir(ctx context.Context, dir string) error {
	if err := f.fail(ctx, "rmdir", dir); err != nil {
		return err
	}
	return f.CloudStorageAdapter.Rmdir(ctx, dir)
}

// SetModTime implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) SetModTime(ctx context.Context, key string, t time.Time) error {
	if err := f.fail(ctx, "setmodtime", key); err != nil {
		return err
	}
	return f.CloudStorageAdapter.SetModTime(ctx, key, t)
}

// Available implements backends.CloudStorageAdapter.
func (f *FaultyAdapter) Available(ctx context.Context, dir string) (int64, error) {
	if err := f.fail(ctx, "available", dir); err != nil {
		return 0, err
	}
	return f.CloudStorageAdapter.Available(ctx, dir)
}
