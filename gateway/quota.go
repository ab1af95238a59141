package gateway

import (
	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/limits"
)

// usage is what the user of t has stored, counted; nil without a quota.
func (t *transfer) usage() (*limits.Usage, error) {
	if !hasQuota(t.limits) {
		return nil, nil //nolint:nilnil // no quota is no error
	}
	return t.session.server.counted(t.ctx, t.user, t.mounts)
}

func hasQuota(l auth.Limits) bool { return l.Bytes > 0 || l.Files > 0 }

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
	obj, err := t.adapter.Stat(s.work(), t.key)
	return obj, err == nil && !obj.Dir
}

// limited: the user has a quota.
func (s *Session) limited() bool { return s.account != nil && hasQuota(s.account.Limits) }
