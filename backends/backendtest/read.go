package backendtest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing/iotest"

	"github.com/sluice-ftp/sluice/backends"
)

func testRead(f *fixture) {
	for i, size := range f.sizes() {
		data := content(size, uint64(i))
		f.put("o", data)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain":    func(r io.Reader) io.Reader { return struct{ io.Reader }{r} },
			"one byte": func(r io.Reader) io.Reader { return &bytewise{r: r} },
			"half":     iotest.HalfReader,
		} {
			r := f.open("o", backends.OpenOptions{})
			got, err := readSized(wrap(r), size)
			if err != nil || !bytes.Equal(got, data) {
				f.Errorf("%s: read %d bytes of %d: %v", name, len(got), size, err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // the value itself
				f.Errorf("%s: read after the end: %d, %v", name, n, err)
			}
			f.close(r)
		}
		var w bytes.Buffer
		r := f.open("o", backends.OpenOptions{})
		if n, err := r.WriteTo(&w); n != size || err != nil || !bytes.Equal(w.Bytes(), data) {
			f.Errorf("WriteTo wrote %d bytes of %d: %v", n, size, err)
		}
		f.close(r)

		// Some by Read, the rest by WriteTo: a gateway that looks at the first bytes does so.
		w.Reset()
		r = f.open("o", backends.OpenOptions{})
		if _, err := io.CopyN(&w, struct{ io.Reader }{r}, size/2); err != nil {
			f.Error(err)
		}
		if _, err := r.WriteTo(&w); err != nil || !bytes.Equal(w.Bytes(), data) {
			f.Errorf("Read and WriteTo gave %d bytes of %d: %v", w.Len(), size, err)
		}
		f.close(r)
	}
	f.put("o", content(f.PartSize, 1))
	r := f.open("o", backends.OpenOptions{})
	if _, err := r.WriteTo(failingWriter{}); !errors.Is(err, errPulled) {
		f.Errorf("WriteTo to a broken connection: %v, which does not match %v", err, errPulled)
	}
	f.close(r)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errPulled }

func (f *fixture) open(key string, o backends.OpenOptions) backends.Reader {
	f.Helper()
	r, err := f.Adapter.Open(f.ctx, key, o)
	if err != nil {
		f.Fatalf("open %q: %v", key, err)
	}
	return r
}

func (f *fixture) close(r io.Closer) {
	f.Helper()
	if err := r.Close(); err != nil {
		f.Errorf("close: %v", err)
	}
}

func testReadOffset(f *fixture) {
	for i, size := range f.sizes() {
		data := content(size, uint64(i))
		obj := f.put("o", data)
		for _, offset := range []int64{0, 1, size / 2, size - 1, size} {
			if offset < 0 || offset > size {
				continue
			}
			r := f.open("o", backends.OpenOptions{Offset: offset})
			if got := r.Object(); got.Size != size || got.Key != "o" || got.Version != obj.Version {
				f.Errorf("the reader at %d describes %+v, want %+v", offset, got, obj)
			}
			if got, err := readSized(r, size); err != nil || !bytes.Equal(got, data[offset:]) {
				f.Errorf("from %d of %d: %d bytes, %v", offset, size, len(got), err)
			}
			f.close(r)
			var w bytes.Buffer
			r = f.open("o", backends.OpenOptions{Offset: offset})
			if n, err := r.WriteTo(&w); err != nil || n != size-offset || !bytes.Equal(w.Bytes(), data[offset:]) {
				f.Errorf("WriteTo from %d of %d: %d bytes, %v", offset, size, n, err)
			}
			f.close(r)
		}
		for _, offset := range []int64{size + 1, size + f.PartSize, -1} {
			_, err := f.Adapter.Open(f.ctx, "o", backends.OpenOptions{Offset: offset})
			f.wantKind("past the end or below 0", err, backends.BadOffset)
		}
	}
}

func testReadVersion(f *fixture) {
	old := f.put("o", content(10, 1))
	if old.Version == "" {
		f.Skip("the store has no versions")
	}
	if _, err := read(f.ctx, f.Adapter, "o", backends.OpenOptions{IfVersion: old.Version}); err != nil {
		f.Errorf("the present version: %v", err)
	}
	f.put("o", content(10, 2))
	_, err := read(f.ctx, f.Adapter, "o", backends.OpenOptions{IfVersion: old.Version})
	f.wantKind("an old version", err, backends.Conflict)
}

func testReadMissing(f *fixture) {
	f.put("dir/o", nil)
	_, err := f.Adapter.Open(f.ctx, "none", backends.OpenOptions{})
	f.wantKind("missing", err, backends.NotExist)
	if !errors.Is(err, fs.ErrNotExist) {
		f.Errorf("%v does not match fs.ErrNotExist", err)
	}
	_, err = f.Adapter.Open(f.ctx, "no/such/folder", backends.OpenOptions{})
	f.wantKind("missing folder", err, backends.NotExist)
	_, err = f.Adapter.Open(f.ctx, "dir/o/below", backends.OpenOptions{})
	f.wantKind("below an object", err, backends.NotExist, backends.NotDir)
	for _, dir := range []string{"", "dir"} {
		_, err = f.Adapter.Open(f.ctx, dir, backends.OpenOptions{})
		f.wantKind("a folder", err, backends.IsDir)
	}
}
