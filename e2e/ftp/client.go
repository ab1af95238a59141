// Package ftp is a bare FTP client for tests. It says what it is told to, in the order in which it
// is told, and it can end a connection in every way in which a client can die.
//
// It is written from RFC 959, 2428 and 4217 and shares no code with the server.
package ftp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Mode is how the connections are protected.
type Mode string

// The modes.
const (
	Clear    Mode = "clear"
	Explicit Mode = "explicit" // AUTH TLS, RFC 4217
	Implicit Mode = "implicit" // TLS from the first byte
)

// Client is one control connection.
type Client struct {
	// Timeout bounds every wait for the server. 30 seconds by default.
	Timeout time.Duration
	// TLS is what Login uses; data connections take it once they are private.
	TLS *tls.Config

	host    string
	from    string // the address that it dials from; "" is any
	raw     *net.TCPConn
	conn    net.Conn
	r       *bufio.Reader
	private bool
}

// Reply is the server's answer to a command. Text holds all lines of it, without the codes.
type Reply struct {
	Code int
	Text string
}

// String returns the reply as one line.
func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Dial connects to addr and says nothing yet.
func Dial(ctx context.Context, addr string) (*Client, error) { return DialFrom(ctx, addr, "") }

// DialFrom is Dial from the address from, or from any when that is "".
func DialFrom(ctx context.Context, addr, from string) (*Client, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	conn, err := dialerFrom(from).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	raw := conn.(*net.TCPConn)
	return &Client{
		Timeout: 30 * time.Second,
		TLS:     InsecureTLS(),
		host:    host, from: from, raw: raw, conn: raw, r: bufio.NewReader(raw),
	}, nil
}

// InsecureTLS trusts every certificate and resumes sessions. It names the server, because crypto/tls
// keeps sessions by name, and else by port: a data connection has another one.
func InsecureTLS() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: "localhost",
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
}

// Greet takes a fresh connection to the point where someone can log in: the greeting, and TLS.
func (c *Client) Greet(mode Mode) error {
	if mode == Implicit {
		if err := c.StartTLS(); err != nil {
			return err
		}
	}
	if r, err := c.Reply(); err != nil || r.Code != 220 {
		return fmt.Errorf("ftp: greeting: %v: %w", r, orUnexpected(err))
	}
	if mode != Explicit {
		return nil
	}
	if err := c.Expect(234, "AUTH TLS"); err != nil {
		return err
	}
	return c.StartTLS()
}

// Login takes a fresh connection to the point where transfers can begin: greeting, TLS, name,
// password, PROT P and binary type.
func (c *Client) Login(mode Mode, user, password string) error {
	if err := c.Greet(mode); err != nil {
		return err
	}
	if err := c.Expect(331, "USER "+user); err != nil {
		return err
	}
	if err := c.Expect(230, "PASS "+password); err != nil {
		return err
	}
	if mode != Clear {
		if err := c.Protect(); err != nil {
			return err
		}
	}
	return c.Expect(200, "TYPE I")
}

// Protect makes the data connections that follow private.
func (c *Client) Protect() error {
	if err := c.Expect(200, "PBSZ 0"); err != nil {
		return err
	}
	if err := c.Expect(200, "PROT P"); err != nil {
		return err
	}
	c.private = true
	return nil
}

// StartTLS makes the handshake on the control connection.
func (c *Client) StartTLS() error {
	t := tls.Client(c.raw, c.TLS)
	if err := c.raw.SetDeadline(time.Now().Add(c.Timeout)); err != nil {
		return err
	}
	if err := t.HandshakeContext(context.Background()); err != nil {
		return err
	}
	c.conn, c.r = t, bufio.NewReader(t)
	return nil
}

// SetPrivate says whether data connections use TLS, whatever was agreed with the server.
func (c *Client) SetPrivate(on bool) { c.private = on }

// Send writes s as it is; a command needs its CR LF.
func (c *Client) Send(s string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.Timeout)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, s)
	return err
}

// Reply reads one reply, of any number of lines (RFC 959 section 4.2).
func (c *Client) Reply() (Reply, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
		return Reply{}, err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return Reply{}, err
	}
	code, err := strconv.Atoi(line[:min(3, len(line))])
	if err != nil || len(line) < 5 || !strings.HasSuffix(line, "\r\n") {
		return Reply{}, fmt.Errorf("ftp: reply %q has no code, text or CR LF", line)
	}
	text := line[4 : len(line)-2]
	for more := line[3] == '-'; more; {
		next, err := c.r.ReadString('\n')
		if err != nil {
			return Reply{}, err
		}
		more = !strings.HasPrefix(next, line[:3]+" ")
		text += "\n" + strings.TrimSuffix(next, "\r\n")
	}
	return Reply{code, text}, nil
}

// Cmd sends one command and reads its first reply.
func (c *Client) Cmd(line string) (Reply, error) {
	if err := c.Send(line + "\r\n"); err != nil {
		return Reply{}, err
	}
	return c.Reply()
}

// Expect sends one command and refuses every reply code but one.
func (c *Client) Expect(code int, line string) error {
	r, err := c.Cmd(line)
	if err != nil {
		return fmt.Errorf("ftp: %s: %w", verb(line), err)
	}
	if r.Code != code {
		return &ReplyError{Verb: verb(line), Reply: r}
	}
	return nil
}

// ReplyError is a reply that was not the one hoped for.
type ReplyError struct {
	Verb  string
	Reply Reply
}

// Error names the command and the reply.
func (e *ReplyError) Error() string { return fmt.Sprintf("ftp: %s: %v", e.Verb, e.Reply) }

func verb(line string) string {
	v, _, _ := strings.Cut(line, " ")
	return v
}

var errUnexpected = errors.New("unexpected")

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpected
	}
	return err
}

// Quit says goodbye and closes.
func (c *Client) Quit() error {
	err := c.Expect(221, "QUIT")
	return errors.Join(err, c.Close())
}

// Close closes the control connection; under TLS with a close_notify.
func (c *Client) Close() error { return c.conn.Close() }

// FIN closes the TCP connection without a close_notify, as the kernel does for a dead process.
func (c *Client) FIN() error { return c.raw.Close() }

// CloseWrite ends the sending direction and leaves the other one open.
func (c *Client) CloseWrite() error { return c.raw.CloseWrite() }

// Reset sends an RST.
func (c *Client) Reset() error { return reset(c.raw) }

// reset closes with an RST: an SO_LINGER of zero throws away what is unsent.
func reset(c *net.TCPConn) error {
	return errors.Join(c.SetLinger(0), c.Close())
}
