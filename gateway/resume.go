package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// Uploads that break off are kept by stores that can, for the user who sent them: SIZE and MLST tell
// that user how much, REST and APPE go on, DELE drops it. Listings, RETR and RNFR never see it.

// resumeFeature in FEAT says that uploads that break off are kept. REST STREAM does not: it is there for
// downloads, and for uploads onto files.
const resumeFeature = "X-RESUME STOR;APPE"

// resumes: what this user sends to t is kept when it breaks off.
func resumes(t target) bool {
	return !t.virtual && t.Permissions.Has(auth.Write) && t.adapter.Capabilities().Resume
}

// pending describes what is kept of an upload to t.
func (s *Session) pending(ctx context.Context, t target) (backends.Pending, error) {
	if !resumes(t) {
		return backends.Pending{}, &backends.Error{Op: "pending", Key: t.key, Kind: backends.NotExist}
	}
	return t.adapter.Pending(ctx, t.key, s.name)
}

// describe is stat for SIZE and MLST, by which clients find out where to go on.
func (s *Session) describe(t target) (backends.Object, error) {
	obj, err := s.stat(t)
	if obj.Dir || err != nil && backends.KindOf(err) != backends.NotExist {
		return obj, err
	}
	p, perr := s.pending(s.work(), t)
	switch kind := backends.KindOf(perr); {
	case perr == nil:
		return backends.Object{Key: t.key, Size: p.Size, ModTime: p.ModTime}, nil
	case kind == backends.NotExist || kind == backends.Busy: // somebody sends it just now: what is there counts
		return obj, err
	}
	return obj, perr
}

// continues finds out whether APPE or REST go on from what is kept.
func (u *upload) continues() (bool, error) {
	p, err := u.transfer.session.pending(u.ctx, u.target)
	switch {
	case err != nil && backends.KindOf(err) == backends.NotExist:
		return false, nil
	case err != nil:
		return false, err
	case u.rest > p.Size:
		return false, &backends.Error{Op: "put", Key: u.key, Kind: backends.BadOffset}
	}
	u.options.Continue, u.options.Offset = p.Version, u.rest
	if u.verb == "APPE" {
		u.options.Offset = p.Size
	}
	u.options.IfAbsent = !u.Permissions.Has(auth.Overwrite)
	return true, nil
}

// drop ends what is kept of an upload to t, where there is no object. If nothing is, it returns missing.
func (s *Session) drop(t target, missing error) error {
	_, err := s.pending(s.work(), t)
	switch {
	case err != nil && backends.KindOf(err) == backends.NotExist:
		return missing
	case err != nil:
		return err
	}
	return t.adapter.Discard(s.work(), t.key, s.name)
}

// forget ends what is kept of an upload to t, whose object has been removed. That is done and answered so,
// whatever becomes of this: while another session writes the upload, it stays. It reports whether nothing
// is kept now.
func (s *Session) forget(t target) bool {
	if !resumes(t) {
		return true
	}
	err := t.adapter.Discard(s.work(), t.key, s.name)
	if err != nil && backends.KindOf(err) != backends.Busy {
		s.log.Warn("what is kept of an upload was not dropped with its file", "key", t.key, "err", err)
	}
	return err == nil
}

// keptText is behind the reply to an upload of which so much is kept.
func keptText(n int64) string {
	return fmt.Sprintf("; %d bytes are kept: go on with REST %d and STOR, or with APPE", n, n)
}

// canBeKept reports whether an upload loses nothing when it is broken off now.
func (t *transfer) canBeKept() bool {
	from := t.keptFrom.Load()
	return from > 0 && t.moved.Load() >= from
}

// parkAfter ends uploads that can be gone on with when half of the time of ctx is over, so that there
// is time to keep them; it returns when ctx ends or done is closed.
func parkAfter(ctx context.Context, done <-chan struct{}, sessions []*Session) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return
	}
	t := time.NewTimer(time.Until(deadline) / 2)
	defer t.Stop()
	select {
	case <-done:
		return
	case <-ctx.Done():
		return
	case <-t.C:
	}
	for _, s := range sessions {
		if f := s.control.transferInFlight(); f != nil && f.canBeKept() {
			f.cancel(errShutdown)
		}
	}
}
