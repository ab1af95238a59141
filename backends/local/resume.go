package local

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// checkpoint is after how many bytes an upload is made durable, where fsync wants that: what a power
// cut, or the end of this machine, costs at most of it.
const checkpoint = 64 << 20

// upload is a Put on its way. One that is to be kept when it breaks off is moved to .sluice/kept and
// gets a record as soon as there is enough of it.
type upload struct {
	adapter *Adapter
	ctx     context.Context //nolint:containedctx // that of the Put, which it lives for
	content *temporary
	// size are the bytes of the content.
	size int64

	key, owner string
	// slot is where it is kept; "" is nowhere.
	slot string
	// record is nil until there is enough.
	record *record

	// saving, if it is not nil, delivers how the checkpoint in the background ends; asked is the size at
	// the last.
	saving chan error
	asked  int64
}

// goOn takes over what is kept. The content is positioned at its end.
func (a *Adapter) goOn(ctx context.Context, key string, o *backends.PutOptions) (u *upload, err error) {
	err = a.withKept(ctx, key, o.Owner, func(k *kept) error {
		switch {
		case k == nil, k.Nonce != o.Continue:
			return fault(backends.Busy, errGone)
		case o.Offset < 0 || o.Offset > k.size:
			return fault(backends.BadOffset, nil)
		case o.MaxSize > 0 && k.size > o.MaxSize:
			return fault(backends.TooLarge, nil)
		}
		if err := cut(k.content.File, k.size); err != nil {
			return err
		}
		k.Boot = a.boot // what another start of the machine left is durable, or cut off now
		if err := a.save(k.slot, k.record, true); err != nil {
			return err
		}
		u = &upload{
			adapter: a, ctx: ctx, key: key, owner: o.Owner, slot: k.slot,
			content: k.content, record: k.record, size: k.size, asked: k.size,
		}
		k.content = nil
		return nil
	})
	return u, err
}

// wrote counts what was written to the content.
func (u *upload) wrote(n int) error {
	u.size += int64(n)
	switch {
	case u.slot == "":
	case u.record == nil && u.size >= u.adapter.keepAtLeast:
		return u.adopt()
	case u.record != nil && u.adapter.checkpoint > 0 && u.size-u.asked >= u.adapter.checkpoint:
		return u.startCheckpoint()
	}
	return nil
}

// adopt gives the upload its record, unless another process writes one of the same owner and key: Busy.
func (u *upload) adopt() error {
	a := u.adapter
	return a.exclusively(u.ctx, func() error {
		old, err := a.find(u.slot)
		if err != nil {
			return err
		}
		if old != nil {
			defer old.release()
			if err := a.drop(old); err != nil {
				return err
			}
		}
		name := u.slot + "." + rand.Text()
		if err := rename(u.content.home, u.content.name, a.kept, name); err != nil {
			return whenGone(err)
		}
		u.content.home, u.content.name = a.kept, name
		r := &record{Key: u.key, Owner: u.owner, Data: name, Boot: a.boot, Present: a.present(u.key)}
		if err := a.save(u.slot, r, false); err != nil {
			return err
		}
		u.record = r
		return nil
	})
}

// startCheckpoint makes what there is durable, and says so in the record, while more is written. If the
// last one has not ended, this is left to the next.
func (u *upload) startCheckpoint() error {
	if u.saving != nil {
		select {
		case err := <-u.saving:
			if u.saving = nil; err != nil {
				return err
			}
		default:
			return nil
		}
	}
	u.asked = u.size
	u.saving = make(chan error, 1)
	go func(size int64) {
		err := u.adapter.secure(u.content.File)
		if err == nil {
			err = u.save(u.ctx, size, u.record.Present)
		}
		if errors.Is(err, errLocked) {
			err = nil // the next checkpoint says it all
		}
		u.saving <- err
	}(u.size)
	return nil
}

// settle waits for the last checkpoint. The system tells of a failed write once, so its error counts.
func (u *upload) settle() error {
	if u.saving == nil {
		return nil
	}
	err := <-u.saving
	u.saving = nil
	return err
}

// save writes the record anew. If it is not ours any more, somebody has taken the upload over: Fenced.
func (u *upload) save(ctx context.Context, size int64, present string) error {
	return u.owned(ctx, func() error {
		u.record.Durable, u.record.Present = size, present
		return u.adapter.save(u.slot, u.record, true)
	})
}

// owned calls do while the record cannot change, if it is ours.
func (u *upload) owned(ctx context.Context, do func() error) error {
	a := u.adapter
	return a.exclusively(ctx, func() error {
		r, err := a.load(u.slot)
		switch {
		case err != nil:
			return err
		case r == nil || r.Nonce != u.record.Nonce:
			return fault(backends.Fenced, nil)
		}
		return do()
	})
}

// publish makes the whole content the object.
func (u *upload) publish(mod time.Time, c condition) (backends.Object, error) {
	if err := u.settle(); err != nil {
		return backends.Object{}, err
	}
	if u.record != nil {
		if err := u.owned(u.ctx, func() error { return nil }); err != nil {
			return backends.Object{}, err
		}
	}
	return u.adapter.publish(u.ctx, u.content, u.key, mod, c)
}

// end is how every upload ends. It returns the error that it is given and, if the upload is kept
// because of that, how many bytes are.
func (u *upload) end(cause error) (int64, error) {
	defer u.content.discard()
	if u.record == nil {
		return 0, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), 2*patience)
	defer cancel()
	broken := u.settle()
	if cause != nil && broken == nil && worthKeeping(cause) && u.adapter.secure(u.content.File) == nil {
		err := u.save(ctx, u.size, u.adapter.present(u.key))
		if backends.KindOf(err) == backends.Fenced {
			cause = fault(backends.Fenced, cause)
		}
		// Without a new record the one that is there holds, if this was not a failure of the disk's.
		u.content.gone = true
		if err != nil {
			return 0, cause
		}
		return u.size, cause
	}
	// Where this fails the sweep finds a record without a content.
	err := u.owned(ctx, func() error { return u.adapter.unlinkKept(u.slot + recordName) })
	if backends.KindOf(err) == backends.Fenced {
		u.content.gone = true // it is somebody else's
	}
	return 0, cause
}

// worthKeeping: the upload broke off for a reason that is not the disk's.
func worthKeeping(err error) bool {
	e, ok := err.(*backends.Error) //nolint:errorlint // as in translate
	return ok && (e.Kind == backends.Internal || errors.Is(e.Err, backends.ErrDiffers) || errors.Is(e.Err, errLocked))
}
