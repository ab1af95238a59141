package gateway

import (
	"fmt"
	"io"

	ftpserver "github.com/fclairamb/ftpserverlib"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

// download is the handle of RETR.
type download struct {
	handle
	reader backends.Reader
}

func (t *transfer) openDownload() (ftpserver.FileTransfer, error) {
	src, err := t.session.resolveFile(t.path, auth.Read)
	if err != nil {
		return nil, err
	}
	if src.virtual || t.session.holdsMount(src.path) {
		return nil, &backends.Error{Op: "open", Key: src.path, Kind: backends.IsDir}
	}
	t.backend = src.Backend
	r, err := src.adapter.Open(t.ctx, src.key, backends.OpenOptions{Offset: t.rest})
	if err != nil {
		return nil, err
	}
	t.version = r.Object().Version
	return &download{handle: handle{t}, reader: r}, nil
}

// WriteTo is called by the library with the data connection.
func (d *download) WriteTo(conn io.Writer) (n int64, err error) {
	defer d.recovered(&err)
	out, err := d.sink(conn)
	if err != nil {
		return 0, d.fail(err)
	}
	d.shape(limits.Down)
	d.hashes(d.rest)
	var content io.Writer = out
	if d.sum != nil {
		content = moving{out, d.sum}
	}
	_, err = d.reader.WriteTo(content)
	if err == nil {
		err = out.Close()
	}
	d.whole = err == nil && d.sum != nil
	return d.moved.Load(), d.breakOff(conn, err)
}

// breakOff notes the failure of a download, and resets its connection: an orderly end would have a
// client that goes by it keep a part for the whole.
func (t *transfer) breakOff(conn any, err error) error {
	if c, ok := conn.(*dataConn); ok {
		if err == nil {
			c.linger(-1)
		} else {
			c.reset()
		}
	}
	return t.fail(err)
}

// Close frees the object before the reply.
func (d *download) Close() error {
	defer d.end()
	err := d.reader.Close()
	d.report()
	return err
}

// sink puts the agreed codecs on the data connection that the library opened. Closing it ends what
// they hold back; the connection is the library's to close.
func (t *transfer) sink(conn io.Writer) (io.WriteCloser, error) {
	c, err := t.dataOf(conn)
	if err != nil {
		return nil, err
	}
	c.linger(0) // until it is whole, whoever closes it
	if c.tls != nil {
		t.gather(c)
	}
	var out io.WriteCloser = &outgoing{transfer: t, conn: c}
	if t.deflate {
		if out, err = newDeflater(out); err != nil {
			return nil, err
		}
	}
	if t.ascii && t.list == nil { // a listing has its line ends already
		out = newToNetwork(out)
	}
	return out, nil
}

// gather gives a TLS connection a buffer until the transfer ends.
func (t *transfer) gather(c *dataConn) {
	pool := &t.session.server.records
	buf := pool.Get().(*[]byte)
	c.wire.gather(*buf)
	t.free = func() {
		c.wire.gather(nil)
		pool.Put(buf)
	}
}

// outgoing counts and marks the errors of the data connection as such.
type outgoing struct {
	*transfer
	conn *dataConn
}

func (o *outgoing) Write(p []byte) (int, error) {
	n, err := o.conn.Write(p)
	o.count(n)
	if err != nil {
		return n, fmt.Errorf("%w: %w", errDataBroken, err)
	}
	return n, o.slowDown(n)
}

func (o *outgoing) Close() error { return nil }
