package s3fake

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// call is one request on its way through the server.
type call struct {
	Request
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	body   *wireBody
	bucket string
	bad    error // why the request cannot be understood
	fault  Fault
}

// reply is what a call answers. Its body is either data or size zeros.
type reply struct {
	status int
	header http.Header
	data   []byte
	size   int64
	object bool // the body counts as sent
}

// ServeHTTP answers one request of the S3 API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		hangUp()
	}
	defer s.running.Done()
	c := s.newCall(w, r)
	if _, known := w.Header()["Date"]; !known { // what stands before the fake may say otherwise
		w.Header().Set("Date", s.now().Format(http.TimeFormat))
	}
	c.fault = s.note(&c.Request)
	c.wait(c.fault.Stall)
	if c.fault.Before {
		hangUp()
	}
	rep := c.answer()
	// Who answers while the client still sends gets its answer lost with the connection. S3 does
	// that; a test that must tell one error from another cannot have it.
	_, _ = io.Copy(io.Discard, c.body)
	if !c.pause(s.o.Latency) || !c.pause(c.fault.Delay) || c.fault.After {
		hangUp()
	}
	c.send(rep)
}

// hangUp closes the connection of the request that is being served. net/http knows this panic.
func hangUp() { panic(http.ErrAbortHandler) }

func (s *Server) newCall(w http.ResponseWriter, r *http.Request) *call {
	c := &call{s: s, w: w, r: r}
	c.Header = r.Header
	c.Query, c.bad = url.ParseQuery(r.URL.RawQuery)
	c.bucket, c.Key = s.locate(r)
	c.Part, _ = strconv.Atoi(c.Query.Get("partNumber"))
	c.Op = c.operation()
	c.body = &wireBody{c: c, r: r.Body}
	return c
}

// locate finds bucket and key in host and path. The path is taken as it is: to S3 `x//y` and
// `e/../f` are keys like any other.
func (s *Server) locate(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.HasPrefix(host, s.o.Bucket+".") {
		return s.o.Bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// answer does what was asked, or what the fault says instead.
func (c *call) answer() *reply {
	switch f := c.fault; {
	case f.Status != 0 || f.Code != "":
		return c.refusal(injected(f.Status, f.Code))
	case f.BodyError != "":
		rep := c.refusal(injected(0, f.BodyError))
		rep.status = http.StatusOK
		return rep
	}
	rep, err := c.perform()
	if err != nil {
		return c.refusal(err)
	}
	if c.Header.Get("X-Amz-Request-Payer") == "requester" {
		rep.header.Set("X-Amz-Request-Charged", "requester")
	}
	return rep
}

func (c *call) perform() (*reply, error) {
	if c.bad != nil || !utf8.ValidString(c.Key) {
		return nil, refuse("InvalidURI", "Couldn't parse the specified URI.")
	}
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	switch {
	case c.bucket != "" && c.bucket != c.s.o.Bucket:
		return nil, refuse("NoSuchBucket", "The specified bucket does not exist")
	case len(c.Key) > maxKey:
		return nil, refuse("KeyTooLongError", "Your key is too long").
			with("Size", strconv.Itoa(len(c.Key))).with("MaxSizeAllowed", strconv.Itoa(maxKey))
	}
	perform := operations[c.Op]
	if perform == nil {
		return nil, c.unknown()
	}
	return perform(c)
}

// refusal is the reply that says what went wrong.
func (c *call) refusal(err error) *reply {
	f, ok := err.(*failure) //nolint:errorlint // nobody wraps a failure, and anything else is a bug here
	if !ok {
		f = refuse("InternalError", "%v", err)
	}
	rep := &reply{}
	d := &document{}
	if c.r.Method != http.MethodHead && f.status != http.StatusNotModified {
		d.in("Error", func() {
			d.text("Code", f.code)
			d.text("Message", f.message)
			if c.Key != "" {
				d.text("Key", c.Key)
			} else {
				d.text("BucketName", c.bucket)
			}
			for _, e := range f.extra {
				d.text(e[0], e[1])
			}
			d.text("RequestId", c.requestID())
			d.text("HostId", hostID)
		})
		rep = xmlReply(f.status, d)
	}
	rep.status = f.status
	rep.header = cloneHeader(rep.header, f.header)
	return rep
}

const hostID = "s3fake"

func (c *call) requestID() string { return fmt.Sprintf("%016X", c.Index) }

// cloneHeader joins headers into one that may be changed.
func cloneHeader(all ...http.Header) http.Header {
	joined := http.Header{}
	for _, h := range all {
		for name, values := range h {
			joined[name] = append(joined[name], values...)
		}
	}
	return joined
}

// wait returns when ch is closed or the client has hung up, at once for nil. A closed server hangs
// up: nothing has an effect any more.
func (c *call) wait(ch <-chan struct{}) {
	if ch == nil {
		return
	}
	select {
	case <-ch:
	case <-c.r.Context().Done():
	case <-c.s.done:
		hangUp()
	}
}

// pause waits for d; false if there is nobody left to wait for.
func (c *call) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
		return false
	case <-c.s.done:
		return false
	}
}
