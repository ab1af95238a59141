package s3

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// Open implements backends.CloudStorageAdapter. It is one request; what comes after is pinned to the
// version that it found.
func (a *Adapter) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	r, err := a.open(ctx, key, o)
	if err != nil {
		return nil, translate("open", key, err)
	}
	return r, nil
}

func (a *Adapter) open(ctx context.Context, key string, o backends.OpenOptions) (*reader, error) {
	if err := a.begin(ctx, key); err != nil {
		return nil, err
	}
	switch {
	case key == "":
		return nil, fault(backends.IsDir, nil)
	case o.Offset < 0:
		return nil, fault(backends.BadOffset, nil)
	}
	r := &reader{adapter: a}
	ctx, r.cancel = context.WithCancel(ctx)
	r.cursor = cursor{adapter: a, ctx: ctx, full: a.full(key), version: o.IfVersion, offset: o.Offset, end: -1}
	header, err := r.cursor.open()
	switch {
	case err == nil:
		r.object = backends.Object{
			Key: key, Version: header.Get("ETag"), ModTime: writtenAt(header), Size: o.Offset + r.cursor.left,
		}
	case code(err) == "InvalidRange": // what S3 calls also the end of an object
		r.object, err = a.atEnd(ctx, key, o)
	case isMissing(err):
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
	switch f := a.folderAt(ctx, asking, key); {
	case f.err != nil:
		return f.err
	case f.exists:
		return fault(backends.IsDir, nil)
	}
	return err
}

// atEnd describes an object that is to be read from its very end, and refuses an offset behind it.
func (a *Adapter) atEnd(ctx context.Context, key string, o backends.OpenOptions) (backends.Object, error) {
	head, err := a.head(ctx, key)
	if err != nil {
		return backends.Object{}, err
	}
	obj := object(key, head)
	switch {
	case o.IfVersion != "" && o.IfVersion != obj.Version:
		err = fault(backends.Conflict, nil)
	case o.Offset != obj.Size:
		err = fault(backends.BadOffset, nil)
	}
	return obj, err
}

// get asks for bytes of an object; span and version may be "". The body lives as long as ctx.
func (a *Adapter) get(ctx context.Context, full, span, version string) (resp *http.Response, err error) {
	r := request{method: http.MethodGet, full: full, header: make(http.Header)}
	set(r.header, "Range", span)
	set(r.header, "If-Match", version)
	err = retry(ctx, patience{total: asking.total}, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		late := time.AfterFunc(asking.attempt, cancel)
		resp, err = a.hot.do(ctx, r) //nolint:bodyclose // the cursor does
		if !late.Stop() && err != nil {
			err = errStalled
		}
		if err != nil {
			cancel()
		}
		return err
	})
	return resp, err
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
		err = translate("read", r.object.Key, err)
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
			return out.sum, translate("read", r.object.Key, err)
		}
		if pace.storeIsSlow(n, read.Sub(begun), time.Since(read)) && r.object.Size-r.cursor.offset >= worthRanges {
			if err := r.ahead(out); err != nil || out.err != nil {
				return out.sum, firstOf(out.err, translate("read", r.object.Key, err))
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
