package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Data is one data connection.
type Data struct {
	net.Conn // TLS where the session is private, from Handshake on
	raw      *net.TCPConn
}

// Passive asks for a passive port (RFC 2428) and returns its address.
func (c *Client) Passive() (string, error) {
	r, err := c.Cmd("EPSV")
	if err != nil {
		return "", err
	}
	_, after, _ := strings.Cut(r.Text, "(|||")
	port, _, ok := strings.Cut(after, "|)")
	if r.Code != 229 || !ok {
		return "", &ReplyError{"EPSV", r}
	}
	return net.JoinHostPort(c.host, port), nil
}

// dataTimeout bounds a data connection: long enough for a transfer, short enough for a test.
const dataTimeout = 5 * time.Minute

// DialData opens a data connection to addr from the address from, or from any when that is "".
func DialData(addr, from string) (*Data, error) {
	conn, err := dialerFrom(from).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(dataTimeout)); err != nil {
		return nil, err
	}
	return &Data{Conn: conn, raw: conn.(*net.TCPConn)}, nil
}

func dialerFrom(from string) *net.Dialer {
	d := &net.Dialer{Timeout: 30 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	return d
}

// Resumed reports whether its TLS goes on with a session of an earlier connection.
func (d *Data) Resumed() bool {
	t, ok := d.Conn.(*tls.Conn)
	return ok && t.ConnectionState().DidResume
}

// Open begins a transfer: the server has said 150 and the data connection, with its TLS, stands
// when it returns.
func (c *Client) Open(command string) (*Data, error) {
	addr, err := c.Passive()
	if err != nil {
		return nil, err
	}
	d, err := DialData(addr, c.from)
	if err != nil {
		return nil, err
	}
	if err := c.Expect(150, command); err != nil {
		return nil, errors.Join(err, d.raw.Close())
	}
	if !c.private {
		return d, nil
	}
	return d, d.Handshake(c.TLS)
}

// Handshake puts TLS on the connection.
func (d *Data) Handshake(cfg *tls.Config) error {
	t := tls.Client(d.raw, cfg)
	d.Conn = t
	return t.HandshakeContext(context.Background())
}

// Finish ends an upload as a well-behaved client does: close_notify, then FIN, then nothing left
// unread, because closing with unread bytes is a reset.
func (d *Data) Finish() error {
	if t, ok := d.Conn.(*tls.Conn); ok {
		if err := t.CloseWrite(); err != nil {
			return err
		}
	}
	if err := d.raw.CloseWrite(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, d.raw); err != nil {
		return err
	}
	return d.raw.Close()
}

// FIN ends the connection without a close_notify.
func (d *Data) FIN() error { return d.raw.Close() }

// Reset ends the connection with an RST.
func (d *Data) Reset() error { return reset(d.raw) }

// Store uploads all of r and waits for the server to say that it is kept.
func (c *Client) Store(name string, r io.Reader) error {
	d, err := c.Open("STOR " + name)
	if err != nil {
		return err
	}
	if _, err = io.Copy(struct{ io.Writer }{d}, r); err == nil {
		err = d.Finish()
	}
	if err != nil {
		_ = d.FIN()                        // what went wrong has been said
		err = errors.Join(err, c.Done("")) // and here the server says why
		return fmt.Errorf("ftp: STOR %s: %w", name, err)
	}
	return c.Done("STOR " + name)
}

// Retrieve downloads what command (RETR, LIST, MLSD) delivers into w.
func (c *Client) Retrieve(command string, w io.Writer) error {
	d, err := c.Open(command)
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	_, err = io.CopyBuffer(w, struct{ io.Reader }{d}, buf)
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("ftp: %s: %w", command, err)
	}
	return c.Done(command)
}

// Done reads the reply that ends a transfer and wants it to be 226.
func (c *Client) Done(command string) error {
	r, err := c.Reply()
	if err != nil {
		return fmt.Errorf("ftp: %s: %w", verb(command), err)
	}
	if r.Code != 226 {
		return &ReplyError{verb(command), r}
	}
	return nil
}
