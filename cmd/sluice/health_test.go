package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/metrics"
)

func ask(h http.Handler, path string, change ...func(*http.Request)) (int, string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body) // from memory
	return w.Code, string(body)
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		lake := backendtest.Faulty(backendtest.Memory())
		h := newHealth(map[string]backends.CloudStorageAdapter{"disk": backendtest.Memory(), "lake": lake},
			slog.New(slog.NewTextHandler(&log, nil)))
		var mu sync.Mutex
		told := map[string]bool{}
		h.tell = func(name string, up bool) {
			mu.Lock()
			defer mu.Unlock()
			told[name] = up
		}
		want := func(when string, code int, text string) {
			t.Helper()
			synctest.Wait()
			if got, body := ask(h, "/readyz"); got != code || body != text {
				t.Errorf("%s: %d %q, want %d %q", when, got, body, code, text)
			}
		}
		if code, body := ask(h, "/readyz?stores=any"); code != 503 || !strings.Contains(body, "disk: not asked yet") {
			t.Errorf("before all: %d %q", code, body)
		}
		want("before all", 503, "not serving\nbackend disk: not asked yet\nbackend lake: not asked yet\n")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.watch(ctx); close(done) }()
		want("before it serves", 503, "not serving\n")
		h.serve(true)
		want("when it serves", 200, "ready\n")

		lake.SetHook(func(context.Context, string, string) error {
			return &backends.Error{Op: "stat", Kind: backends.Misconfigured, Err: errors.New("bucket secret-name is gone")}
		})
		<-time.After(healthInterval)
		want("a store that refuses", 503, "backend lake: "+backends.Misconfigured.String()+"\n")
		if code, body := ask(h, "/readyz?stores=any"); code != 200 || body != "ready\n" {
			t.Errorf("with one store of two: %d %q", code, body)
		}
		lake.SetHook(func(ctx context.Context, _, _ string) error { // a file server that hangs, whatever ctx says
			<-t.Context().Done()
			return ctx.Err()
		})
		<-time.After(healthInterval + healthAnswer)
		want("a store that hangs", 503, "backend lake: "+backends.KindOf(errors.New("")).String()+"\n")
		if told["lake"] || !told["disk"] {
			t.Errorf("told %v", told)
		}
		h.serve(false)
		if code, body := ask(h, "/readyz?stores=any"); code != 503 || body != "not serving\n" {
			t.Errorf("at the end, with one store of two: %d %q", code, body)
		}
		if _, body := ask(h, "/readyz"); !strings.HasPrefix(body, "not serving\n") {
			t.Errorf("at the end: %q", body)
		}
		cancel()
		<-done // also while a store hangs
		if n := strings.Count(log.String(), "the store does not answer"); n != 1 {
			t.Errorf("the log is %s", log.String())
		}
	})
}

// A store that answers again is said to, once.
func TestReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		store := backendtest.Faulty(backendtest.Memory())
		store.FailNext("stat", &backends.Error{Kind: backends.Unavailable})
		h := newHealth(map[string]backends.CloudStorageAdapter{"lake": store}, slog.New(slog.NewTextHandler(&log, nil)))
		h.serve(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.watch(ctx); close(done) }()
		<-time.After(3 * healthInterval)
		if code, body := ask(h, "/"); code != 200 {
			t.Errorf("%d %s", code, body)
		}
		cancel()
		<-done
		if !strings.Contains(log.String(), "answers again") || strings.Count(log.String(), "\n") != 2 {
			t.Errorf("the log is %s", log.String())
		}
	})
}

func TestRoutes(t *testing.T) {
	m := metrics.New(metrics.Options{Version: "v1"})
	h := newHealth(nil, slog.New(slog.DiscardHandler))
	h.serve(true)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "pass word\n")
	handler := func(c httpConfig) http.Handler {
		t.Helper()
		allowed, err := basicAuth(&config{HTTP: c})
		check0(t, err)
		return routes(m.Handler(), h, allowed, c.Pprof)
	}
	login := func(name, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, password) }
	}
	open := handler(httpConfig{})
	closed := handler(httpConfig{Username: "prom", PasswordFile: secret, Pprof: true})
	for name, test := range map[string]struct {
		handler http.Handler
		path    string
		change  []func(*http.Request)
		code    int
		text    string
	}{
		"metrics":            {open, "/metrics", nil, 200, `sluice_build_info{`},
		"alive":              {open, "/healthz", nil, 200, "ok\n"},
		"ready":              {open, "/readyz", nil, 200, "ready\n"},
		"no profiles":        {open, "/debug/pprof/", nil, 404, ""},
		"nothing else":       {open, "/", nil, 404, ""},
		"no password":        {closed, "/metrics", nil, 401, ""},
		"wrong password":     {closed, "/metrics", []func(*http.Request){login("prom", "pass")}, 401, ""},
		"wrong name":         {closed, "/metrics", []func(*http.Request){login("pro", "mpass word")}, 401, ""},
		"right password":     {closed, "/metrics", []func(*http.Request){login("prom", "pass word")}, 200, "sluice_"},
		"profiles":           {closed, "/debug/pprof/heap", []func(*http.Request){login("prom", "pass word")}, 200, ""},
		"profiles, closed":   {closed, "/debug/pprof/heap", nil, 401, ""},
		"alive for everyone": {closed, "/healthz", nil, 200, "ok\n"},
		"ready for everyone": {closed, "/readyz", nil, 200, "ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, body := ask(test.handler, test.path, test.change...); code != test.code || !strings.Contains(body, test.text) {
				t.Errorf("%d %.200q, want %d %q", code, body, test.code, test.text)
			}
		})
	}
	if _, err := basicAuth(&config{HTTP: httpConfig{Username: "x", PasswordFile: secret + "no"}}); err == nil {
		t.Error("no password file is no error")
	}
	write(t, secret, "\n")
	if _, err := basicAuth(&config{HTTP: httpConfig{Username: "x", PasswordFile: secret}}); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty password file: %v", err)
	}
}

// The delay after SIGTERM is one in which sessions are taken in and nobody is told to send them, and a second
// signal ends it.
func TestDrainDelay(t *testing.T) {
	for name, second := range map[string]bool{"waits": false, "does not want to wait": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &app{log: slog.New(slog.DiscardHandler)}
				signals := make(chan os.Signal)
				var ended atomic.Bool
				waited := false
				done := make(chan struct{})
				start := time.Now()
				go func() {
					waited = a.drainDelay(t.Context(), signals, time.Minute)
					ended.Store(true)
					close(done)
				}()
				synctest.Wait()
				if ended.Load() {
					t.Error("it did not wait")
				}
				if second {
					signals <- os.Interrupt
				}
				<-done
				if waited == second || (time.Since(start) < time.Minute) != second {
					t.Errorf("it is %v after %v", waited, time.Since(start))
				}
			})
		})
	}
}
