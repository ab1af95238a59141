package gcsfake

import (
	"net/http"
	"net/http/httptrace"
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

var mediaOfK = uploads + "media&name=k"

// TestFaults has the faults that every fake has, with each way to put an object.
func TestFaults(t *testing.T) {
	t.Parallel()
	faultOf := func(f storefake.Fault) Fault {
		return Fault{
			Before: f.Before, After: f.After, CutBody: f.CutBody,
			Stall: f.Stall, StallBody: f.StallBody, Delay: f.Delay,
		}
	}
	for name, target := range map[string]func(*client) string{
		"Insert":  func(*client) string { return mediaOfK },
		"Session": func(c *client) string { return c.start("k", "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storefake.CheckFaults(t, faultOf, func(t testing.TB, latency time.Duration, rate int64) (*storefake.Front[Request, Fault], storefake.Rig) {
				c := newClient(t, Options{Latency: latency, Rate: rate})
				put := target(c)
				c.s.Reset()
				return c.s.Front, storefake.Rig{
					Fake:   c.s,
					Put:    func(data string) *http.Request { return c.request("POST", put, data) },
					Get:    func() *http.Request { return c.request("GET", at("k")+"?alt=media", "") },
					Delete: func() *http.Request { return c.request("DELETE", at("k"), "") },
				}
			})
		})
	}
}

// Who lost the answer to the end of an upload may ask for it.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	session := c.start("k", "")
	once(c.s, Fault{After: true})
	if a, err := c.send(c.request("PUT", session, "v")); err == nil {
		t.Errorf("answered %d", a.status)
	}
	if a := c.put(session, "bytes */*", ""); a.status != 200 || a.field("generation") != generation(c.s, "k") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestFaultErrors(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, test := range []struct {
		fault  Fault
		status int
		reason string
	}{
		{Fault{Status: 503}, 503, "backendError"},
		{Fault{Reason: "rateLimitExceeded"}, 429, "rateLimitExceeded"},
		{Fault{Status: 500}, 500, "internalError"},
		{Fault{Status: 502}, 502, "BadGateway"},
		{Fault{Status: 403, Reason: "rateLimitExceeded"}, 403, "rateLimitExceeded"},
		{Fault{Reason: "ofMyOwn"}, 500, "ofMyOwn"},
	} {
		once(c.s, test.fault)
		// The body is far larger than what fits into the buffers of a connection.
		a := c.do("POST", mediaOfK, strings.Repeat("v", 8<<20))
		if a.status != test.status || a.reason() != test.reason || a.field("error.message") != "injected by the test" {
			t.Errorf("%+v: %d %s", test.fault, a.status, a.body)
		}
	}
	if len(c.s.Keys()) != 0 || c.s.Received() != 0 {
		t.Error("refused and stored")
	}
	once(c.s, Fault{Status: 503})
	if a := c.do("HEAD", "/bucket/k", ""); a.status != 503 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	once(c.s, Fault{Status: 503})
	if a := c.do("GET", "/bucket/k", ""); a.status != 503 || !strings.Contains(a.body, "<Code>ServiceUnavailable</Code>") {
		t.Errorf("XML: %d %q", a.status, a.body)
	}
}

// What changes is the first byte of the content, wherever that is in the body.
func TestFaultFlipBit(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	flip := func(op string) {
		c.s.OnRequest(func(r Request) Fault { return Fault{FlipBit: r.Op == op} })
	}
	flip("objects.insert")
	c.refused(400, "invalid", "POST", mediaOfK, "hello", "X-Goog-Hash", "crc32c="+crcOf("hello"))
	if a := c.tryInsert(`{"name": "k", "crc32c": "`+crcOf("hello")+`"}`, "hello"); a.status != 400 || a.reason() != "invalid" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if len(c.s.Keys()) != 0 {
		t.Error("damaged and stored")
	}
	c.insert("k", "hello")
	wantData(t, c.s, "k", "iello")
	flip("session.put")
	data := "hello" + bytesOf(2*granule)
	if a := c.put(c.start("k", `{"metadata": {}}`), span(0, len(data), len(data)), data); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantData(t, c.s, "k", "i"+data[1:])
}

// A body that nobody wanted is read all the same: the connection stays usable and the answer arrives.
func TestRefusedBodyIsRead(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	reused := 0
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused++
		}
	}}
	for range 3 {
		r := c.request("POST", uploads+"media&name=k&ifGenerationMatch=x", strings.Repeat("v", 8<<20))
		if a, err := c.send(r.WithContext(httptrace.WithClientTrace(t.Context(), trace))); err != nil || a.status != 400 {
			t.Errorf("%v %d %s", err, a.status, a.body)
		}
	}
	if reused != 2 {
		t.Errorf("the connection was used again %d times, want 2", reused)
	}
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
		c.insert("k"+strconv.Itoa(i), "v") // its name is in the body
	}
	for i, r := range seen {
		if r.Index != i+1 || r.Op != "objects.insert" || r.Key != "k"+strconv.Itoa(i) || r.Query.Get("uploadType") != "multipart" {
			t.Errorf("seen %+v", r)
		}
	}
	c.s.OnRequest(nil)
	session := c.start("a/b", "")
	c.put(session, span(0, 1, 1), "v")
	all := c.s.Requests()
	if last := all[len(all)-1]; len(all) != 5 || last.Op != "session.put" || last.Key != "a/b" || last.Header.Get("Content-Range") != "bytes 0-0/1" {
		t.Errorf("requests: %+v", all)
	}
	c.want(200, "GET", at("k0"), "")
	c.s.Reset()
	if c.s.Count("") != 0 || c.s.Received() != 0 || c.s.Sent() != 0 || len(c.s.Requests()) != 0 || len(c.s.Keys()) != 4 {
		t.Error("not reset, or too much of it")
	}
	c.s.OnRequest(func(r Request) Fault { return Fault{Reason: "index" + strconv.Itoa(r.Index)} })
	if a := c.do("GET", at("k"), ""); a.reason() != "index1" {
		t.Errorf("after Reset: %s", a.reason())
	}
}

func TestReplyIDs(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Now: func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }})
	seen := map[string]bool{}
	for i := range 5 {
		for _, target := range []string{at("none"), inBucket + "o", "/bucket/none", "/storage"} {
			a := c.do("GET", target, "")
			if id := a.header.Get("X-Guploader-Uploadid"); id == "" || seen[id] || a.header.Get("Date") != "Wed, 02 Jan 2030 03:04:05 GMT" {
				t.Errorf("%s: %q", target, a.header)
			} else {
				seen[id] = true
			}
		}
		if i == 2 {
			c.s.Reset()
		}
	}
}
