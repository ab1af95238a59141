package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/audit"
	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
	"github.com/sluice-ftp/sluice/limits"
)

// app is a gateway that listens and is ready to run.
type app struct {
	log       *slog.Logger
	resources *resources
	listeners []listener
	server    server
	recounter *recounter
	health    *health
	systemd   *supervisor // nil in tests
	http      *httpServer // nil without a listener
	admin     *admin      // nil without a socket
	ending    atomic.Pointer[ending]
	draining  atomic.Bool // the delay before Shutdown included
}

// ending is how an app ends: for how long it says that it will, and for how long transfers may finish.
type ending struct{ delay, grace time.Duration }

// server is what an app needs of a gateway.Server.
type server interface {
	Serve(l net.Listener, implicit bool) error
	Shutdown(ctx context.Context) error
	Sessions() int
	Stats() gateway.Stats
	Refresh()
	SetPolicy(p gateway.Policy)
	Bans() []limits.Ban
	Unban(subject string) bool
	Usage(users []*auth.User) []gateway.Usage
	CountQuotas(ctx context.Context, users []*auth.User) error
}

// newApp opens everything that c names. The caller has to Close it.
func newApp(ctx context.Context, c *config, log *slog.Logger, level *slog.LevelVar) (*app, error) {
	limitMemory(log)
	systemd, err := newSupervisor(log)
	if err != nil {
		return nil, err
	}
	given, err := inheritedSockets()
	if err != nil {
		return nil, err
	}
	defer given.close()
	r, err := open(ctx, c, log)
	if err != nil {
		return nil, err
	}
	a := &app{log: log, resources: r, systemd: systemd}
	a.ending.Store(&ending{delay: time.Duration(c.DrainDelay), grace: time.Duration(c.ShutdownGrace)})
	o := c.options()
	o.Backends, o.Auth, o.Log, o.TLS.Certificates = r.observed(), r.authenticator(), log, r.certs
	if err := r.openAudit(c, log); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	o.Audit, o.Observer = r.audit, r.observer()
	if r.tracing != nil {
		o.Tracer = r.tracing
	}
	o.TLS.ClientCertificates = r.users.WithCertificates
	if err := a.listen(ctx, c, o, given); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	a.recounter = newRecounter(a.server, r.users.Users, time.Duration(c.Limits.QuotaRecount), log)
	if c.path != "" {
		r.sources = append([]*source{a.configuration(c, level)}, r.sources...)
	}
	r.sources = append(r.sources, a.recounter.source())
	a.health = newHealth(r.backends, log)
	a.measure()
	if a.http, err = serveHTTP(ctx, c, r, a.health, given, log); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if c.AdminSocket != "" {
		if a.admin, err = listenAdmin(ctx, c.AdminSocket, a.recounter, r.audit); err != nil {
			return nil, errors.Join(c.fault("admin_socket", err, ""), a.Close())
		}
	}
	r.announce(c, log)
	r.audit.Write(audit.Event{Event: audit.Operator, Detail: "start"})
	return a, nil
}

// listen opens the ports of sessions and of their data connections, all or none, and names all that are taken.
func (a *app) listen(ctx context.Context, c *config, o gateway.Options, from sockets) error {
	listeners, err := listen(ctx, c.Listen, from)
	server, passiveErr := gateway.New(o)
	if passiveErr != nil && errors.As(passiveErr, new(*net.OpError)) {
		passiveErr = hint{error: passiveErr, todo: mendListen("passive.ports", passiveErr)}
	}
	if err := errors.Join(err, passiveErr); err != nil {
		closeAll(listeners)
		if server != nil {
			err = errors.Join(err, server.Shutdown(ctx)) // which has no sessions to wait for
		}
		return err
	}
	a.listeners, a.server = listeners, server
	return nil
}

// Close frees what newApp opened.
func (a *app) Close() error {
	closeAll(a.listeners)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = a.server.Shutdown(ended) // it has been, unless it never served: then it holds the passive ports
	return errors.Join(a.admin.Close(), a.http.Close(), a.resources.Close())
}

// run serves until ctx ends or a signal asks for the end, and lets running transfers finish as long
// as the grace period lasts.
func (a *app) run(ctx context.Context, signals <-chan os.Signal) error {
	serving, failed := errgroup.WithContext(ctx)
	for _, l := range a.listeners {
		a.log.Info("listening", "address", l.Addr().String(), "implicit", l.implicit)
		serving.Go(func() error {
			if err := a.server.Serve(l.Listener, l.implicit); err != nil {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	watching, stop := context.WithCancel(ctx)
	forced := make(chan struct{}, 1)
	watched := a.watch(watching, forced)
	defer a.systemd.watchdog(func() { a.server.Stats() })() // whose locks every session needs
	a.health.serve(true)
	a.systemd.ready()
	a.await(failed, signals, forced)
	a.health.serve(false)
	a.draining.Store(true)
	end := *a.ending.Load()
	a.systemd.stopping(end.delay + end.grace)
	if !a.drainDelay(failed, signals, end.delay) {
		end.grace = 0
	}
	stop()
	a.shutdown(signals, end.grace)
	err := serving.Wait()
	select {
	case <-watched:
	case <-time.After(watchGrace):
		a.log.Warn("a file that is being read again does not answer; ending without it")
	}
	return err
}

// watchGrace is how long the end waits for a reload. A read from a dead file server or a FIFO cannot
// be cancelled, and must not keep the process.
const watchGrace = time.Second

// watch looks after files and memory until ctx ends; the channel is closed when that has come about.
func (a *app) watch(ctx context.Context, forced <-chan struct{}) <-chan struct{} {
	var g sync.WaitGroup
	g.Go(func() {
		r := &reloader{log: a.log, sources: a.resources.sources, refresh: a.server.Refresh, done: a.systemd.ready}
		if m := a.resources.metrics; m != nil {
			r.tell = m.Reloaded
		}
		r.watch(ctx, forced)
	})
	g.Go(func() { a.health.watch(ctx) })
	g.Go(func() { a.recounter.keep(ctx) })
	g.Go(func() { trimMemory(ctx, a.server.Sessions, a.resources.memory) })
	done := make(chan struct{})
	go func() {
		g.Wait()
		close(done)
	}()
	return done
}

// await returns when it is time to end.
func (a *app) await(ctx context.Context, signals <-chan os.Signal, forced chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s != syscall.SIGHUP {
				a.log.Info("shutting down", "signal", s.String(), "grace", a.ending.Load().grace.String())
				return
			}
			a.systemd.reloading()
			select {
			case forced <- struct{}{}:
			default: // the one that waits already stands for both
			}
		}
	}
}

// drainDelay gives those who ask for readiness the time to hear of it before sessions are turned away. It
// is false if someone does not want to wait.
func (a *app) drainDelay(failed context.Context, signals <-chan os.Signal, delay time.Duration) bool {
	t := time.NewTimer(delay)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case <-failed.Done():
			return true
		case s := <-signals:
			if s != syscall.SIGHUP {
				a.log.Warn("shutting down at once", "signal", s.String())
				return false
			}
		}
	}
}

// shutdown ends the sessions. A second signal is someone who does not want to wait.
func (a *app) shutdown(signals <-chan os.Signal, grace time.Duration) {
	// The context that run was given may be what ended.
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	done := make(chan error)
	go func() { done <- a.server.Shutdown(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				a.log.Warn("shut down with sessions cut off", "err", err)
				return
			}
			a.log.Info("shut down")
			return
		case s := <-signals:
			if s != syscall.SIGHUP {
				a.log.Warn("shutting down at once", "signal", s.String())
				cancel()
			}
		}
	}
}
