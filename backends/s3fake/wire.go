package s3fake

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// page is how much is read or sent at once.
const page = 256 << 10

// pacer keeps the bytes of one body below the rate. A connection carries one body at a time, so
// this is its rate as well.
type pacer struct {
	start time.Time
	moved int64
}

// step is how many bytes may move before the next wait: what keeps the waits near 50 ms.
func (s *Server) step() int64 {
	if s.o.Rate <= 0 {
		return page
	}
	return min(max(s.o.Rate/20, 1), page)
}

// pace waits until n more bytes are due; false if the request has ended.
func (c *call) pace(p *pacer, n int) bool {
	if c.s.o.Rate <= 0 {
		return true
	}
	if p.start.IsZero() {
		p.start = time.Now()
	}
	p.moved += int64(n)
	due := time.Duration(float64(p.moved) / float64(c.s.o.Rate) * float64(time.Second))
	return c.pause(due - time.Since(p.start))
}

// wireBody is a request's body as it arrives: at the rate, and damaged if the fault says so.
type wireBody struct {
	c     *call
	r     io.Reader
	begun bool
	pacer pacer
}

func (b *wireBody) Read(p []byte) (int, error) {
	if b.r == nil {
		return 0, io.EOF
	}
	if b.c.s.o.Rate > 0 {
		p = p[:min(int64(len(p)), b.c.s.step())]
	}
	n, err := b.r.Read(p)
	if n > 0 && !b.begun && b.c.fault.FlipBit {
		p[0] ^= 1
	}
	b.begun = b.begun || n > 0
	if !b.c.pace(&b.pacer, n) && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// send writes the reply, with what the fault does to its body.
func (c *call) send(rep *reply) {
	h := c.w.Header()
	for name, values := range rep.header {
		h[name] = values
	}
	h.Set("Server", "AmazonS3")
	h.Set("X-Amz-Request-Id", c.requestID())
	h.Set("X-Amz-Id-2", hostID)
	if rep.status != http.StatusNoContent && rep.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.FormatInt(rep.size, 10))
	}
	c.w.WriteHeader(rep.status)
	if c.r.Method == http.MethodHead {
		return
	}
	end := rep.size
	if c.fault.CutBody > 0 {
		end = min(end, c.fault.CutBody)
	}
	if c.fault.StallBody != nil {
		half := min(end, rep.size/2)
		if !c.write(rep, 0, half) {
			return
		}
		c.flush()
		c.wait(c.fault.StallBody)
		if !c.write(rep, half, end) {
			return
		}
	} else if !c.write(rep, 0, end) {
		return
	}
	if c.fault.CutBody > 0 {
		c.flush()
		hangUp()
	}
}

// write sends the bytes of the body from off to end; false if the client has gone.
func (c *call) write(rep *reply, off, end int64) bool {
	var p pacer
	var zeros []byte
	if rep.data == nil {
		zeros = make([]byte, min(c.s.step(), end-off))
	}
	for off < end {
		n := min(c.s.step(), end-off)
		if !c.pace(&p, int(n)) {
			return false
		}
		piece := zeros
		if rep.data != nil {
			piece = rep.data[off:]
		}
		written, err := c.w.Write(piece[:n])
		if rep.object {
			c.s.sent.Add(int64(written))
		}
		if err != nil {
			return false
		}
		off += n
		if c.s.o.Rate > 0 {
			c.flush()
		}
	}
	return true
}

// flush sends what net/http holds back. A failure shows at the next write.
func (c *call) flush() { _ = http.NewResponseController(c.w).Flush() }
