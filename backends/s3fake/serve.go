package s3fake

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// call is one request on its way through the server.
type call struct {
	Request
	*storefake.Exchange
	s      *Server
	bucket string
	bad    error // why the request cannot be understood
	fault  Fault
}

type reply = storefake.Reply

// ServeHTTP answers one request of the S3 API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := storefake.Begin(s.Front, w, r, s.now())
	defer x.End()
	c := s.newCall(x)
	c.fault = storefake.Gate(s.Front, x, &c.Request)
	rep := c.answer()
	rep.Header.Set("Server", "AmazonS3")
	rep.Header.Set("X-Amz-Request-Id", c.requestID())
	rep.Header.Set("X-Amz-Id-2", hostID)
	x.Answer(rep)
}

func (s *Server) newCall(x *storefake.Exchange) *call {
	c := &call{s: s, Exchange: x}
	c.Header = x.R.Header
	c.Query, c.bad = url.ParseQuery(x.R.URL.RawQuery)
	c.bucket, c.Key = s.locate(x.R)
	c.Part, _ = strconv.Atoi(c.Query.Get("partNumber"))
	c.Op = c.operation()
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
		rep.Status = http.StatusOK
		return rep
	}
	rep, err := c.perform()
	if err != nil {
		return c.refusal(err)
	}
	if c.Header.Get("X-Amz-Request-Payer") == "requester" {
		rep.Header.Set("X-Amz-Request-Charged", "requester")
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
	if c.R.Method != http.MethodHead && f.status != http.StatusNotModified {
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
	rep.Status = f.status
	rep.Header = cloneHeader(rep.Header, f.header)
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
