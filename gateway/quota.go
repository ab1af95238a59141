package gateway

import (
	"errors"

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

// reserve makes room for an upload in the quota of its user. Before it is refused what is known is
// looked after, where it may be wrong.
func (u *upload) reserve() error {
	usage, err := u.usage()
	if usage == nil || err != nil {
		return err
	}
	err = u.take(usage)
	if errors.Is(err, limits.ErrQuota) && u.session.server.revise(u.ctx, usage, u.user, u.mounts) {
		err = u.take(usage)
	}
	if errors.Is(err, limits.ErrQuota) {
		return overQuota(u.key, err)
	}
	return err
}

// take reserves what the upload needs from the start: what is there of the new file already, what is kept of
// one to that name, which stays until this one has been published or kept itself, and room for one byte, or
// it would be refused after the first.
func (u *upload) take(usage *limits.Usage) error {
	touch := usage.Touch(u.place())
	replaces := int64(-1)
	obj, err := u.adapter.Stat(u.ctx, u.key)
	switch {
	case err == nil && !obj.Dir:
		replaces = obj.Size
	case err != nil && backends.KindOf(err) != backends.NotExist:
		touch.End()
		return err
	}
	u.wasKept = usage.Drop(u.place())
	u.reserved = max(u.options.Offset, u.wasKept, 1)
	room, err := touch.Begin(limits.Max{Bytes: u.limits.Bytes, Files: u.limits.Files}, replaces)
	if err == nil {
		if err = room.Grow(u.reserved); err == nil {
			u.room, u.stored = room, usage
			return nil
		}
		room.Cancel()
	}
	touch.End()
	if u.wasKept > 0 {
		usage.Keep(u.place(), u.wasKept)
	}
	return err
}

// place is where a target is, for a quota that is of all backends.
func (t target) place() string { return t.Backend + "/" + t.key }

// grow reserves n bytes more as they come.
func (u *upload) grow(n int64) error {
	if u.room == nil {
		return nil
	}
	u.arrived += n
	if more := u.options.Offset + u.arrived - u.reserved; more > 0 {
		err := u.room.Grow(more)
		if errors.Is(err, limits.ErrQuota) && u.session.server.revise(u.ctx, u.stored, u.user, u.mounts) {
			err = u.room.Grow(more)
		}
		if err != nil {
			return overQuota(u.key, err)
		}
		u.reserved += more
	}
	return nil
}

// settle ends the reservation. What is kept of an upload that broke off takes room, too.
func (u *upload) settle(obj backends.Object, err error) {
	switch {
	case u.room == nil:
	case err == nil:
		u.room.Commit(obj.Size)
		// What was kept of another upload to that name may be there still, where nobody sees it any more.
		if u.wasKept > 0 && u.options.Continue == "" && !u.session.forget(u.target) {
			u.stored.Keep(u.place(), u.wasKept)
		}
	default:
		// Where this one keeps nothing, what was kept before may be there still; revise finds out.
		if size := max(obj.Size, u.wasKept); size > 0 {
			u.stored.Keep(u.place(), size)
		}
		u.room.Cancel()
	}
	u.room = nil
}

// Close also gives back what an upload has reserved that was never read: its data connection did not come
// about.
func (u *upload) Close() error {
	u.settle(backends.Object{}, errNoData)
	return u.handle.Close()
}

func overQuota(key string, err error) error {
	return &backends.Error{Op: "put", Key: key, Kind: backends.TooLarge, Err: err}
}

// change is an operation of a command on files, as far as the quota of the user has to know of it. The
// zero value is one of a user without a quota.
type change struct {
	touch *limits.Touch
	usage *limits.Usage
	place string
	old   int64 // the size of what is there, below 0 for nothing or a folder
}

// beginChange looks at what is at t, which the command is going to change, as it may change what is at others.
func (s *Session) beginChange(t target, others ...target) change {
	if !s.limited() || t.virtual {
		return change{}
	}
	places := []string{t.place()}
	for _, o := range others {
		places = append(places, o.place())
	}
	usage := s.server.bounds.quotas.User(s.name)
	touch := usage.Touch
	if len(others) > 0 {
		touch = usage.TouchToMove
	}
	c := change{touch: touch(places...), usage: usage, place: t.place(), old: -1}
	if obj, err := t.adapter.Stat(s.work(), t.key); err == nil && !obj.Dir {
		c.old = obj.Size
	}
	return c
}

// removed notes that what was there has gone, or been replaced.
func (c change) removed() {
	if c.touch != nil && c.old >= 0 {
		c.touch.Removed(c.old)
	}
}

// moved notes that something has got another name, which a count may have missed under both, or seen twice.
func (c change) moved() {
	if c.touch != nil {
		c.touch.Moved()
	}
	c.removed()
}

// dropped notes that nothing is kept there of an upload that broke off.
func (c change) dropped() {
	if c.usage != nil {
		c.usage.Drop(c.place)
	}
}

// end ends the operation, whatever came of it.
func (c change) end() {
	if c.touch != nil {
		c.touch.End()
	}
}

// limited: the user has a quota.
func (s *Session) limited() bool { return s.account != nil && hasQuota(s.account.Limits) }
