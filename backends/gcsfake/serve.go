package gcsfake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// call is one request on its way through the server.
type call struct {
	Request
	*storefake.Exchange
	s     *Server
	route route
	bad   error // why the request cannot be understood
	fault Fault

	described description // of the object that the request is to make
	content   io.Reader   // what is to be in it
}

type reply = storefake.Reply

// ServeHTTP answers one request of the JSON API, or a read in the XML API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := storefake.Begin(s.Front, w, r, s.now())
	defer x.End()
	c := s.newCall(x)
	c.fault = storefake.Gate(s.Front, x, &c.Request)
	rep := c.answer()
	rep.Header.Set("Server", "UploadServer")
	if id := c.Query.Get("upload_id"); id != "" {
		rep.Header.Set(uploadID, id)
	}
	if rep.Header.Get(uploadID) == "" {
		rep.Header.Set(uploadID, fmt.Sprintf("gcsfake-%016x", s.answers.Add(1)))
	}
	x.Answer(rep)
}

// uploadID is the header with the ID of a request. Of those that a session consists of it is the session's,
// which is a credential.
const uploadID = "X-Guploader-Uploadid"

func (s *Server) newCall(x *storefake.Exchange) *call {
	c := &call{s: s, Exchange: x}
	c.Header = x.R.Header
	c.Query, c.bad = url.ParseQuery(x.R.URL.RawQuery)
	if err := c.find(); err != nil && c.bad == nil {
		c.bad = err
	}
	switch c.Op {
	case "objects.insert", "session.start":
		if err := c.readDescription(); err != nil && c.bad == nil {
			c.bad = err
		}
	}
	return c
}

// answer does what was asked, or what the fault says instead.
func (c *call) answer() *reply {
	if f := c.fault; f.Status != 0 || f.Reason != "" {
		return c.refusal(injected(f.Status, f.Reason))
	}
	rep, err := c.perform()
	if err != nil {
		return c.refusal(err)
	}
	return rep
}

func (c *call) perform() (*reply, error) {
	if c.Op != "token" {
		if err := c.authenticate(); err != nil {
			return nil, err
		}
	}
	op := operations[c.Op]
	switch {
	case c.route.bucket != "" && c.route.bucket != c.s.o.Bucket:
		f := refuse("notFound", "The specified bucket does not exist.")
		f.code = "NoSuchBucket"
		return nil, f
	case c.bad != nil:
		return nil, c.bad
	case op.perform == nil:
		return nil, notImplemented(c.R.Method + " " + c.R.URL.RequestURI())
	case !utf8.ValidString(c.Key) || !utf8.ValidString(c.route.source):
		return nil, invalid("Invalid resource name")
	}
	if err := c.checkParameters(op.parameters); err != nil {
		return nil, err
	}
	if err := c.checkProject(); err != nil {
		return nil, err
	}
	return op.perform(c)
}

// refusal is the reply that says what went wrong.
func (c *call) refusal(err error) *reply {
	f, ok := err.(*failure) //nolint:errorlint // nobody wraps a failure, and anything else comes from reading the request
	if !ok {
		f = invalid("%v", err)
	}
	rep := &reply{Status: f.status, Header: f.header.Clone()}
	if rep.Header == nil {
		rep.Header = http.Header{}
	}
	switch {
	case f.status == http.StatusNotModified || c.R.Method == http.MethodHead:
	case c.route.xml:
		rep.Header.Set("Content-Type", "application/xml; charset=UTF-8")
		rep.Data = f.xml()
	default:
		rep.Header.Set("Content-Type", "application/json; charset=UTF-8")
		rep.Data = f.json()
	}
	rep.Size = int64(len(rep.Data))
	return rep
}

// document is a reply with a JSON document, of which the client may have asked for a part.
func (c *call) document(v map[string]any) (*reply, error) {
	v, err := c.selected(v)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &reply{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}},
		Data:   b,
		Size:   int64(len(b)),
	}, nil
}

// empty is a reply without a body.
func empty(status int) *reply { return &reply{Status: status, Header: http.Header{}} }
