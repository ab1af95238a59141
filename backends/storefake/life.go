package storefake

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// Listen makes h listen on a port of 127.0.0.1 until the test ends.
func Listen[R, F any](t testing.TB, f *Front[R, F], h http.Handler) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // nothing to gain on a loopback, and benchmarks should not measure it
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("storefake: %v", err)
	}
	f.url = "http://" + l.Addr().String()
	f.http.Handler = h
	f.running.Go(func() { _ = f.http.Serve(l) }) // always ErrServerClosed
	t.Cleanup(f.Close)
}

// URL is where the server listens, as http://127.0.0.1:port; "" if it does not.
func (h *host) URL() string { return h.url }

// Close ends the listener, every open connection and every stalled request, and waits for them.
func (h *host) Close() {
	h.lifeMu.Lock()
	first := !h.closed
	h.closed = true
	h.lifeMu.Unlock()
	if first {
		_ = h.http.Close() // first, so that who is woken has nobody to answer
		close(h.done)
	}
	h.running.Wait()
}

// enter counts a request as running, unless the server is closed.
func (h *host) enter() bool {
	h.lifeMu.Lock()
	defer h.lifeMu.Unlock()
	if !h.closed {
		h.running.Add(1)
	}
	return !h.closed
}
