package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// manager is systemd as far as it listens.
type manager struct {
	mu   sync.Mutex
	told []string // the first lines
	last string   // the last line
	fail error
}

func (m *manager) hear(state string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := strings.Split(state, "\n")
	m.told, m.last = append(m.told, lines[0]), lines[len(lines)-1]
	return m.fail
}

func (m *manager) status() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

func (m *manager) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.told)
}

// supervised runs an app that m supervises, until script has come to its end.
func supervised(t *testing.T, m *manager, every time.Duration, script func(s *fakeServer, send func(os.Signal)), sources ...*source) (log string) {
	t.Helper()
	memory, err := pages.New(pages.MinBudget)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var buf lockedBuffer
		logger := slog.New(slog.NewTextHandler(&buf, nil))
		s := &fakeServer{down: make(chan struct{}), busy: make(chan struct{})}
		a := &app{
			log: logger, resources: &resources{memory: memory, sources: sources}, server: s,
			listeners: []listener{{fakeListener{}, false}},
			recounter: newRecounter(s, func() []*auth.User { return nil }, 0, logger),
			health:    newHealth(nil, logger),
			systemd:   &supervisor{log: logger, every: every, send: m.hear},
		}
		a.ending.Store(&ending{delay: 10 * time.Second, grace: time.Minute})
		signals := make(chan os.Signal)
		done := make(chan error)
		go func() { done <- a.run(context.Background(), signals) }()
		synctest.Wait()
		script(s, func(sig os.Signal) { signals <- sig; synctest.Wait() })
		if err := <-done; err != nil {
			t.Error(err)
		}
		log = buf.String()
	})
	return log
}

func TestSystemdIsTold(t *testing.T) {
	m := &manager{}
	users := newSource("users file")
	users.reload = func() error { return errors.New("no users") }
	supervised(t, m, 0, func(s *fakeServer, send func(os.Signal)) {
		if got := m.heard(); !slices.Equal(got, []string{"READY=1"}) {
			t.Errorf("after the start: %q", got)
		}
		send(syscall.SIGHUP)
		if got := m.status(); got != "STATUS=Serving; not reloaded, see the log: users file" {
			t.Errorf("after a reload that failed: %q", got)
		}
		close(s.busy)
		send(syscall.SIGTERM)
	}, users)
	want := []string{"READY=1", "RELOADING=1", "READY=1", "STOPPING=1"}
	if diff := cmp.Diff(want, m.heard()); diff != "" {
		t.Error(diff)
	}
}

// The unit need not know how long transfers may take to finish.
func TestSystemdGivesTheGrace(t *testing.T) {
	var state string
	s := &supervisor{send: func(text string) error { state = text; return nil }}
	s.stopping(70 * time.Second)
	found := regexp.MustCompile(`\nEXTEND_TIMEOUT_USEC=(\d+)\n`).FindStringSubmatch(state)
	if found == nil || len(found[1]) != 8 || found[1] < "70000000" {
		t.Errorf("%q asks for less than the 70 s of the grace", state)
	}
	s.reloading()
	if !regexp.MustCompile(`\nMONOTONIC_USEC=[1-9]\d+\n`).MatchString(state) {
		t.Errorf("%q does not say when", state)
	}
}

// The watchdog hears of a process that lives as long as there is one, and of one that hangs it does not.
func TestWatchdog(t *testing.T) {
	m := &manager{}
	supervised(t, m, 30*time.Second, func(s *fakeServer, send func(os.Signal)) {
		<-time.After(time.Minute)
		send(syscall.SIGTERM)
		<-time.After(40 * time.Second) // draining
		close(s.busy)
	})
	n := 0
	for _, state := range m.heard() {
		if state == "WATCHDOG=1" {
			n++
		}
	}
	if n < 9 {
		t.Errorf("%d signs of life in 100 s, with a watchdog of 30 s: %q", n, m.heard())
	}

	synctest.Test(t, func(t *testing.T) {
		m, hangs := &manager{}, make(chan struct{})
		w := &supervisor{every: 30 * time.Second, send: m.hear}
		stop := w.watchdog(func() { <-hangs })
		<-time.After(time.Minute)
		if got := m.heard(); len(got) > 0 {
			t.Errorf("a process that hangs says %q", got)
		}
		close(hangs)
		stop()
	})
}

func TestSystemdDoesNotHear(t *testing.T) {
	m := &manager{fail: errors.New("no such socket")}
	log := supervised(t, m, 0, func(s *fakeServer, send func(os.Signal)) {
		close(s.busy)
		send(syscall.SIGTERM)
	})
	if !strings.Contains(log, `msg="systemd was not told" err="no such socket"`) {
		t.Error(log)
	}
}

// Sockets that systemd opened come in the place of addresses, and only where there is one.
func TestListenOnSockets(t *testing.T) {
	open := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	first, second, other := open(), open(), open()
	given := sockets{"ftp": {first, second}, "http": {other}}
	ls, err := listen(t.Context(), listenConfig{FTP: "192.0.2.1:21"}, given)
	if err != nil || len(ls) != 2 || ls[0].Listener != first || ls[1].Listener != second {
		t.Fatalf("%v, %v", ls, err)
	}
	h, err := listenHTTP(t.Context(), "192.0.2.1:9090", given)
	if err != nil || h != other {
		t.Errorf("%v, %v", h, err)
	}
	if len(given) != 0 {
		t.Errorf("%d sockets are left over", len(given))
	}

	_, err = listen(t.Context(), listenConfig{FTP: "127.0.0.1:0"}, sockets{"ftps": {first}})
	if err == nil || !strings.Contains(err.Error(), "listen.ftps: off, but systemd hands over a socket for it") {
		t.Errorf("a socket for what is off: %v", err)
	}
	if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is open still: %v", err)
	}
}
