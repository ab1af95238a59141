package gateway

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

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
		for range f.aborts {
			c.send(Reply{Code: 226, Text: "ABOR done"})
		}
		if f.done != nil {
			close(f.done)
		}
		if f.traced != nil {
			f.traced(r)
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
