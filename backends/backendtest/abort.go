package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/sluice-ftp/sluice/backends"
)

var errPulled = errors.New("the cable was pulled")

// aborts are the ways in which a transfer breaks after data.
var aborts = []struct {
	name string
	make func(data []byte, err error) io.Reader
}{
	{"after the data", func(b []byte, err error) io.Reader {
		return io.MultiReader(plain(b), failing{err})
	}},
	{"with the data", func(b []byte, err error) io.Reader {
		return &dataAndError{data: b, err: err}
	}},
	{"WriterTo", func(b []byte, err error) io.Reader {
		return &writerTo{data: b, step: 16 << 10, err: err}
	}},
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }

// dataAndError returns its error together with the last bytes, as io.Reader allows.
type dataAndError struct {
	data []byte
	err  error
}

func (r *dataAndError) Read(p []byte) (int, error) {
	n := copy(p, r.data)
	if r.data = r.data[n:]; len(r.data) == 0 {
		return n, r.err
	}
	return n, nil
}

// eachAbort calls run for every size over an existing key, an absent one and one in a folder that
// does not exist either; after each, nothing may have changed and nothing may be left.
func (f *fixture) eachAbort(run func(f *fixture, key string, data []byte)) {
	old := content(f.PartSize+1, 99)
	f.put("dir/existing", old)
	before := f.tree()
	for _, size := range f.sizes() {
		for _, key := range []string{"dir/existing", "dir/absent", "no/such/folder"} {
			f.sub(fmt.Sprintf("%d bytes of %s", size, key), func(f *fixture) {
				run(f, key, content(size, 1))
				f.wantTree(before)
				f.wantClean()
			})
		}
	}
	f.put("dir/existing", []byte("a later upload is none the worse for it"))
}

func testAbort(f *fixture) {
	f.eachAbort(func(f *fixture, key string, data []byte) {
		for _, abort := range aborts {
			for _, cause := range []error{errPulled, io.ErrUnexpectedEOF, fmt.Errorf("tls: %w", io.EOF)} {
				_, err := f.Adapter.Put(f.ctx, key, abort.make(data, cause), backends.PutOptions{})
				if !errors.Is(err, cause) {
					f.Errorf("%s: put returned %v, which does not match %q", abort.name, err, cause)
				}
				f.wantKind(abort.name, err, backends.Internal)
			}
		}
	})
}

// A reader's failure is never the store's: the client of a broken connection must not be told that
// the disk is full.
func testAbortLooksLikeStoreError(f *fixture) {
	for _, cause := range []error{
		syscall.ENOSPC, fs.ErrNotExist, &fs.PathError{Op: "read", Err: syscall.EACCES},
		&backends.Error{Op: "get", Kind: backends.NoSpace},
	} {
		for _, abort := range aborts {
			_, err := f.Adapter.Put(f.ctx, "o", abort.make([]byte("data"), cause), backends.PutOptions{})
			f.wantKind(fmt.Sprintf("%s, %v", abort.name, cause), err, backends.Internal)
			if !errors.Is(err, cause) {
				f.Errorf("%s: put returned %v, which does not match %q", abort.name, err, cause)
			}
		}
	}
	f.wantAbsent("o")
}

// The context ends in the middle, and the reader goes on as if nothing had happened.
func testAbortByContext(f *fixture) {
	f.eachAbort(func(f *fixture, key string, data []byte) {
		for _, hide := range []bool{false, true} {
			ctx, cancel := context.WithCancel(f.ctx)
			w := &writerTo{data: bytes.Clone(data), step: 16 << 10}
			w.before = func(sent int) {
				if sent >= len(data)/2 {
					cancel()
				}
			}
			var r io.Reader = w
			if hide {
				r = struct{ io.Reader }{w}
			}
			_, err := f.Adapter.Put(ctx, key, r, backends.PutOptions{})
			if !errors.Is(err, context.Canceled) {
				f.Errorf("put returned %v, want context.Canceled", err)
			}
			cancel()
		}
	})
}
