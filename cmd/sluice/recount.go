package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/gateway"
)

// recounter has what users with a quota have stored counted: at the start, now and then, after SIGHUP, and
// when the operator asks. It is the operated of a running gateway.
type recounter struct {
	server
	users func() []*auth.User
	log   *slog.Logger
	// every is the time between two counts; 0 is never.
	every time.Duration
	again chan struct{}
}

func newRecounter(s server, users func() []*auth.User, every time.Duration, log *slog.Logger) *recounter {
	return &recounter{server: s, users: users, log: log, every: every, again: make(chan struct{}, 1)}
}

// keep counts until ctx ends. A user who uploads before it is his turn is counted then.
func (r *recounter) keep(ctx context.Context) {
	var tick <-chan time.Time
	if r.every > 0 {
		t := time.NewTicker(r.every)
		defer t.Stop()
		tick = t.C
	}
	for {
		if err := r.CountQuotas(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("quotas not counted; users of whom nothing is known are counted when they upload", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-r.again:
		}
	}
}

// source has all counted anew at SIGHUP, without waiting for it.
func (r *recounter) source() *source {
	s := newSource("quotas")
	s.reload = func() error {
		select {
		case r.again <- struct{}{}:
		default: // the one that waits stands for both
		}
		return nil
	}
	s.report = func(log *slog.Logger) { log.Info("will be counted anew") }
	return s
}

func (r *recounter) Usage() []gateway.Usage { return r.server.Usage(r.users()) }

func (r *recounter) CountQuotas(ctx context.Context, names ...string) error {
	users := r.users()
	if len(names) > 0 {
		users = slices.DeleteFunc(slices.Clone(users), func(u *auth.User) bool { return !slices.Contains(names, u.Name) })
		for _, name := range names {
			i := slices.IndexFunc(users, func(u *auth.User) bool { return u.Name == name })
			if i < 0 || users[i].Limits.Bytes == 0 && users[i].Limits.Files == 0 {
				return fmt.Errorf("%q is not a user with a quota in the users file", name)
			}
		}
	}
	return r.server.CountQuotas(ctx, users)
}
