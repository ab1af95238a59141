package gcsfake

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// breakOff sends a part of a chunk and hangs up when want bytes have arrived.
func (c *client) breakOff(session, span string, length int, sent string, arrived func() bool) {
	c.t.Helper()
	pr, pw := io.Pipe()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	r := c.request("PUT", session, "", "Content-Range", span).WithContext(ctx)
	r.Body, r.ContentLength = pr, int64(length)
	if length < 0 {
		r.Header.Del("Content-Range")
	}
	gone := make(chan error)
	go func() {
		_, err := c.send(r)
		gone <- err
	}()
	if _, err := io.WriteString(pw, sent); err != nil {
		c.t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !arrived(); runtime.Gosched() {
		if time.Now().After(deadline) {
			c.t.Error("nothing has arrived")
			break
		}
	}
	cancel()
	pw.CloseWithError(context.Canceled)
	if err := <-gone; !errors.Is(err, context.Canceled) {
		c.t.Errorf("the client's end: %v", err)
	}
}

// settled waits until nobody holds the session, and returns how much of it is there.
func (c *client) settled(session string) string {
	c.t.Helper()
	a := c.put(session, "bytes */9999999", "") // waits for its turn
	return strconv.Itoa(a.status) + " " + a.header.Get("Range")
}

func TestSessionBreaksOff(t *testing.T) {
	t.Parallel()
	for _, discard := range []bool{false, true} {
		c := newClient(t, Options{Discard: discard})
		data := bytesOf(5*granule + 5)
		session := c.start("k", "")
		size := func(n int64) func() bool {
			return func() bool { return slices.ContainsFunc(c.s.Sessions(), func(u Session) bool { return u.Size == n }) }
		}
		c.breakOff(session, span(0, 3*granule, -1), 3*granule, data[:granule+100], size(granule))
		if got := c.settled(session); got != "308 bytes=0-262143" {
			t.Errorf("a granule and a bit: %s", got)
		}
		c.breakOff(session, "", -1, data[:2*granule+100], size(2*granule))
		if got := c.settled(session); got != "308 bytes=0-524287" {
			t.Errorf("of no known length: %s", got)
		}
		if a := c.put(session, span(2*granule, len(data)-2*granule, len(data)), data[2*granule:]); a.status != 400 {
			t.Errorf("unlike the total: %d", a.status)
		}
		session = c.start("k", "")
		c.breakOff(session, span(0, len(data), len(data)), len(data), data[:len(data)-1], size(5*granule))
		if a := c.put(session, span(5*granule, 5, len(data)), data[5*granule:]); a.status != 200 || a.field("crc32c") != crcOf(data) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestSessionPersistsNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Quirks: Quirks{PersistNothing: true}})
	data := bytesOf(3*granule + 5)
	session := c.start("k", "")
	c.put(session, span(0, granule, -1), data[:granule])
	c.breakOff(session, span(granule, 2*granule+5, len(data)), 2*granule+5, data[granule:3*granule+1], func() bool { return true })
	if got := c.ask(session); got != "308 bytes=0-262143" {
		t.Errorf("afterwards %s", got)
	}
	if a := c.put(session, span(0, len(data), len(data)), data); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantData(t, c.s, "k", data)
}

// Of two that bring the same bytes one after the other, both see what the first has done.
func TestSessionSerialised(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for range 5 {
		session := c.start("k", "")
		data := bytesOf(4 * granule)
		var wg sync.WaitGroup
		results := make([]answered, 4)
		for i := range results {
			wg.Go(func() {
				body := data
				if i > 0 {
					body = strings.Repeat(strconv.Itoa(i), len(data))
				}
				results[i], _ = c.send(c.request("PUT", session, body, "Content-Range", span(0, len(body), -1)))
			})
		}
		wg.Wait()
		for _, a := range results {
			if a.status != 308 || a.header.Get("Range") != "bytes=0-1048575" {
				t.Errorf("%d %q %s", a.status, a.header, a.body)
			}
		}
		a := c.put(session, "bytes */1048576", "")
		o, _ := c.s.Object("k")
		if got := string(o.Data); a.status != 200 || got != data && strings.Trim(got, got[:1]) != "" {
			t.Errorf("mixed: %d, %d bytes", a.status, len(got))
		}
	}
	if n := c.s.Received(); n != 5*4*granule {
		t.Errorf("received %d", n)
	}
}

// Who brings bytes holds up nobody who only asks, and loses the session to who cancels it.
func TestSessionWhileBusy(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	session := c.start("k", "")
	data := bytesOf(3 * granule)
	pr, pw := io.Pipe()
	r := c.request("PUT", session, "", "Content-Range", span(0, len(data), -1))
	r.Body, r.ContentLength = pr, int64(len(data))
	put := make(chan answered)
	go func() {
		a, _ := c.send(r)
		put <- a
	}()
	if _, err := io.WriteString(pw, data[:granule+1]); err != nil {
		t.Fatal(err)
	}
	for c.ask(session) != "308 bytes=0-262143" {
		runtime.Gosched()
	}
	c.refused(499, "clientClosedRequest", "DELETE", session, "")
	if _, err := io.WriteString(pw, data[granule+1:]); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-put; a.status != 499 || c.s.Received() != granule {
		t.Errorf("%d %s, received %d", a.status, a.body, c.s.Received())
	}
}

// A session that somebody else uses does not hold up Close.
func TestCloseEndsTurns(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	session := c.start("k", "")
	turn := c.s.sessions[c.s.Sessions()[0].ID].turn
	gone := make(chan error, 2)
	pr, pw := io.Pipe()
	defer pw.Close()
	for i := range 2 {
		r := c.request("PUT", session, "", "Content-Range", span(0, granule, -1))
		r.Body, r.ContentLength = pr, granule
		if i == 1 {
			r = c.request("PUT", session, bytesOf(granule), "Content-Range", span(0, granule, -1))
		}
		go func() {
			_, err := c.send(r)
			gone <- err
		}()
		for c.s.Count("session.put") <= i || len(turn) == 0 {
			runtime.Gosched()
		}
	}
	c.s.Close() // returns only when both requests have
	_ = pw.Close()
	// The connection of the other may be closed a moment later, when it has had its turn.
	if first, second := <-gone, <-gone; first == nil && second == nil {
		t.Error("answered by a closed server")
	}
}
