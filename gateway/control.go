package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
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
	partial []byte // a line that has begun to arrive
	flood   int    // bytes of the line beyond maxLine
	line    []byte // what the library has yet to take

	mu        sync.Mutex
	conn      net.Conn // raw, or TLS on it
	flight    *flight  // the command whose final reply is owed
	queue     []Command
	idleSince time.Time
	reply     []byte // what the library wrote of a reply that is not whole yet
	draining  bool
	gone      bool // the client closed its side after QUIT
	closed    bool
}

// flight is a command on its way, from its line to its final reply.
type flight struct {
	cmd      Command // as the client sent it
	start    time.Time
	cancel   context.CancelCauseFunc // of a transfer or a job; else nil
	transfer *transfer               // of a transfer; else nil
	err      error                   // our own reason of a failure: it decides the reply
	opened   bool                    // 150 was sent
	aborted  bool                    // ABOR came, and gets its reply after this one's
	done     chan struct{}           // made when someone waits; closed with the final reply
}

func newControl(s *Session, raw net.Conn) *control {
	c := &control{session: s, raw: raw, conn: raw, idleSince: s.start}
	c.r = bufio.NewReaderSize(raw, 512)
	c.flight = &flight{cmd: Command{Verb: "CONNECT"}, start: s.start}
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
		c.flight = &flight{cmd: cmd, start: start}
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
		c.line = append(c.line, '\r', '\n')
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
	if c.draining {
		c.send(Reply{Code: 421, Text: "The server is shutting down; reconnect in a moment"})
		return cmd, false, errShutdown
	}
	if len(c.queue) > 0 {
		cmd, c.queue = c.queue[0], c.queue[1:]
		if len(c.queue) == 0 {
			c.queue = nil
		}
		return cmd, true, nil
	}
	deadline, why := c.idleSince.Add(c.session.server.opts.Limits.IdleTimeout), errIdle
	if c.session.account == nil {
		deadline, why = c.session.start.Add(c.session.server.opts.Limits.LoginTimeout), errLogin
	}
	if !time.Now().Before(deadline) {
		c.send(Reply{Code: 421, Text: "Timeout: closing the control connection"})
		return cmd, false, why
	}
	return cmd, false, c.conn.SetReadDeadline(deadline)
}

// wake makes a Read that waits for the client look around. The caller holds mu, so that it cannot
// slip between arm's look and its deadline.
func (c *control) wake() {
	// An error here is the connection's own; Read meets it.
	_ = c.conn.SetReadDeadline(time.Unix(1, 0))
}

// readLine returns the next whole line, with its end; it is valid until the next call. What had
// arrived when a deadline passed is kept.
func (c *control) readLine() ([]byte, error) {
	if len(c.partial) > 0 && c.partial[len(c.partial)-1] == '\n' {
		c.partial = c.partial[:0]
		if cap(c.partial) > maxLine/4 {
			c.partial = nil // most lines are short, and sessions are many
		}
	}
	for {
		b, err := c.r.ReadSlice('\n')
		if len(c.partial)+len(b) > maxLine || c.flood > 0 {
			c.flood += len(b)
			c.partial = c.partial[:0]
		} else {
			c.partial = append(c.partial, b...)
		}
		switch {
		case c.flood > maxFlood:
			return nil, errFlood
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, err
		case c.flood > 0:
			c.flood = 0
			return nil, errLineTooLong
		}
		return c.partial, nil
	}
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

// Write takes what the library says. Its final replies end the command in flight.
func (c *control) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.reply = append(c.reply, p...)
	var replies []Reply
	for {
		r, n := cutReply(c.reply)
		if n == 0 {
			break
		}
		replies = append(replies, r)
		c.reply = c.reply[n:]
	}
	if len(c.reply) == 0 {
		c.reply = nil
	}
	c.mu.Unlock()
	for _, r := range replies {
		c.finish(c.session.outcome(r))
	}
	return len(p), nil
}

// cutReply takes the first whole reply off p and returns it with its length, 0 if there is none.
func cutReply(p []byte) (Reply, int) {
	var text []string
	for n := 0; ; {
		i := bytes.IndexByte(p[n:], '\n')
		if i < 0 {
			return Reply{}, 0
		}
		line := strings.TrimRight(string(p[n:n+i]), "\r")
		n += i + 1
		if len(line) < 4 {
			continue
		}
		code, err := strconv.Atoi(line[:3])
		if err != nil {
			text = append(text, line)
			continue
		}
		text = append(text, line[4:])
		if line[3] == ' ' {
			return Reply{Code: code, Text: strings.Join(text, "\n")}, n
		}
	}
}

// finish sends a reply to the command in flight, and with a final one ends it.
func (c *control) finish(r Reply) {
	c.mu.Lock()
	f := c.flight
	c.mu.Unlock()
	if f == nil {
		c.session.log.Warn("reply to no command", "code", r.Code)
		return
	}
	r = c.session.server.filters.reply(c.session, f.cmd, r, time.Since(f.start))
	c.mu.Lock()
	c.send(r)
	if r.final() {
		if f.aborted {
			c.send(Reply{Code: 226, Text: "ABOR done"})
		}
		if f.done != nil {
			close(f.done)
		}
		c.flight = nil
		c.idleSince = time.Now()
		if f.cancel != nil { // else this is the goroutine that reads
			c.wake()
		}
	}
	c.mu.Unlock()
	if r.then != nil {
		r.then()
	}
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
	f.aborted = true
	c.mu.Unlock()
	f.cancel(errAborted)
	return true
}

// send writes a reply to the client. The caller holds mu.
func (c *control) send(r Reply) {
	if c.closed {
		return
	}
	// A client that does not read its replies must not hold a transfer.
	err := c.conn.SetWriteDeadline(time.Now().Add(replyTimeout))
	if err == nil {
		_, err = c.conn.Write(formatReply(r))
	}
	if err != nil {
		c.cut()
	}
}

func formatReply(r Reply) []byte {
	code := strconv.Itoa(r.Code)
	if !strings.Contains(r.Text, "\n") {
		return []byte(code + " " + r.Text + "\r\n")
	}
	var b []byte
	lines := strings.Split(r.Text, "\n")
	for i, line := range lines {
		switch i {
		case 0:
			b = append(b, code+"-"+line...)
		case len(lines) - 1:
			b = append(b, code+" "+line...)
		default: // a blank, so that no line can look like the last
			b = append(append(b, ' '), line...)
		}
		b = append(b, '\r', '\n')
	}
	return b
}

// farewell sends a last reply, whatever is in flight.
func (c *control) farewell(r Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send(r)
}

// drain makes the session end with 421 as soon as nothing is in flight.
func (c *control) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	c.wake()
}

// startTLS takes the connection over to TLS, on the control goroutine. What the client sent in
// clear behind AUTH could have been slipped in by someone else, so it ends the session.
func (c *control) startTLS() error {
	if c.r.Buffered() > 0 {
		return errInjected
	}
	tc := tls.Server(&recordConn{Conn: c.raw}, c.session.server.controlTLS)
	// Deadlines and a goroutine instead of a context: a session that idles for hours would keep the
	// context's bookkeeping and a stack as deep as the handshake's.
	if err := c.raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- tc.HandshakeContext(context.Background()) }()
	if err := <-done; err != nil {
		return err
	}
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.mu.Lock()
	c.conn = tc
	c.mu.Unlock()
	c.r.Reset(tc)
	return nil
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
