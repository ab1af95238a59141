package gateway

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxLine          = 4096    // bytes of a command, its line end included
	maxFlood         = 1 << 16 // bytes without a line end before the connection is closed
	maxQueue         = 64      // commands that may wait behind a transfer
	replyTimeout     = 30 * time.Second
	handshakeTimeout = 10 * time.Second
)

var (
	errControlLost = errors.New("control connection lost")
	errAborted     = errors.New("aborted by the client")
	errIdle        = errors.New("idle timeout")
	errLogin       = errors.New("login timeout")
	errInjected    = errors.New("commands sent in clear behind AUTH")
	errFlood       = errors.New("line without an end")
	errQueue       = errors.New("too many commands behind a transfer")
	errLineTooLong = errors.New("line too long")
)

// control is the connection that the library believes to be the client's. It ends TLS, hands over
// one complete and permitted line per Read, and turns what the library writes into replies.
//
// One goroutine of the library calls Read and runs the commands. A transfer runs in a second one
// meanwhile, and Read goes on: it answers NOOP, STAT and ABOR at once, keeps other commands back
// until the transfer has its reply, and notices when the client is gone.
type control struct {
	session *Session
	raw     net.Conn // the TCP connection: for addresses and to be cut

	// The reading side.
	r       *bufio.Reader
	in      input
	partial []byte // a line that has begun to arrive
	flood   int    // bytes of the line beyond maxLine
	line    []byte // what the library has yet to take

	// What TLS has told: 0 and nothing in clear.
	tlsVersion uint16
	peer       []*x509.Certificate

	// leaving: the session ends, in this way, as soon as nothing is in flight.
	leaving atomic.Pointer[leave]

	mu        sync.Mutex
	conn      net.Conn // raw, or TLS on it
	flight    *flight  // the command whose final reply is owed
	queue     []Command
	idleSince time.Time
	reply     []byte // what the library wrote of a reply that is not whole yet
	gone      bool   // the client closed its side after QUIT
	closed    bool
}

// flight is a command on its way, from its line to its final reply.
type flight struct {
	cmd      Command // as the client sent it
	start    time.Time
	ctx      context.Context         // the session's, with the span of the command; nil without a Tracer
	traced   func(Reply)             // ends the span
	cancel   context.CancelCauseFunc // of a transfer or a job; else nil
	transfer *transfer               // of a transfer; else nil
	err      error                   // our own reason of a failure: it decides the reply
	opened   bool                    // 150 was sent
	aborts   int                     // so many ABOR came, and get their replies after this one's
	done     chan struct{}           // made when someone waits; closed with the final reply
}

func newControl(s *Session, raw net.Conn) *control {
	c := &control{session: s, raw: raw, conn: raw, idleSince: s.start, in: input{Reader: raw}}
	c.r = bufio.NewReaderSize(&c.in, 512)
	c.flight = &flight{cmd: Command{Verb: verbConnect}, start: s.start}
	return c
}

// Read gives the library the next line that it shall see, whole. It is io.EOF when the client is
// gone: never a line that was cut off.
func (c *control) Read(p []byte) (int, error) {
	for len(c.line) == 0 {
		cmd, err := c.next()
		if err != nil {
			c.session.end(err)
			return 0, io.EOF
		}
		c.run(cmd)
	}
	n := copy(p, c.line)
	c.line = c.line[n:]
	return n, nil
}

// run takes a command through the filters, and on to the library unless one answered it.
func (c *control) run(cmd Command) {
	start := time.Now()
	beside := besideTransfers(cmd)
	if !beside {
		c.mu.Lock()
		c.flight = c.session.trace(&flight{cmd: cmd, start: start})
		c.mu.Unlock()
	}
	seen := cmd
	reply, answered := c.session.server.filters.command(c.session, &cmd)
	switch {
	case !answered:
		c.line = append(c.line[:0], cmd.Verb...)
		if cmd.Arg != "" {
			c.line = append(append(c.line, ' '), cmd.Arg...)
		}
		c.line = append(c.line, '\n') // one byte: the line must not be longer than it came
	case reply.Code == 0: // comes later
	case beside:
		reply = c.session.server.filters.reply(c.session, seen, reply, time.Since(start))
		c.mu.Lock()
		c.send(reply)
		c.idleSince = time.Now()
		c.mu.Unlock()
		if reply.then != nil {
			reply.then()
		}
	default:
		c.session.dropTransfer(seen.Verb)
		c.finish(reply)
	}
}

// besideTransfers are the commands that do not wait for a running transfer. We answer all of them,
// so that the library never runs two things at once.
func besideTransfers(c Command) bool {
	return c.Verb == "NOOP" || c.Verb == "ABOR" || c.Verb == "STAT" && c.Arg == ""
}

// next returns the next command to run.
func (c *control) next() (Command, error) {
	for {
		cmd, ready, err := c.arm()
		if ready || err != nil {
			return cmd, err
		}
		err = c.awaitInput()
		var line []byte
		if err == nil {
			line, err = c.readLine()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue // arm knows whether it was the clock or wake
		case errors.Is(err, errLineTooLong):
			cmd = Command{Verb: verbTooLong}
		case err != nil:
			if c.quitting() {
				continue
			}
			if !errors.Is(err, errFlood) {
				err = errControlLost
			}
			return Command{}, err
		default:
			cmd = parse(line)
		}
		if now, full := c.enqueue(cmd); now {
			return cmd, nil
		} else if full {
			c.farewell(Reply{Code: 421, Text: "Too many commands while a transfer runs; closing"})
			return Command{}, errQueue
		}
	}
}

// enqueue keeps a command back while a transfer runs. now: it need not wait. NOOP and STAT wait
// behind commands that do, so that a client which sends ahead gets its replies in order.
func (c *control) enqueue(cmd Command) (now, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cmd.Verb == "ABOR" || len(c.queue) == 0 && (c.flight == nil || besideTransfers(cmd)) {
		return true, false
	}
	c.queue = append(c.queue, cmd)
	return false, len(c.queue) > maxQueue
}

// arm takes a waiting command if nothing is in flight, and else sets the deadline for reading the
// next. It is where a session's clock runs out.
func (c *control) arm() (cmd Command, ready bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return cmd, false, errControlLost
	}
	if c.flight != nil {
		return cmd, false, c.conn.SetReadDeadline(time.Time{})
	}
	if c.session.ending != nil {
		return cmd, false, c.session.ending
	}
	if l := c.leaving.Load(); l != nil { // whatever was sent ahead
		c.send(Reply{Code: 421, Text: l.text})
		return cmd, false, l.why
	}
	if len(c.queue) > 0 {
		cmd, c.queue = c.queue[0], c.queue[1:]
		if len(c.queue) == 0 {
			c.queue = nil
		}
		return cmd, true, nil
	}
	deadline, why := c.idleSince.Add(c.session.server.policy.Load().Limits.IdleTimeout), errIdle
	if c.session.account == nil {
		deadline, why = c.session.loginSince.Add(c.session.server.policy.Load().Limits.LoginTimeout), errLogin
	}
	if !time.Now().Before(deadline) {
		c.send(Reply{Code: 421, Text: "Timeout: closing the control connection"})
		return cmd, false, why
	}
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return cmd, false, err
	}
	// After the deadline is set: drain sets its own without waiting for mu.
	if l := c.leaving.Load(); l != nil {
		c.send(Reply{Code: 421, Text: l.text})
		return cmd, false, l.why
	}
	return cmd, false, nil
}

// wake makes a Read that waits for the client look around. The caller holds mu, so that it cannot
// slip between arm's look and its deadline.
func (c *control) wake() {
	// An error here is the connection's own; Read meets it.
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

// quitting handles a client that sent QUIT during a transfer and closed its side: the transfer goes
// on, and QUIT ends the session after it. It reports whether that was so.
func (c *control) quitting() bool {
	c.mu.Lock()
	quit := false
	for _, cmd := range c.queue {
		quit = quit || cmd.Verb == "QUIT"
	}
	f := c.flight
	if f == nil || !quit || c.gone {
		c.mu.Unlock()
		return false
	}
	c.gone = true
	f.done = make(chan struct{})
	c.mu.Unlock()
	c.session.log.Debug("control gone after QUIT")
	select {
	case <-f.done:
	case <-c.session.ctx.Done():
	}
	return true
}

// fail notes our own reason for the failure of the command in flight, and returns it.
func (c *control) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.flight != nil && c.flight.err == nil {
		c.flight.err = err
	}
	return err
}

// abort ends the transfer or job in flight for ABOR. It is false if there is none.
func (c *control) abort() bool {
	c.mu.Lock()
	f := c.flight
	if f == nil || f.cancel == nil {
		c.mu.Unlock()
		return false
	}
	f.aborts++
	c.mu.Unlock()
	f.cancel(errAborted)
	return true
}

// leave is why a session ends, and what the client is told of it.
type leave struct {
	why  error
	text string
}

// drain makes the session end with 421 as soon as nothing is in flight. It does not wait for mu, which
// a client that reads no replies can hold up.
func (c *control) drain(l leave) {
	c.leaving.Store(&l)
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // an error is the connection's own; Read meets it
}

// Close ends the connection in good order: close_notify, then FIN.
func (c *control) Close() error {
	c.mu.Lock()
	conn, closed := c.conn, c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	return conn.Close()
}

// cut ends the connection at once, from any goroutine; Read then returns. The library's own way to
// close a session waits for transfers and races with them. The caller holds mu.
func (c *control) cut() {
	if !c.closed {
		c.closed = true
		_ = c.raw.Close() // nothing is left to be told of it
	}
}

func (c *control) kick() {
	_ = c.raw.Close() // before mu: a reply that nobody reads may hold it
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut()
}

func (c *control) LocalAddr() net.Addr  { return c.raw.LocalAddr() }
func (c *control) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// The library's deadlines would cut both directions; arm and send have their own.

func (c *control) SetDeadline(time.Time) error      { return nil }
func (c *control) SetReadDeadline(time.Time) error  { return nil }
func (c *control) SetWriteDeadline(time.Time) error { return nil }
