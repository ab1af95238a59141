package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// supervisor tells systemd how the gateway is: sd_notify(3), systemd.service(5) "Type=notify". Where systemd
// did not start it, there is nobody to tell.
type supervisor struct {
	log *slog.Logger
	// send is one message; nil is nobody.
	send func(state string) error
	// every is how often systemd wants to hear that the process lives; 0 is never.
	every time.Duration
}

func newSupervisor(log *slog.Logger) (*supervisor, error) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, hint{error: fmt.Errorf("watchdog: %w", err), todo: "correct WATCHDOG_USEC and WATCHDOG_PID in the environment, or unset them"}
	}
	return &supervisor{log: log, every: every, send: func(state string) error {
		_, err := daemon.SdNotify(false, state) // which says whether anyone is there
		return err
	}}, nil
}

func (s *supervisor) tell(state string) {
	if s == nil {
		return
	}
	if err := s.send(state); err != nil {
		s.log.Warn("systemd was not told", "err", err)
	}
}

// ready says that sessions are taken in: the end of the start, and of a reload, with what could not be read.
func (s *supervisor) ready(failed ...string) {
	status := "Serving"
	if len(failed) > 0 {
		status += "; not reloaded, see the log: " + strings.Join(failed, ", ")
	}
	s.tell(daemon.SdNotifyReady + "\nSTATUS=" + status)
}

// reloading says that files are being read again.
func (s *supervisor) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		now = unix.Timespec{} // systemd takes it for a message of long ago
	}
	s.tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d\nSTATUS=Reading files again", daemon.SdNotifyReloading, now.Nano()/1000))
}

// stopping says that no more sessions are taken in, and asks for the time that running transfers are given:
// the unit need not know it.
func (s *supervisor) stopping(grace time.Duration) {
	s.tell(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d\nSTATUS=Waiting for running transfers, for %s at most",
		daemon.SdNotifyStopping, (grace + exitGrace).Microseconds(), shortDuration(grace)))
}

// exitGrace is what the process takes to end once the sessions have: the record, spans, files on dead disks.
const exitGrace = closeGrace + watchGrace + httpGrace + 2*time.Second

// watchdog tells systemd that the process lives until stop is called. alive returns only if it does.
func (s *supervisor) watchdog(alive func()) (stop func()) {
	if s == nil || s.every == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	g.Go(func() {
		tick := time.NewTicker(s.every / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				alive()
				s.tell(daemon.SdNotifyWatchdog)
			}
		}
	})
	return func() { cancel(); g.Wait() }
}

// sockets are listeners that systemd has opened for the gateway, by what FileDescriptorName= calls them: ftp,
// ftps or http. They take the place of the addresses of listen. See systemd.socket(5).
type sockets map[string][]net.Listener

// socketNames are the names that a socket can have.
var socketNames = []string{"ftp", "ftps", "http"}

// inheritedSockets takes what systemd hands over. It works once in a process.
func inheritedSockets() (sockets, error) {
	all := sockets{}
	var errs []error
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f)
		_ = f.Close() // the listener has a copy
		name := f.Name()
		switch {
		case err != nil:
			errs = append(errs, hint{error: fmt.Errorf("the socket %q of systemd cannot be listened on: %w", name, err), todo: "its unit needs ListenStream= with a port"})
			continue
		case !slices.Contains(socketNames, name):
			errs = append(errs, hint{
				error: fmt.Errorf("the socket %q of systemd is for nothing here", name),
				todo:  "set FileDescriptorName= in its unit to one of " + strings.Join(socketNames, ", "),
			})
		case name == "http" && len(all[name]) > 0:
			errs = append(errs, errors.New("systemd hands over two sockets for http; there can be one"))
		}
		all[name] = append(all[name], l)
	}
	if len(errs) > 0 {
		all.close()
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// close closes those that nobody has taken.
func (s sockets) close() {
	for _, ls := range s {
		for _, l := range ls {
			_ = l.Close()
		}
	}
}

// take returns those of a name, which are the caller's from then on.
func (s sockets) take(name string) []net.Listener {
	ls := s[name]
	delete(s, name)
	return ls
}
