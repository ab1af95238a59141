package gcsfake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// once is a fault function for the next request only.
func once(s *Server, f Fault) {
	s.OnRequest(func(Request) Fault {
		s.OnRequest(nil)
		return f
	})
}

var mediaOfK = uploads + "media&name=k"

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

func TestFaultConnection(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	session := c.start("k", "")
	for i, target := range []string{mediaOfK, session} {
		c.s.Remove("k")
		put := func(f Fault) {
			t.Helper()
			once(c.s, f)
			if a, err := c.send(c.request("POST", target, "v")); err == nil {
				t.Errorf("%+v: answered %d", f, a.status)
			}
		}
		put(Fault{Before: true})
		if len(c.s.Keys()) != 0 {
			t.Error("closed before and stored")
		}
		put(Fault{After: true})
		wantData(t, c.s, "k", "v")
		if op := []string{"objects.insert", "session.put"}[i]; c.s.Count(op) != 2 {
			t.Errorf("%d requests, want 2: somebody repeats them", c.s.Count(op))
		}
	}
	if a := c.put(session, "bytes */*", ""); a.status != 200 {
		t.Errorf("the lost answer: %d", a.status)
	}
}

func TestFaultCutBody(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	data := strings.Repeat("0123456789", 100000)
	c.s.Put("k", []byte(data), nil)
	for _, n := range []int{1, 999, 999999} {
		once(c.s, Fault{CutBody: int64(n)})
		a, err := c.send(c.request("GET", at("k")+"?alt=media", ""))
		if !errors.Is(err, io.ErrUnexpectedEOF) || a.body != data[:n] || a.header.Get("Content-Length") != "1000000" {
			t.Errorf("cut at %d: %d bytes, %v", n, len(a.body), err)
		}
	}
	if c.s.Sent() != 1+999+999999 {
		t.Errorf("sent %d", c.s.Sent())
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
	if a := c.put(c.start("k", `{"metadata": {}}`), span(0, 5, 5), "hello"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantData(t, c.s, "k", "iello")
}

func TestFaultStall(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	release, stalled := make(chan struct{}), make(chan struct{})
	c.s.OnRequest(func(r Request) Fault {
		if r.Op != "objects.insert" {
			return Fault{}
		}
		close(stalled)
		return Fault{Stall: release}
	})
	put := make(chan answered)
	go func() {
		a, _ := c.send(c.request("POST", mediaOfK, "v"))
		put <- a
	}()
	<-stalled
	c.want(404, "GET", at("k"), "") // others go on
	close(release)
	if a := <-put; a.status != 200 {
		t.Errorf("released: %d", a.status)
	}
	wantData(t, c.s, "k", "v")
}

func TestFaultStallEnds(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	stalled := make(chan struct{}, 2)
	c.s.OnRequest(func(Request) Fault {
		stalled <- struct{}{}
		return Fault{Stall: make(chan struct{})}
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := c.send(c.request("GET", at("k"), "").WithContext(ctx))
		gone <- err
	}()
	<-stalled
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the client's end: %v", err)
	}
	go func() {
		_, err := c.send(c.request("GET", at("k"), ""))
		gone <- err
	}()
	<-stalled
	c.s.Close() // returns only when both requests have
	if err := <-gone; err == nil {
		t.Error("answered by a closed server")
	}
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Error("served by a closed server")
		}
	}()
	c.s.ServeHTTP(httptest.NewRecorder(), c.request("GET", at("k"), ""))
}

func TestFaultStallBody(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	data := strings.Repeat("0123456789", 1000)
	c.s.Put("k", []byte(data), nil)
	release := make(chan struct{})
	once(c.s, Fault{StallBody: release})
	resp, err := c.http.Do(c.request("GET", "/bucket/k", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	half := make([]byte, len(data)/2)
	if _, err := io.ReadFull(resp.Body, half); err != nil {
		t.Fatal(err)
	}
	close(release)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(half)+string(rest) != data {
		t.Errorf("%d and %d bytes: %v", len(half), len(rest), err)
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

func TestLatency(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Latency: 50 * time.Millisecond})
	begun := time.Now()
	c.insert("k", "v")
	if took := time.Since(begun); took < 50*time.Millisecond {
		t.Errorf("took %v", took)
	}
	// The effect is there before the reply.
	once(c.s, Fault{Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.send(c.request("DELETE", at("k"), "").WithContext(ctx))
		done <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); len(c.s.Keys()) > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("no effect")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Rate: 100000})
	data := strings.Repeat("0123456789", 3000)
	for _, put := range []func(){
		func() { c.want(200, "POST", mediaOfK, data) },
		func() { c.want(200, "PUT", c.start("k", ""), data) },
		func() { c.want(200, "GET", "/bucket/k", "") },
	} {
		begun := time.Now()
		put()
		if took := time.Since(begun); took < 280*time.Millisecond {
			t.Errorf("30 kB at 100 kB/s in %v", took)
		}
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
