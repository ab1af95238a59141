package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing/iotest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// readers are the ways in which a connection may deliver the same bytes.
var readers = []struct {
	name string
	make func([]byte) io.Reader
}{
	{"plain", plain},
	{"one byte", func(b []byte) io.Reader { return &bytewise{r: plain(b)} }},
	{"half", func(b []byte) io.Reader { return iotest.HalfReader(plain(b)) }},
	{"last bytes with EOF", func(b []byte) io.Reader { return iotest.DataErrReader(plain(b)) }},
	{"WriterTo", func(b []byte) io.Reader { return &writerTo{data: b, step: 16 << 10} }},
	{"WriterTo in one", func(b []byte) io.Reader { return bytes.NewReader(b) }},
	{"WriterTo odd", func(b []byte) io.Reader { return &writerTo{data: b, step: 4093} }},
}

// bytewise delivers one byte at a time where something may begin or end: near every multiple of 4 KiB,
// and at the end. To do so everywhere takes long where races are looked for.
type bytewise struct {
	r      io.Reader
	offset int
}

// Read implements io.Reader.
func (b *bytewise) Read(p []byte) (int, error) {
	const step, near = 4 << 10, 16
	n := 1
	if at := b.offset % step; at >= near && at < step-near {
		n = step - near - at
	}
	n, err := b.r.Read(p[:min(n, len(p))])
	b.offset += n
	return n, err
}

// writerTo delivers data by WriteTo in steps, and then err.
type writerTo struct {
	data []byte
	step int
	err  error
	// at is called before the step that would pass that many bytes.
	before func(sent int)
	sent   int
}

func (w *writerTo) WriteTo(dst io.Writer) (int64, error) {
	var sum int64
	for {
		if w.before != nil {
			w.before(w.sent)
		}
		if len(w.data) == 0 {
			return sum, w.err
		}
		n, err := dst.Write(w.data[:min(w.step, len(w.data))])
		w.data = w.data[n:]
		w.sent += n
		sum += int64(n)
		if err != nil {
			return sum, err
		}
	}
}

func (w *writerTo) Read(p []byte) (int, error) {
	if w.before != nil {
		w.before(w.sent)
	}
	if len(w.data) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		return 0, io.EOF
	}
	n := copy(p, w.data[:min(w.step, len(w.data))])
	w.data = w.data[n:]
	w.sent += n
	return n, nil
}

func testRoundTrip(f *fixture) {
	for i, size := range f.sizes() {
		data := content(size, uint64(i))
		for _, r := range readers {
			key := "round/" + r.name
			obj, err := f.Adapter.Put(f.ctx, key, r.make(data), backends.PutOptions{ContentType: "text/plain"})
			if err != nil {
				f.Fatalf("%s, %d bytes: %v", r.name, size, err)
			}
			if obj.Key != key || obj.Size != size || obj.Dir || obj.ModTime.IsZero() {
				f.Errorf("%s, %d bytes: put returned %+v", r.name, size, obj)
			}
			f.wantContent(key, data)
			if got := f.stat(key); got.Version != obj.Version {
				f.Errorf("%s, %d bytes: put returned version %q, stat %q", r.name, size, obj.Version, got.Version)
			}
		}
	}
}

func testOverwrite(f *fixture) {
	for i, size := range []int64{3 * f.PartSize, 1, 0, f.PartSize + 1, f.PartSize} {
		f.put("o", content(size, uint64(i)))
		f.wantContent("o", content(size, uint64(i)))
	}
	first := f.put("o", content(10, 1))
	second := f.put("o", content(10, 2))
	if first.Version != "" && first.Version == second.Version {
		f.Errorf("two contents have the version %q", first.Version)
	}
	f.wantNames("", "o")
}

func testOverwriteWhileReading(f *fixture) {
	old, now := content(3*f.PartSize, 1), content(2*f.PartSize, 2)
	f.put("o", old)
	r, err := f.Adapter.Open(f.ctx, "o", backends.OpenOptions{})
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	head := make([]byte, 100)
	if _, err := io.ReadFull(r, head); err != nil {
		f.Fatal(err)
	}
	f.put("o", now)
	tail, err := io.ReadAll(r)
	// A store that keeps no old versions may fail here; it may never mix.
	if got := append(head, tail...); err == nil && !bytes.Equal(got, old) {
		f.Errorf("a reader of the old version got %d other bytes", len(got))
	}
	f.wantContent("o", now)
}

func testConcurrentWriters(f *fixture) {
	const writers = 4
	size := 2*f.PartSize + 7
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, err := f.Adapter.Put(f.ctx, "o", plain(content(size, uint64(i))), backends.PutOptions{})
			if err != nil {
				f.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	got := f.get("o")
	for i := range writers {
		if bytes.Equal(got, content(size, uint64(i))) {
			return
		}
	}
	f.Errorf("the object is none of those written: %d bytes", len(got))
}

func testMaxSize(f *fixture) {
	for _, size := range []int64{1, f.PartSize, 2*f.PartSize + 1} {
		data := content(size+1, 1)
		o := backends.PutOptions{MaxSize: size}
		for _, r := range readers {
			f.put("o", []byte("old"))
			_, err := f.Adapter.Put(f.ctx, "o", r.make(data), o)
			f.wantKind(r.name+": one byte too many", err, backends.TooLarge)
			f.wantContent("o", []byte("old"))
			if _, err := f.Adapter.Put(f.ctx, "o", r.make(data[:size]), o); err != nil {
				f.Errorf("%s: exactly %d bytes: %v", r.name, size, err)
			}
			f.wantContent("o", data[:size])
		}
		if _, err := f.Adapter.Put(f.ctx, "o", plain(data[:size-1]), o); err != nil {
			f.Errorf("%d bytes of %d: %v", size-1, size, err)
		}
	}
	// As soon as it arrives, not at the end: this reader has none.
	endless := struct{ io.Reader }{endlessReader{}}
	_, err := f.Adapter.Put(f.ctx, "o", endless, backends.PutOptions{MaxSize: f.PartSize})
	f.wantKind("endless", err, backends.TooLarge)
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

func testModTime(f *fixture) {
	f.need(f.caps.ModTime, "ModTime")
	past := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	obj, err := f.Adapter.Put(f.ctx, "dir/o", plain([]byte("x")), backends.PutOptions{ModTime: past})
	if err != nil {
		f.Fatal(err)
	}
	wantTime := func(what string, got, want time.Time) {
		f.Helper()
		if !got.Truncate(time.Second).Equal(want) {
			f.Errorf("%s: the time is %v, want %v", what, got, want)
		}
	}
	wantTime("put", obj.ModTime, past)
	wantTime("stat", f.stat("dir/o").ModTime, past)
	later := past.Add(time.Hour)
	if err := f.Adapter.SetModTime(f.ctx, "dir/o", later); err != nil {
		f.Fatal(err)
	}
	wantTime("stat after SetModTime", f.stat("dir/o").ModTime, later)
	f.wantContent("dir/o", []byte("x"))
	f.wantKind("of nothing", f.Adapter.SetModTime(f.ctx, "none", past), backends.NotExist)
	f.wantKind("of a folder", f.Adapter.SetModTime(f.ctx, "dir", past), backends.IsDir, backends.NotExist)
}

func testMetadata(f *fixture) {
	o := backends.PutOptions{Metadata: map[string]string{"k": "v"}}
	_, err := f.Adapter.Put(f.ctx, "o", plain(nil), o)
	switch {
	case f.caps.Metadata && err != nil:
		f.Errorf("metadata: %v", err)
	case !f.caps.Metadata:
		f.wantKind("metadata", err, backends.Unsupported)
		if !errors.Is(err, errors.ErrUnsupported) {
			f.Errorf("%v does not match errors.ErrUnsupported", err)
		}
		f.wantAbsent("o")
	}
	if !f.caps.ModTime {
		f.wantKind("SetModTime", f.Adapter.SetModTime(f.ctx, "o", time.Now()), backends.Unsupported)
	}
}

func testPutMakesFolders(f *fixture) {
	f.put("a/b/c", []byte("x"))
	f.wantNames("", "a/")
	f.wantNames("a", "b/")
	f.wantNames("a/b", "c")
	if !f.stat("a/b").Dir {
		f.Error("a/b is no folder")
	}
}

func testPutOnFolder(f *fixture) {
	f.mkdir("empty")
	f.put("full/o", nil)
	before := f.tree()
	for _, key := range []string{"", "empty", "full"} {
		// A store that is asked meanwhile may read a part, but not the whole of a long upload.
		r := &endless{left: 1 << 30}
		_, err := f.Adapter.Put(f.ctx, key, r, backends.PutOptions{})
		f.wantKind("put on folder "+key, err, backends.IsDir)
		if r.left <= 0 {
			f.Errorf("put on folder %q read the whole upload before it was refused", key)
		}
	}
	f.wantTree(before)
}

// endless is an upload that takes longer than any test.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left -= len(p); e.left <= 0 {
		return 0, io.EOF
	}
	return len(p), nil
}

// unreadable is for a Put that is to be refused before the transfer.
type unreadable struct{ f *fixture }

func (u unreadable) Read([]byte) (int, error) {
	u.f.Error("the content was read, though it was clear that it would not be stored")
	return 0, io.EOF
}

func testCancelled(f *fixture) {
	f.put("o", []byte("old"))
	before := f.tree()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	a := f.Adapter
	_, putErr := a.Put(ctx, "o", plain([]byte("new")), backends.PutOptions{})
	_, newErr := a.Put(ctx, "p/q", plain([]byte("new")), backends.PutOptions{})
	for what, err := range map[string]error{
		"put": putErr, "put new": newErr,
		"mkdir":  a.Mkdir(ctx, "d"),
		"remove": a.Remove(ctx, "o"),
		"rename": a.Rename(ctx, "o", "p", backends.RenameOptions{}),
		"list":   firstError(a.List(ctx, "", backends.ListOptions{})),
	} {
		f.wantKind(what, err, backends.Internal, backends.Unavailable)
		if !errors.Is(err, context.Canceled) {
			f.Errorf("%s: %v does not match context.Canceled", what, err)
		}
	}
	f.wantTree(before)
}
