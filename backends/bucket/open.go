package bucket

import (
	"context"
	"io"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// Open implements backends.CloudStorageAdapter. It is one request; what comes after is pinned to the
// version that it found.
func (a *Adapter) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	r, err := a.open(ctx, key, o)
	if err != nil {
		return nil, a.Translate("open", key, err)
	}
	return r, nil
}

func (a *Adapter) open(ctx context.Context, key string, o backends.OpenOptions) (*reader, error) {
	if err := a.begin(ctx, key); err != nil {
		return nil, err
	}
	switch {
	case key == "":
		return nil, Fault(backends.IsDir, nil)
	case o.Offset < 0:
		return nil, Fault(backends.BadOffset, nil)
	}
	r := &reader{adapter: a}
	ctx, r.cancel = context.WithCancel(ctx)
	r.cursor = cursor{adapter: a, ctx: ctx, full: a.full(key), version: o.IfVersion, offset: o.Offset, end: -1}
	info, err := r.cursor.open()
	switch {
	case err == nil:
		r.object = info.object(key)
		r.object.Size = o.Offset + r.cursor.left
	case a.kind(err) == backends.BadOffset: // which the end of an object is, too
		r.object, err = a.atEnd(ctx, key, o)
	case a.missing(err):
		err = a.isFolder(ctx, key, err)
	}
	if err != nil {
		r.cancel()
		return nil, err
	}
	r.cursor.version, r.cursor.end = r.object.Version, r.object.Size
	return r, nil
}

// isFolder is why there is no object at key: because it is a folder, or err.
func (a *Adapter) isFolder(ctx context.Context, key string, err error) error {
	switch f := a.folderAt(ctx, Asking, key); {
	case f.err != nil:
		return f.err
	case f.exists:
		return Fault(backends.IsDir, nil)
	}
	return err
}

// atEnd describes an object that is to be read from its very end, and refuses an offset behind it.
func (a *Adapter) atEnd(ctx context.Context, key string, o backends.OpenOptions) (backends.Object, error) {
	info, err := a.head(ctx, a.full(key))
	if err != nil {
		return backends.Object{}, err
	}
	obj := info.object(key)
	switch {
	case o.IfVersion != "" && o.IfVersion != obj.Version:
		err = Fault(backends.Conflict, nil)
	case o.Offset != obj.Size:
		err = Fault(backends.BadOffset, nil)
	}
	return obj, err
}

// get asks for bytes of an object; version may be "". The body lives as long as ctx.
func (a *Adapter) get(ctx context.Context, full string, s Span, version string) (content *Content, err error) {
	err = a.Retry(ctx, Patience{Total: Asking.Total}, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		late := time.AfterFunc(Asking.Attempt, cancel)
		content, err = a.store.Get(ctx, full, s, version)
		if !late.Stop() && err != nil {
			err = errStalled
		}
		if err != nil {
			cancel()
		}
		return err
	})
	return content, err
}

// reader is the content of one version of an object.
type reader struct {
	adapter *Adapter
	cancel  context.CancelFunc
	object  backends.Object
	cursor  cursor
}

// Object implements backends.Reader.
func (r *reader) Object() backends.Object { return r.object }

// Close implements backends.Reader. The end of the context ends every request and its connection.
func (r *reader) Close() error {
	r.cancel()
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.cursor.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the cursor's own
		err = r.adapter.Translate("read", r.object.Key, err)
	}
	return n, err
}

// WriteTo implements io.WriterTo. It begins with the connection that Open made, and takes more of
// them when the store is what the transfer waits for. What w says is returned as it is.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	out := &taker{w: w}
	page := r.adapter.buffers.Get().(*pages.Page)
	defer r.adapter.buffers.Put(page)
	var pace pace
	for {
		begun := time.Now()
		n, err := fillFrom(&r.cursor, page[:])
		read := time.Now()
		if !out.take(page[:n]) {
			return out.sum, out.err
		}
		switch {
		case err == io.EOF: //nolint:errorlint // the cursor's own
			return out.sum, nil
		case err != nil:
			return out.sum, r.adapter.Translate("read", r.object.Key, err)
		}
		if pace.storeIsSlow(n, read.Sub(begun), time.Since(read)) && r.object.Size-r.cursor.offset >= worthRanges {
			if err := r.ahead(out); err != nil || out.err != nil {
				return out.sum, firstOf(out.err, r.adapter.Translate("read", r.object.Key, err))
			}
		}
	}
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// fillFrom reads until p is full: a connection delivers what a packet or two had.
func fillFrom(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// taker counts what a writer took, and keeps what it said.
type taker struct {
	w   io.Writer
	sum int64
	err error
}

func (t *taker) take(p []byte) bool {
	if len(p) == 0 || t.err != nil {
		return t.err == nil
	}
	n, err := t.w.Write(p)
	t.sum += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	t.err = err
	return err == nil
}
