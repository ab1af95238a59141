package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

// A quota is of all that is in a user's mounts. That is counted by listing them, and from then on kept
// here: what others put there meanwhile is found at the next count.

// Usage is what a user with a quota has stored.
type Usage struct {
	User         string
	Bytes, Files int64
	// MaxBytes and MaxFiles are the quota; 0 is no bound.
	MaxBytes, MaxFiles int64
	// Counted is when the store was last asked; the zero time is never.
	Counted time.Time
}

// Usage returns what those of users who have a quota have stored, as far as it is known.
func (s *Server) Usage(users []*auth.User) []Usage {
	var all []Usage
	for _, u := range users {
		if !hasQuota(u.Limits) {
			continue
		}
		stored := s.bounds.quotas.User(u.Name)
		one := Usage{User: u.Name, MaxBytes: u.Limits.Bytes, MaxFiles: u.Limits.Files, Counted: stored.Counted()}
		one.Bytes, one.Files = stored.Get()
		all = append(all, one)
	}
	return all
}

// countsAtOnce is how many users are counted at the same time: the stores have partners to serve.
const countsAtOnce = 4

// CountQuotas asks the stores what those of users who have a quota have stored, whatever is known already.
// What fails for one user does not keep it from the others; all of it is in the error.
func (s *Server) CountQuotas(ctx context.Context, users []*auth.User) error {
	var counts errgroup.Group
	counts.SetLimit(countsAtOnce)
	errs := make([]error, len(users))
	for i, u := range users {
		if !hasQuota(u.Limits) {
			continue
		}
		counts.Go(func() error {
			mounts, err := s.mountsOf(u)
			if err == nil {
				_, err = s.count(ctx, u.Name, mounts, func() bool { return true })
			}
			if err != nil {
				errs[i] = fmt.Errorf("gateway: count what %q has stored: %w", u.Name, err)
			}
			return nil
		})
	}
	_ = counts.Wait() // they are in errs
	return errors.Join(errs...)
}

// counted returns what a user has stored, and counts it first if that is not known of these mounts.
func (s *Server) counted(ctx context.Context, user string, mounts []mount) (*limits.Usage, error) {
	where := placesOf(mounts)
	return s.count(ctx, user, mounts, func() bool { return !s.counting.known(user, where) })
}

// count counts what a user has stored if needed says so, also once others who count have finished.
func (s *Server) count(ctx context.Context, user string, mounts []mount, needed func() bool) (*limits.Usage, error) {
	u := s.bounds.quotas.User(user)
	if !needed() {
		return u, nil
	}
	unlock, err := s.counting.lock(ctx, user)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !needed() {
		return u, nil
	}
	s.dropGone(ctx, u, user)
	start := time.Now()
	err = list(ctx, u, mounts)
	s.counting.note(user, placesOf(mounts), time.Since(start), err == nil)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// revise looks after what may be wrong with what is known of a user's usage, before anything is refused for
// it: kept uploads that have gone, and what was counted too high. It reports whether it is worth another
// try. A count that took long is not repeated soon: those who are refused may come again and again.
func (s *Server) revise(ctx context.Context, u *limits.Usage, user string, mounts []mount) bool {
	due := func() bool { return (u.Doubtful() || len(u.Kept()) > 0) && s.counting.due(user) }
	if !due() {
		return false
	}
	if !u.Doubtful() {
		start := time.Now()
		better := s.dropGone(ctx, u, user)
		s.counting.note(user, nil, time.Since(start), false)
		return better
	}
	if _, err := s.count(ctx, user, mounts, due); err != nil {
		s.opts.Log.Warn("not counted", "user", user, "err", err)
		return false
	}
	return true
}

// mostGone bounds how many stores are asked for at once; the next time it is others' turn.
const mostGone = 100

// dropGone drops what was kept of uploads and is not any more, and reports whether there was any.
func (s *Server) dropGone(ctx context.Context, u *limits.Usage, user string) (dropped bool) {
	kept := u.Kept()
	rand.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] })
	for _, place := range kept[:min(len(kept), mostGone)] {
		if s.gone(ctx, place, user) {
			u.Drop(place)
			dropped = true
		}
	}
	return dropped
}

// gone reports whether nothing is kept at a place of a user's upload any more. What a newer object hides is
// there still, and takes room: it is dropped for good.
func (s *Server) gone(ctx context.Context, place, user string) bool {
	backend, key, _ := strings.Cut(place, "/")
	store, ok := s.opts.Backends[backend]
	if !ok {
		return true
	}
	_, err := store.Pending(ctx, key, user)
	return err != nil && backends.KindOf(err) == backends.NotExist && store.Discard(ctx, key, user) == nil
}

// forgetQuota is for users without one: what they store is not counted, so nothing that was is true.
func (s *Server) forgetQuota(u *auth.User) {
	if !hasQuota(u.Limits) {
		s.counting.forget(u.Name)
	}
}

// counting are the counts that run, one of each user at most, and the last ones that have finished.
type counting struct {
	mu      sync.Mutex
	running map[string]chan struct{}
	last    map[string]counted
	// age is how old a count may be before an upload; 0 is any.
	age time.Duration
}

// counted is what was counted, and when that was last tried.
type counted struct {
	where []place // nil: never to its end
	done  time.Time
	at    time.Time
	took  time.Duration
}

// place is where a mount stores.
type place struct{ backend, prefix string }

func placesOf(mounts []mount) []place {
	places := make([]place, len(mounts))
	for i, m := range mounts {
		places[i] = place{m.Backend, m.Prefix}
	}
	return places
}

func newCounting(age time.Duration) counting {
	return counting{running: map[string]chan struct{}{}, last: map[string]counted{}, age: age}
}

// lock waits until no other count of a user runs.
func (c *counting) lock(ctx context.Context, user string) (unlock func(), err error) {
	for {
		c.mu.Lock()
		other, running := c.running[user]
		if !running {
			done := make(chan struct{})
			c.running[user] = done
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.running, user)
				c.mu.Unlock()
				close(done)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (c *counting) known(user string, where []place) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last[user]
	return last.where != nil && slices.Equal(last.where, where) && (c.age == 0 || time.Since(last.done) < c.age)
}

// due reports whether the last count of a user is long enough ago for another one to cost little beside it.
func (c *counting) due(user string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last[user]
	return time.Since(last.at) > 20*last.took
}

// note keeps in mind that stores were asked for a user's sake, and if it was done, what was counted.
func (c *counting) note(user string, where []place, took time.Duration, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last[user]
	if last.at, last.took = time.Now(), took; done {
		last.where, last.done = where, last.at
	}
	c.last[user] = last
}

func (c *counting) forget(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, user)
}

// listTries is how often a first count is tried that a rename makes worthless.
const listTries = 3

var errMoving = errors.New("files were renamed all the time while they were counted")

// list asks the stores what there is in all mounts.
func list(ctx context.Context, u *limits.Usage, mounts []mount) error {
	for range listTries {
		c := u.BeginCount()
		bytes, files, err := sum(ctx, mounts)
		if err != nil {
			return err
		}
		if c.Finish(bytes, files) {
			return nil
		}
	}
	return &backends.Error{Op: "count", Kind: backends.Busy, Temporary: true, Err: errMoving}
}

// sum adds up what there is in all mounts, folder by folder.
func sum(ctx context.Context, mounts []mount) (bytes, files int64, err error) {
	for _, m := range mounts {
		for folders := []string{m.Prefix}; len(folders) > 0; {
			dir := folders[len(folders)-1]
			folders = folders[:len(folders)-1]
			for obj, err := range m.adapter.List(ctx, dir, backends.ListOptions{}) {
				switch {
				case backends.KindOf(err) == backends.NotExist && err != nil:
				case err != nil:
					return 0, 0, err
				case obj.Dir:
					folders = append(folders, obj.Key)
				default:
					bytes, files = bytes+obj.Size, files+1
				}
			}
		}
	}
	return bytes, files, nil
}
