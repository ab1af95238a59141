package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

// aliveWait is how long the end of an upload in clear is doubted. When a client dies, the ends of
// both its connections leave together, and arrive within 2 ms of each other; one that is lost on the
// way comes again after 200.
const aliveWait = 300 * time.Millisecond

var (
	errNotAlive  = errors.New("the control connection ended with the data connection")
	errUnproven  = errors.New("uploads without TLS are not believed here")
	errTooShort  = errors.New("fewer bytes than ALLO announced")
	errTooLong   = errors.New("more bytes than ALLO announced")
	errTrailings = errors.New("data behind the end of the compressed stream")
)

// upload is the handle of STOR, APPE and STOU. Everything happens in ReadFrom: the adapter reads
// the data connection itself and publishes when it has read a credible end of file, so there is
// nothing left for Close to commit, and nothing that could be committed by mistake.
type upload struct {
	handle
	target
	options backends.PutOptions
	// room is what is reserved in a quota, nil without one: reserved bytes, for those that have arrived.
	room   *limits.Reservation
	stored *limits.Usage
	// wasKept are the bytes that were kept of an upload to the same name.
	wasKept           int64
	reserved, arrived int64
}

func (t *transfer) openUpload() (ftpserver.FileTransfer, error) {
	if t.session.server.opts.TransferEOF == EOFStrict && !t.private {
		return nil, errUnproven
	}
	dst, err := t.session.resolveFile(t.path, 0)
	if err != nil {
		return nil, err
	}
	u := &upload{handle: handle{t}, target: dst}
	t.backend = dst.Backend
	err = u.prepare()
	if err == nil {
		err = u.bound()
	}
	if err == nil {
		err = u.reserve()
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// bound holds the upload to the largest file that the user may store.
func (u *upload) bound() error {
	u.options.MaxSize = u.limits.UploadSize
	if most := u.options.MaxSize; most > 0 && (u.expected > most || u.options.Offset > most) {
		return &backends.Error{Op: "put", Key: u.key, Kind: backends.TooLarge}
	}
	return nil
}

// prepare checks what can be known before the first byte, with no call to the store for a user who
// may do everything and sends a whole file.
func (u *upload) prepare() error {
	s := u.transfer.session
	if u.virtual || s.holdsMount(u.target.path) {
		return &backends.Error{Op: "put", Key: u.target.path, Kind: backends.IsDir}
	}
	may := u.Permissions
	// Converted lines have another length than those that the client has, so it could not go on.
	if u.verb != "STOU" && !u.ascii && resumes(u.target) {
		u.options.Resumable, u.options.Owner = true, s.name
	}
	appends := u.verb == "APPE" || u.verb == "STOR" && u.rest > 0
	if !may.Has(auth.Write) && !(appends && may.Has(auth.Append)) {
		return denied(u.target.path, nil)
	}
	if appends {
		return u.prepareAppend()
	}
	if u.verb == "STOU" || !may.Has(auth.Overwrite) {
		u.options.IfAbsent = true
		obj, err := u.adapter.Stat(u.ctx, u.key)
		switch {
		case err == nil && obj.Dir:
			return &backends.Error{Op: "put", Key: u.key, Kind: backends.IsDir}
		case err == nil:
			return &backends.Error{Op: "put", Key: u.key, Kind: backends.Exist}
		case backends.KindOf(err) != backends.NotExist:
			return err
		}
	}
	return s.mayFill(u.target)
}

// prepareAppend pins the version that APPE or REST continues.
func (u *upload) prepareAppend() error {
	if going, err := u.continues(); going || err != nil {
		return err
	}
	obj, err := u.adapter.Stat(u.ctx, u.key)
	missing := backends.KindOf(err) == backends.NotExist && err != nil
	switch {
	case err != nil && !missing:
		return err
	case obj.Dir:
		return &backends.Error{Op: "put", Key: u.key, Kind: backends.IsDir}
	case missing && u.rest > 0, u.rest > obj.Size:
		return &backends.Error{Op: "put", Key: u.key, Kind: backends.BadOffset}
	case missing && !u.Permissions.Has(auth.Write):
		return denied(u.target.path, nil)
	case missing:
		u.options.IfAbsent = true
		return u.transfer.session.mayFill(u.target)
	case !u.Permissions.Has(auth.Append):
		return denied(u.target.path, nil)
	}
	u.options.Offset, u.options.IfVersion = u.rest, obj.Version
	if u.verb == "APPE" {
		u.options.Offset = obj.Size
	}
	if u.options.Offset < obj.Size && !u.Permissions.Has(auth.Overwrite) {
		return denied(u.target.path, nil) // what is there would be lost
	}
	if u.options.Offset > 0 && !u.adapter.Capabilities().Offset {
		return &backends.Error{Op: "put", Key: u.key, Kind: backends.Unsupported}
	}
	return nil
}

// ReadFrom is called by the library with the data connection. It returns when the object is
// published and durable, or when nothing of it will be.
func (u *upload) ReadFrom(conn io.Reader) (n int64, err error) {
	defer u.recovered(&err)
	c, err := u.dataOf(conn)
	if err != nil {
		return 0, u.fail(err)
	}
	src := &source{transfer: u.transfer, r: u.wrapRead(&incoming{conn: c}), base: u.options.Offset, grow: u.grow}
	u.shape(limits.Up)
	u.hashes(u.options.Offset)
	if u.options.Resumable {
		u.keptFrom.Store(max(1, u.adapter.Capabilities().KeepAtLeast-u.options.Offset))
	}
	obj, err := u.adapter.Put(u.ctx, u.key, src, u.options)
	u.durable = time.Now()
	u.settle(obj, err)
	if err != nil {
		u.kept.Store(obj.Size)
	}
	u.version, u.whole = obj.Version, err == nil && u.sum != nil
	return u.moved.Load(), u.fail(err)
}

// incoming marks the errors of the data connection as such.
type incoming struct{ conn *dataConn }

func (i *incoming) Read(p []byte) (int, error) {
	n, err := i.conn.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // the io.Reader contract says EOF itself
		err = fmt.Errorf("%w: %w", errDataBroken, err)
	}
	return n, err
}

// source is what an adapter reads: the bytes of an upload up to an end that is believed. Any other
// end is an error, so that the adapter publishes nothing.
type source struct {
	*transfer
	r    io.Reader
	base int64 // bytes of the object that were there before
	wire int64
	grow func(n int64) error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.wire += int64(n)
	s.count(n)
	if s.sum != nil {
		s.sum.Write(p[:n])
	}
	if full := s.grow(int64(n)); full != nil {
		return n, full
	}
	if slow := s.slowDown(n); slow != nil {
		return n, slow
	}
	if s.announced() && s.wire > s.expected && s.base+s.wire > s.expected {
		return n, errTooLong
	}
	if err == io.EOF {
		if doubt := s.doubt(); doubt != nil {
			return n, doubt
		}
		s.lastByte = time.Now()
	}
	return n, err
}

// WriteTo moves whole buffers: TLS delivers 16 KiB at once, and a disk wants more.
func (s *source) WriteTo(w io.Writer) (int64, error) {
	pooled := s.session.server.buffers.Get().(*[]byte)
	defer s.session.server.buffers.Put(pooled)
	buf := *pooled
	var total int64
	for {
		filled, err := fill(s, buf)
		n, werr := w.Write(buf[:filled])
		total += int64(n)
		switch {
		case werr != nil:
			return total, werr
		case err == io.EOF: //nolint:errorlint // the io.Reader contract says EOF itself
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// fill reads until buf is full or r ends.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// announced: ALLO told a length that can be compared with the bytes that come.
func (s *source) announced() bool { return s.expected >= 0 && !s.ascii }

// doubt says why an orderly end of the data connection is not the end of the file.
func (s *source) doubt() error {
	// Partners announce what they send, or what the object will be.
	if s.announced() {
		if s.wire != s.expected && s.base+s.wire != s.expected {
			return errTooShort
		}
		return context.Cause(s.ctx) // the length proves it
	}
	policy := s.session.server.opts.TransferEOF
	if policy == EOFAlive || policy == EOFDefault && !s.private {
		wait := time.NewTimer(aliveWait)
		defer wait.Stop()
		select {
		case <-s.ctx.Done():
		case <-wait.C:
		}
		if s.session.control.hasGone() {
			return errNotAlive
		}
	}
	return context.Cause(s.ctx)
}

// hasGone reports that the client closed its side of the control connection after QUIT.
func (c *control) hasGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}
