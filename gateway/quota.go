package gateway

import (
	"context"
	"sync"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

// A quota is of all that is in a user's mounts. It is counted once by listing them, before the first
// upload, and from then on kept here: what others put there meanwhile is found at the next count.

// counting are the counts that run, so that sessions of one user wait for one.
type counting struct {
	mu      sync.Mutex
	running map[string]chan struct{}
}

// usage is what the user of t has stored, counted; nil without a quota.
func (t *transfer) usage() (*limits.Usage, error) {
	if t.limits.Bytes == 0 && t.limits.Files == 0 {
		return nil, nil //nolint:nilnil // no quota is no error
	}
	return t.session.server.counted(t.ctx, t.user, t.mounts)
}

// counted returns what a user has stored, and counts it first if that is not known.
func (s *Server) counted(ctx context.Context, user string, mounts []mount) (*limits.Usage, error) {
	u := s.bounds.quotas.User(user)
	for !u.Known() {
		s.counting.mu.Lock()
		done, running := s.counting.running[user]
		if !running {
			done = make(chan struct{})
			s.counting.running[user] = done
		}
		s.counting.mu.Unlock()
		if running {
			select {
			case <-done:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		err := count(ctx, u, mounts)
		s.counting.mu.Lock()
		delete(s.counting.running, user)
		s.counting.mu.Unlock()
		close(done)
		if err != nil {
			return nil, err
		}
	}
	return u, nil
}

// count lists all mounts, folder by folder.
func count(ctx context.Context, u *limits.Usage, mounts []mount) error {
	c := u.BeginCount()
	var bytes, files int64
	for _, m := range mounts {
		for folders := []string{m.Prefix}; len(folders) > 0; {
			dir := folders[len(folders)-1]
			folders = folders[:len(folders)-1]
			for obj, err := range m.adapter.List(ctx, dir, backends.ListOptions{}) {
				switch {
				case backends.KindOf(err) == backends.NotExist && err != nil:
				case err != nil:
					return err
				case obj.Dir:
					folders = append(folders, obj.Key)
				default:
					bytes, files = bytes+obj.Size, files+1
				}
			}
		}
	}
	c.Finish(bytes, files)
	return nil
}

// reserve makes room for an upload in the quota of its user.
func (u *upload) reserve() error {
	usage, err := u.usage()
	if usage == nil || err != nil {
		return err
	}
	replaces := int64(-1)
	obj, err := u.adapter.Stat(u.ctx, u.key)
	switch {
	case err == nil && !obj.Dir:
		replaces = obj.Size
	case err != nil && backends.KindOf(err) != backends.NotExist:
		return err
	}
	l := u.limits
	u.room, err = usage.Begin(limits.Max{Bytes: l.Bytes, Files: l.Files}, replaces)
	if err == nil {
		// What is there of the new file already, and room for one byte, or it is refused before the first.
		err = u.room.Grow(max(u.options.Offset, 1))
	}
	if err != nil {
		u.settle(backends.Object{}, err)
		return overQuota(u.key, err)
	}
	u.reserved = max(u.options.Offset, 1)
	return nil
}

// grow reserves n bytes more as they come.
func (u *upload) grow(n int64) error {
	if u.room == nil {
		return nil
	}
	u.arrived += n
	if more := u.options.Offset + u.arrived - u.reserved; more > 0 {
		if err := u.room.Grow(more); err != nil {
			return overQuota(u.key, err)
		}
		u.reserved += more
	}
	return nil
}

// settle ends the reservation.
func (u *upload) settle(obj backends.Object, err error) {
	switch {
	case u.room == nil:
	case err == nil:
		u.room.Commit(obj.Size)
	default:
		u.room.Cancel()
	}
}

// Close also gives back what an upload has reserved that was never read: its data connection did not come
// about.
func (u *upload) Close() error {
	if u.room != nil {
		u.room.Cancel()
	}
	return u.handle.Close()
}

func overQuota(key string, err error) error {
	return &backends.Error{Op: "put", Key: key, Kind: backends.TooLarge, Err: err}
}

// freed notes that an object has gone, or been replaced, of so many bytes.
func (s *Session) freed(obj backends.Object, known bool) {
	if known && s.limited() {
		s.server.bounds.quotas.User(s.name).Remove(obj.Size)
	}
}

// before describes what is at t, if that is of interest for a quota.
func (s *Session) before(t target) (backends.Object, bool) {
	if !s.limited() || t.virtual {
		return backends.Object{}, false
	}
	obj, err := t.adapter.Stat(s.ctx, t.key)
	return obj, err == nil && !obj.Dir
}

// limited: the user has a quota.
func (s *Session) limited() bool {
	return s.account != nil && (s.account.Limits.Bytes > 0 || s.account.Limits.Files > 0)
}

// Recount forgets what users have stored, so that it is counted again.
func (s *Server) Recount(users []*auth.User) {
	for _, u := range users {
		s.bounds.quotas.Forget(u.Name)
	}
}
