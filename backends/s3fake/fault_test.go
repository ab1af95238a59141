package s3fake

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/storefake"
)

// once is a fault function for the next request only.
func once(s *Server, f Fault) {
	s.OnRequest(func(Request) Fault {
		s.OnRequest(nil)
		return f
	})
}

// TestFaults has the faults that every fake has.
func TestFaults(t *testing.T) {
	t.Parallel()
	faultOf := func(f storefake.Fault) Fault {
		return Fault{
			Before: f.Before, After: f.After, CutBody: f.CutBody,
			Stall: f.Stall, StallBody: f.StallBody, Delay: f.Delay,
		}
	}
	open := func(t testing.TB, latency time.Duration, rate int64) (*storefake.Front[Request, Fault], storefake.Rig) {
		c := newClient(t, Options{Latency: latency, Rate: rate})
		return c.s.Front, storefake.Rig{
			Fake:   c.s,
			Put:    func(data string) *http.Request { return c.request("PUT", path("k"), data) },
			Get:    func() *http.Request { return c.request("GET", path("k"), "") },
			Delete: func() *http.Request { return c.request("DELETE", path("k"), "") },
		}
	}
	storefake.CheckFaults(t, faultOf, open)
}

func TestFaultErrors(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, test := range []struct {
		fault  Fault
		status int
		code   string
	}{
		{Fault{Status: 503}, 503, "SlowDown"},
		{Fault{Code: "SlowDown"}, 503, "SlowDown"},
		{Fault{Status: 500}, 500, "InternalError"},
		{Fault{Status: 502}, 502, "BadGateway"},
		{Fault{Status: 409, Code: "OperationAborted"}, 409, "OperationAborted"},
		{Fault{Code: "OfMyOwn"}, 500, "OfMyOwn"},
		{Fault{BodyError: "InternalError"}, 200, "InternalError"},
	} {
		once(c.s, test.fault)
		// The body is far larger than what fits into the buffers of a connection.
		a := c.do("PUT", path("k"), strings.Repeat("v", 8<<20))
		if a.status != test.status || a.code() != test.code {
			t.Errorf("%+v: %d %s", test.fault, a.status, a.code())
		}
	}
	if len(c.s.Keys()) != 0 || c.s.Received() != 0 {
		t.Error("refused and stored")
	}
	once(c.s, Fault{Status: 503})
	if a := c.do("HEAD", path("k"), ""); a.status != 503 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
}

func TestFaultBodyErrorOfComplete(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	id := c.create("k")
	body := listed(1, c.part("k", id, 1, "v"))
	once(c.s, Fault{BodyError: "InternalError"})
	if a := c.want(200, "POST", uploadOf("k", id), body); a.code() != "InternalError" || len(c.s.Keys()) != 0 {
		t.Errorf("%s, keys %q", a.body, c.s.Keys())
	}
	c.want(200, "POST", uploadOf("k", id), body)
	wantData(t, c.s, "k", "v")
}

func TestFaultFlipBit(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	once(c.s, Fault{FlipBit: true})
	c.wantCode("BadDigest", "PUT", path("k"), "hello", "X-Amz-Checksum-Crc32", crcOf("hello"))
	if len(c.s.Keys()) != 0 {
		t.Error("damaged and stored")
	}
	once(c.s, Fault{FlipBit: true})
	c.want(200, "PUT", path("k"), "hello")
	wantData(t, c.s, "k", "iello")
}

func TestFaultFunction(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	var seen []Request
	c.s.OnRequest(func(r Request) Fault { // no lock: it is called for one request after another
		seen = append(seen, r)
		if c.s.Count("") != r.Index || len(c.s.Keys()) != r.Index-1 {
			t.Errorf("request %d sees %d requests and %q", r.Index, c.s.Count(""), c.s.Keys())
		}
		return Fault{}
	})
	for i := range 3 {
		c.want(200, "PUT", path("k"+strconv.Itoa(i)), "v", "X-Amz-Meta-I", strconv.Itoa(i))
	}
	c.s.OnRequest(nil)
	c.do("PUT", path("k")+"?partNumber=7&uploadId=u", "v")
	for i, r := range seen {
		if r.Index != i+1 || r.Op != "PutObject" || r.Key != "k"+strconv.Itoa(i) || r.Header.Get("X-Amz-Meta-I") != strconv.Itoa(i) {
			t.Errorf("seen %+v", r)
		}
	}
	all := c.s.Requests()
	if last := all[len(all)-1]; len(all) != 4 || last.Op != "UploadPart" || last.Part != 7 || last.Query.Get("uploadId") != "u" {
		t.Errorf("requests: %+v", all)
	}
	if c.s.Count("") != 4 || c.s.Count("PutObject") != 3 || c.s.Count("GetObject") != 0 {
		t.Errorf("counted %d, %d, %d", c.s.Count(""), c.s.Count("PutObject"), c.s.Count("GetObject"))
	}
	c.want(200, "GET", path("k0"), "")
	c.s.Reset()
	if c.s.Count("") != 0 || c.s.Received() != 0 || c.s.Sent() != 0 || len(c.s.Requests()) != 0 || len(c.s.Keys()) != 3 {
		t.Error("not reset, or too much of it")
	}
	c.s.OnRequest(func(r Request) Fault { return Fault{Code: "Index" + strconv.Itoa(r.Index)} })
	if a := c.do("GET", path("k"), ""); a.code() != "Index1" {
		t.Errorf("after Reset: %s", a.code())
	}
}

// raw writes to a connection of its own and reads what comes back.
func raw(t *testing.T, s *Server, request string) string {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestIncompleteBody(t *testing.T) {
	t.Parallel()
	for _, discard := range []bool{false, true} {
		c := newClient(t, Options{Discard: discard})
		r := c.request("PUT", path("k"), "01234")
		r.ContentLength = 10
		var b strings.Builder
		b.WriteString("PUT /bucket/k HTTP/1.1\r\nHost: " + r.Host + "\r\nContent-Length: 10\r\n")
		if err := r.Header.Write(&b); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\r\n01234")
		if got := raw(t, c.s, b.String()); !strings.Contains(got, "<Code>IncompleteBody</Code>") {
			t.Errorf("answered %s", got)
		}
		if len(c.s.Keys()) != 0 {
			t.Error("half a body is stored")
		}
	}
}

func TestContentLength(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	r := c.request("PUT", path("k"), "v")
	r.ContentLength = -1 // chunked
	if a, err := c.send(r); err != nil || a.code() != "MissingContentLength" || a.status != http.StatusLengthRequired {
		t.Errorf("%v %+v", err, a)
	}
	r = c.request("PUT", path("k"), "v")
	var b strings.Builder
	b.WriteString("PUT /bucket/k HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	if err := r.Header.Write(&b); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, c.s, b.String()+"\r\n"); !strings.Contains(got, "<Code>MissingContentLength</Code>") {
		t.Errorf("without a length: %s", got)
	}
	if got := raw(t, c.s, b.String()+"Content-Length: 5368709121\r\n\r\n"); !strings.Contains(got, "<Code>EntityTooLarge</Code>") {
		t.Errorf("5 GiB and a byte: %s", got)
	}
	if len(c.s.Keys()) != 0 {
		t.Errorf("stored %q", c.s.Keys())
	}
}
