package bucket

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

const (
	// reopenings is how often a broken body is opened again without a byte between.
	reopenings = 5
	// bodyStall is how long a store may send nothing of a body that it has begun.
	bodyStall = 30 * time.Second
)

// cursor reads bytes of one version of an object, and goes on where a connection broke. It ends with
// io.EOF at its end, never before.
type cursor struct {
	adapter *Adapter
	ctx     context.Context //nolint:containedctx // the reader's, from Open to Close
	full    string
	version string // "": any, until open
	offset  int64  // of the next byte
	end     int64  // behind the last one; below 0: the object's, until open

	body   io.ReadCloser // nil when there is no connection
	left   int64         // of body
	stall  *time.Timer   // ends a body that delivers nothing
	failed int           // bodies that broke since the last byte
}

// open asks for what is left, and returns what the store says of the object.
func (c *cursor) open() (*Info, error) {
	content, err := c.adapter.get(c.ctx, c.full, Span{c.offset, c.end}, c.version)
	if err != nil {
		return nil, err
	}
	switch {
	case content.Length < 0:
		err = errNoLength
	case content.From != c.offset, c.end >= 0 && content.Length > c.end-c.offset:
		err = errIgnored
	}
	if err != nil {
		_ = content.Body.Close()
		return nil, Fault(backends.Unavailable, err)
	}
	c.body, c.left = content.Body, content.Length
	if c.left == 0 {
		c.drop()
	}
	return &content.Info, nil
}

// Read implements io.Reader.
func (c *cursor) Read(p []byte) (int, error) {
	for {
		if c.offset == c.end {
			return 0, io.EOF
		}
		if c.body == nil {
			if err := c.reopen(); err != nil {
				return 0, err
			}
		}
		n, err := c.readBody(p)
		c.offset += int64(n)
		c.left -= int64(n)
		if err != nil || c.left == 0 {
			c.drop()
		}
		if n > 0 {
			c.failed = 0
			return n, nil // what was wrong, if anything, shows at the next one
		}
		if err := backends.Alive(c.ctx); err != nil {
			return 0, err
		}
		if err == nil {
			continue
		}
		if c.failed++; c.failed > reopenings {
			return 0, Fault(backends.Unavailable, fmt.Errorf("%w: %w", errShort, err))
		}
	}
}

// readBody reads what comes next, and gives up when nothing does.
func (c *cursor) readBody(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	if c.stall == nil {
		body := c.body
		c.stall = time.AfterFunc(bodyStall, func() { _ = body.Close() })
	} else {
		c.stall.Reset(bodyStall)
	}
	n, err := c.body.Read(p)
	c.stall.Stop()
	if err == io.EOF && int64(n) == c.left {
		err = nil
	}
	return n, err
}

// drop ends the connection, or gives it back if nothing is left on it.
func (c *cursor) drop() {
	if c.body != nil {
		_ = c.body.Close()
	}
	c.body, c.stall = nil, nil
}

// reopen asks for the rest of the same version.
func (c *cursor) reopen() error {
	if c.failed > 0 {
		if err := Pause(c.ctx, firstPause<<c.failed); err != nil {
			return err
		}
	}
	_, err := c.open()
	switch c.adapter.kind(err) {
	case backends.NotExist, backends.BadOffset:
		return Fault(backends.Conflict, err) // it was there
	}
	return err
}
