package storefake

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// page is how much is read or sent at once.
const page = 256 << 10

// Reply is what a fake answers. Its body is either Data or Size zeros.
type Reply struct {
	Status int
	Header http.Header
	Data   []byte
	Size   int64
	Object bool // the body counts as sent
}

// pacer keeps the bytes of one body below the rate. A connection carries one body at a time, so
// this is its rate as well.
type pacer struct {
	start time.Time
	moved int64
}

// step is how many bytes may move before the next wait: what keeps the waits near 50 ms.
func (h *host) step() int64 {
	if h.rate <= 0 {
		return page
	}
	return min(max(h.rate/20, 1), page)
}

// pace waits until n more bytes are due; false if the request has ended.
func (x *Exchange) pace(p *pacer, n int) bool {
	if x.h.rate <= 0 {
		return true
	}
	if p.start.IsZero() {
		p.start = time.Now()
	}
	p.moved += int64(n)
	due := time.Duration(float64(p.moved) / float64(x.h.rate) * float64(time.Second))
	return x.pause(due - time.Since(p.start))
}

// pacedBody is a request's body as it arrives at the rate.
type pacedBody struct {
	x     *Exchange
	r     io.Reader
	pacer pacer
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.r == nil {
		return 0, io.EOF
	}
	if b.x.h.rate > 0 {
		p = p[:min(int64(len(p)), b.x.h.step())]
	}
	n, err := b.r.Read(p)
	if !b.x.pace(&b.pacer, n) && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Content is r, which is the body or a part of it, as it arrives: damaged if the fault says so.
func (x *Exchange) Content(r io.Reader) io.Reader {
	if !x.fault.FlipBit {
		return r
	}
	return &flippedBody{r: r}
}

type flippedBody struct {
	r     io.Reader
	begun bool
}

func (b *flippedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 && !b.begun {
		p[0] ^= 1
		b.begun = true
	}
	return n, err
}

// Answer sends the reply, with what the fault does to it.
func (x *Exchange) Answer(rep *Reply) {
	// Who answers while the client still sends gets its answer lost with the connection. Stores do
	// that; a test that must tell one error from another cannot have it.
	_, _ = io.Copy(io.Discard, x.Body)
	if !x.pause(x.h.latency) || !x.pause(x.fault.Delay) || x.fault.After {
		hangUp()
	}
	h := x.W.Header()
	for name, values := range rep.Header {
		h[name] = values
	}
	if rep.Status != http.StatusNoContent && rep.Status != http.StatusNotModified {
		h.Set("Content-Length", strconv.FormatInt(rep.Size, 10))
	}
	x.W.WriteHeader(rep.Status)
	if x.R.Method != http.MethodHead {
		x.send(rep)
	}
}

// send sends the body.
func (x *Exchange) send(rep *Reply) {
	end := rep.Size
	if x.fault.CutBody > 0 {
		end = min(end, x.fault.CutBody)
	}
	if x.fault.StallBody != nil {
		half := min(end, rep.Size/2)
		if !x.write(rep, 0, half) {
			return
		}
		x.flush()
		x.wait(x.fault.StallBody)
		if !x.write(rep, half, end) {
			return
		}
	} else if !x.write(rep, 0, end) {
		return
	}
	if x.fault.CutBody > 0 {
		x.flush()
		hangUp()
	}
}

// write sends the bytes of the body from off to end; false if the client has gone.
func (x *Exchange) write(rep *Reply, off, end int64) bool {
	var p pacer
	var zeros []byte
	if rep.Data == nil {
		zeros = make([]byte, min(x.h.step(), end-off))
	}
	for off < end {
		n := min(x.h.step(), end-off)
		if !x.pace(&p, int(n)) {
			return false
		}
		piece := zeros
		if rep.Data != nil {
			piece = rep.Data[off:]
		}
		written, err := x.W.Write(piece[:n])
		if rep.Object {
			x.h.sent.Add(int64(written))
		}
		if err != nil {
			return false
		}
		off += n
		if x.h.rate > 0 {
			x.flush()
		}
	}
	return true
}

// flush sends what net/http holds back. A failure shows at the next write.
func (x *Exchange) flush() { _ = http.NewResponseController(x.W).Flush() }
