package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/limits"
)

// transfer is a command that moves data, with a copy of what the session had agreed on when it came.
// It is made on the control goroutine and then belongs to the transfer's.
type transfer struct {
	session *Session
	flight  *flight
	ctx     context.Context // stored for the library's callbacks, like the session's
	cancel  context.CancelCauseFunc
	data    *dataListener
	stop    func() bool // of the watch that closes the data connection with ctx
	free    func()      // gives buffers back; nil if there are none
	start   time.Time

	user     string
	verb     string // STOR, APPE, STOU, RETR; LIST, NLST, MLSD
	path     string // absolute; of STOU with the name that was made for it
	private  bool   // the data connection is under TLS
	ascii    bool   // lines are converted
	deflate  bool
	rest     int64
	expected int64        // ALLO; -1: none
	list     *listRequest // of a listing

	limits auth.Limits
	mounts []mount
	slow   *limits.Transfer // nil: as fast as it goes

	// For the record: which object in which backend it is, and the hash if all of it was moved.
	backend, version string
	sum              hash.Hash
	whole            bool

	moved    atomic.Int64 // bytes of payload so far, for STAT
	observed TransferObserver
	// lastByte is when an upload had come whole, durable when it was published.
	lastByte, durable time.Time

	keptFrom atomic.Int64 // an upload of which so much has moved is kept when it breaks off; 0 is never
	kept     atomic.Int64 // so many bytes of it are
}

// begin makes the command in flight a transfer of what is at p, and gives the library a command
// for it that says no more than the direction. It takes REST and ALLO, which hold for one.
func (s *Session) begin(c *Command, p string) *transfer {
	t := &transfer{
		session: s, user: s.name, verb: c.Verb, path: p, start: time.Now(), private: s.private,
		ascii:   s.ascii && s.server.opts.ASCII == ASCIIConvert,
		deflate: s.deflate, rest: s.rest, expected: s.expected,
		limits: s.account.Limits, mounts: s.mounts,
	}
	s.rest, s.expected = 0, -1
	s.hold() // released by end: the library calls GetHandle for each of these
	t.ctx, t.cancel = context.WithCancelCause(s.work())
	s.mu.Lock()
	t.data = s.data
	s.mu.Unlock()
	// Closing is what ends a Read or an Accept that waits.
	t.stop = context.AfterFunc(t.ctx, t.data.interrupt)
	s.control.mu.Lock()
	t.flight = s.control.flight
	t.flight.transfer, t.flight.cancel = t, t.cancel
	s.control.mu.Unlock()
	switch c.Verb {
	case "STOR", "APPE", "STOU":
		*c = Command{Verb: "STOR", Arg: "/"}
	default:
		*c = Command{Verb: "RETR", Arg: "/"}
	}
	return t
}

// transferInFlight returns the transfer whose reply is owed, nil if the command is none.
func (c *control) transferInFlight() *transfer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == nil {
		return nil
	}
	return c.flight.transfer
}

// open makes the handle that the library copies from or to.
func (t *transfer) open() (h ftpserver.FileTransfer, err error) {
	defer func() {
		if err != nil {
			_ = t.fail(err)
			// A client may have connected and gone already; its end must not be taken for that of
			// the next file.
			t.data.interrupt()
			t.end()
		}
	}()
	defer t.recovered(&err)
	if err := context.Cause(t.ctx); err != nil {
		return nil, err
	}
	switch {
	case t.list != nil:
		h, err = t.openListing()
	case t.verb == "RETR":
		h, err = t.openDownload()
	default:
		h, err = t.openUpload()
	}
	if err == nil {
		t.observeBegin()
	}
	return h, err
}

// fail notes the reason of a failure for the reply, and returns it.
func (t *transfer) fail(err error) error {
	if err == nil {
		return nil
	}
	// Once it is cancelled, what failed is only the echo.
	if cause := context.Cause(t.ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	t.session.control.mu.Lock()
	defer t.session.control.mu.Unlock()
	if t.flight.err == nil {
		t.flight.err = err
	}
	return err
}

// end frees what the transfer held; it is called once, by the handle's Close or a failed open.
func (t *transfer) end() {
	t.observeEnd()
	t.stop()
	t.cancel(nil)
	if t.free != nil {
		t.free()
	}
	if t.slow != nil {
		t.slow.Done()
	}
	t.session.release()
}

// count notes bytes of payload that have moved.
func (t *transfer) count(n int) {
	t.moved.Add(int64(n))
	t.observed.Moved(n)
}

// recovered turns a panic into an error: in the library it would leave the data connection open
// and the handle unclosed.
func (t *transfer) recovered(err *error) {
	if r := recover(); r != nil {
		t.session.panicked(t.verb, r)
		*err = t.fail(fmt.Errorf("gateway: panic: %v", r))
	}
}

// handle is what the kinds of transfer have in common towards the library, which uses ReadFrom for
// an upload and WriteTo for everything else.
type handle struct{ *transfer }

var errOneWay = errors.New("gateway: transfers use ReadFrom and WriteTo")

func (handle) Read([]byte) (int, error) { return 0, errOneWay }

// Write is called with nothing after an upload of nothing.
func (handle) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return 0, errOneWay
}

// Seek is never called: the library knows of no REST.
func (handle) Seek(int64, int) (int64, error) { return 0, errOneWay }

// TransferError comes before Close when the transfer failed, the library's own reasons included.
func (h handle) TransferError(err error) {
	if h.failure() == nil {
		_ = h.fail(fmt.Errorf("%w: %w", errNoData, err))
	}
}

// Close ends the transfer.
func (h handle) Close() error {
	defer h.end()
	h.report()
	return nil
}

// report writes the transfer's line in the log.
func (h handle) report() {
	log := h.session.log.With("user", h.user, "command", h.verb, "path", h.path,
		"bytes", h.moved.Load(), "duration_ms", time.Since(h.start).Milliseconds())
	if err := h.failure(); err != nil {
		log.Log(h.ctx, levelOf(err), "transfer failed", "err", err.Error())
	} else {
		log.Info("transfer")
	}
}

func (t *transfer) failure() error {
	t.session.control.mu.Lock()
	defer t.session.control.mu.Unlock()
	return t.flight.err
}

// wrapRead puts the agreed codecs on what an upload reads; sink does for what goes out.
func (t *transfer) wrapRead(r io.Reader) io.Reader {
	if t.deflate {
		r = newInflater(r)
	}
	if t.ascii {
		r = &fromNetwork{src: r}
	}
	return r
}

// dataOf readies the connection that the library opened.
func (t *transfer) dataOf(conn any) (*dataConn, error) {
	c, ok := conn.(*dataConn)
	if !ok {
		return nil, fmt.Errorf("gateway: data connection is a %T", conn)
	}
	return c, c.handshake(t.ctx)
}
