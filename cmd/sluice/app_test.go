package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/limits"
)

// fakeServer serves until it is shut down, and then as long as busy is open.
type fakeServer struct {
	sources []*source
	fail    error
	busy    chan struct{}
	down    chan struct{}
}

func (s *fakeServer) Serve(net.Listener, bool) error {
	if s.fail != nil {
		return s.fail
	}
	<-s.down
	return nil
}

func (s *fakeServer) Sessions() int                      { return 0 }
func (s *fakeServer) Stats() gateway.Stats               { return gateway.Stats{} }
func (s *fakeServer) SetPolicy(gateway.Policy)           {}
func (s *fakeServer) Refresh()                           {}
func (s *fakeServer) Bans() []limits.Ban                 { return nil }
func (s *fakeServer) Unban(string) bool                  { return false }
func (s *fakeServer) Usage([]*auth.User) []gateway.Usage { return nil }

func (s *fakeServer) CountQuotas(context.Context, []*auth.User) error { return nil }

func (s *fakeServer) Shutdown(ctx context.Context) error {
	close(s.down)
	select {
	case <-s.busy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type fakeListener struct{ net.Listener }

func (fakeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 21} }

// runApp runs an app with s within a bubble, and hands script its signals.
func runApp(t *testing.T, s *fakeServer, script func(send func(os.Signal), cancel func(), ended func() bool)) (log string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.down, s.busy = make(chan struct{}), make(chan struct{})
		var buf lockedBuffer
		a := &app{
			log:       slog.New(slog.NewTextHandler(&buf, nil)),
			resources: &resources{sources: s.sources},
			listeners: []listener{{fakeListener{}, false}, {fakeListener{}, true}},
			server:    s,
			recounter: newRecounter(s, func() []*auth.User { return nil }, 0, slog.New(slog.DiscardHandler)),
			health:    newHealth(nil, slog.New(slog.DiscardHandler)),
		}
		a.ending.Store(&ending{grace: time.Minute})
		signals := make(chan os.Signal)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			err = a.run(ctx, signals)
			close(done)
		}()
		synctest.Wait()
		script(func(sig os.Signal) { signals <- sig; synctest.Wait() }, cancel, func() bool {
			synctest.Wait()
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
		cancel()
		<-done
		log = buf.String()
	})
	return log, err
}

func TestRunSignals(t *testing.T) {
	for name, c := range map[string]struct {
		script func(t *testing.T, s *fakeServer, send func(os.Signal), cancel func(), ended func() bool)
		log    string
	}{
		"the sessions end": {func(t *testing.T, s *fakeServer, send func(os.Signal), _ func(), ended func() bool) {
			send(syscall.SIGTERM)
			if ended() {
				t.Error("it did not wait for the sessions")
			}
			close(s.busy)
			if !ended() {
				t.Error("it did not end with the sessions")
			}
		}, `msg="shut down"`},
		"the grace period ends": {func(t *testing.T, _ *fakeServer, send func(os.Signal), _ func(), ended func() bool) {
			send(syscall.SIGINT)
			<-time.After(time.Minute - 1)
			if ended() {
				t.Error("it ended before the grace period")
			}
			<-time.After(1)
			if !ended() {
				t.Error("it did not end with the grace period")
			}
		}, "sessions cut off"},
		"a second signal": {func(t *testing.T, _ *fakeServer, send func(os.Signal), _ func(), ended func() bool) {
			send(syscall.SIGTERM)
			send(syscall.SIGHUP)
			if ended() {
				t.Error("SIGHUP ended it")
			}
			send(syscall.SIGTERM)
			if !ended() {
				t.Error("the second signal did not end it")
			}
		}, "sessions cut off"},
		"the context ends": {func(t *testing.T, s *fakeServer, _ func(os.Signal), cancel func(), ended func() bool) {
			cancel()
			if ended() {
				t.Error("it did not wait for the sessions")
			}
			close(s.busy)
		}, `msg="shut down"`},
		"reload": {func(t *testing.T, s *fakeServer, send func(os.Signal), _ func(), ended func() bool) {
			send(syscall.SIGHUP)
			send(syscall.SIGHUP)
			if ended() {
				t.Error("SIGHUP ended it")
			}
			close(s.busy)
		}, `msg="shut down"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &fakeServer{}
			log, err := runApp(t, s, func(send func(os.Signal), cancel func(), ended func() bool) {
				c.script(t, s, send, cancel, ended)
			})
			if err != nil || !strings.Contains(log, c.log) || !strings.Contains(log, "msg=listening address=127.0.0.1:21 implicit=true") {
				t.Error(err, log)
			}
		})
	}
}

// A reload that hangs in a dead file server keeps neither signals nor the end.
func TestRunReloadStuck(t *testing.T) {
	stuck := newSource("users file")
	s := &fakeServer{sources: []*source{stuck}}
	log, err := runApp(t, s, func(send func(os.Signal), _ func(), ended func() bool) {
		release := make(chan struct{})
		stuck.reload = func() error { <-release; return nil }
		for range 3 {
			send(syscall.SIGHUP)
		}
		close(s.busy)
		send(syscall.SIGTERM)
		if ended() {
			t.Error("it did not give the reload a moment")
		}
		<-time.After(watchGrace)
		if !ended() {
			t.Error("it waits for the reload")
		}
		close(release)
	})
	if err != nil || !strings.Contains(log, `msg="shut down"`) || !strings.Contains(log, "does not answer") {
		t.Error(err, log)
	}
}

// Signals during a reload are one more reload after it.
func TestRunReloadDuringReload(t *testing.T) {
	slow := newSource("users file")
	s := &fakeServer{sources: []*source{slow}}
	_, err := runApp(t, s, func(send func(os.Signal), _ func(), _ func() bool) {
		release := make(chan struct{})
		var reloads atomic.Int64
		slow.reload = func() error { reloads.Add(1); <-release; return nil }
		for range 3 {
			send(syscall.SIGHUP)
		}
		close(release)
		synctest.Wait()
		if n := reloads.Load(); n != 2 {
			t.Errorf("%d reloads, want 2", n)
		}
		close(s.busy)
	})
	if err != nil {
		t.Error(err)
	}
}

// A listener that fails ends the other one, too.
func TestRunServeFails(t *testing.T) {
	fault := errors.New("no more")
	s := &fakeServer{fail: fault}
	_, err := runApp(t, s, func(func(os.Signal), func(), func() bool) { close(s.busy) })
	if !errors.Is(err, fault) || !strings.Contains(err.Error(), "serve 127.0.0.1:21: no more") {
		t.Error(err)
	}
}

// A port that is taken is named, with what to do, and the listener that did open is closed again.
func TestListenErrors(t *testing.T) {
	defer goleak.VerifyNone(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	_, err = listen(t.Context(), listenConfig{FTP: addr, FTPS: taken.Addr().String()}, nil)
	var text strings.Builder
	report(&text, err)
	want := "sluice: listen.ftps: listen tcp " + taken.Addr().String() + ": bind: address already in use\n" +
		"sluice: another program listens there: end it, or choose another port in listen.ftps\n"
	if text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Error("the other listener stayed open:", err)
	} else {
		_ = again.Close()
	}
	_, err = listen(t.Context(), listenConfig{FTP: "192.0.2.1:2121", FTPS: ""}, nil)
	if text.Reset(); report(&text, err) != exitFailure || !strings.Contains(text.String(), "no network interface has this address") {
		t.Error(text.String())
	}
	if m := mendListen("listen.ftp", os.NewSyscallError("bind", syscall.EACCES)); !strings.Contains(m, "below 1024") {
		t.Error(m)
	}
}

// open reports everything and leaves nothing open.
func TestOpenClosesAfterError(t *testing.T) {
	dir := t.TempDir()
	c := defaultConfig()
	c.TLS.Mode = "off"
	c.UsersFile = filepath.Join(dir, "users.yaml")
	c.stores["a"] = &localStore{Root: dir}
	c.stores["b"] = &localStore{Root: filepath.Join(dir, "missing")}
	before := openFiles(t)
	_, err := open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "backends.b.root: ") || !strings.Contains(err.Error(), "users_file: ") {
		t.Error(err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(fds)
}
