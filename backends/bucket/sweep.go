package bucket

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Sweep ends what processes left behind that were killed longer than StaleAfter ago: uploads in parts,
// and renames of folders, those after an hour; and what was kept of uploads for longer than KeepFor.
// What is not ours, or may still be alive, is never touched. It may run in any number of replicas at once. Its clock is the store's.
func (a *Adapter) Sweep(ctx context.Context) error {
	var errs []error
	for _, kind := range []struct {
		folder string
		age    time.Duration
		end    func(ctx context.Context, name string, now time.Time) error
		tell   func(backends.Kept)
	}{
		{"uploads/", min(a.StaleAfter, a.KeepFor), a.sweepUpload, a.Kept},
		{"renames/", a.renameAfter(), a.sweepRename, nil},
		{"appends/", a.StaleAfter, a.sweepAppend, nil},
	} {
		seen, err := a.stale(ctx, a.private(kind.folder), kind.age, func(name string, now time.Time) {
			if err := kind.end(ctx, name, now); err != nil && !a.missing(err) {
				errs = append(errs, err)
			}
		})
		errs = append(errs, err)
		if kind.tell != nil && err == nil {
			kind.tell(seen)
		}
	}
	return errors.Join(errs...)
}

// stale calls do for everything below prefix that was last written longer than age ago, with the
// store's time, and returns all that it has seen.
func (a *Adapter) stale(ctx context.Context, prefix string, age time.Duration, do func(name string, now time.Time)) (seen backends.Kept, err error) {
	err = a.EachPage(ctx, prefix, func(page *Page) error {
		for _, o := range page.Objects {
			if err := ctx.Err(); err != nil {
				return err
			}
			seen.Add(o.ModTime)
			if page.Asked.Sub(o.ModTime) > age {
				do(o.Key, page.Asked)
			}
		}
		return nil
	})
	return seen, err
}

// sweepAppend removes what was to be joined to an object by a process that was killed.
func (a *Adapter) sweepAppend(ctx context.Context, name string, _ time.Time) error {
	return a.delete(ctx, name)
}

// sweepUpload ends the upload that a record tells of, and then the record.
func (a *Adapter) sweepUpload(ctx context.Context, name string, now time.Time) error {
	r, err := a.loadRecord(ctx, name, nil)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(r.Key, a.Prefix) {
		return nil // not written by us
	}
	if r.Kept != nil {
		return a.sweepKept(ctx, r, now)
	}
	if r.age <= a.StaleAfter {
		return nil
	}
	if r.UploadID != "" {
		if err := a.abort(ctx, r.Key, r.UploadID); err != nil {
			return err
		}
	}
	if r.UploadID == "" || r.Strays {
		if err := a.abortStrays(ctx, r, now); err != nil {
			return err
		}
	}
	a.Log.Info("ended an upload that a killed process left behind", "key", r.Key)
	return a.delete(ctx, name)
}

// sweepKept ends what is kept for too long, and what was lost on the way to it.
func (a *Adapter) sweepKept(ctx context.Context, r *Record, now time.Time) error {
	if r.age <= a.KeepFor {
		return nil
	}
	lost := r.Lost
	if r.Strays || r.UploadID == "" && !r.Dead {
		lost = append(lost, r.Begun)
	}
	r.Lost, r.Strays = nil, false
	for _, begun := range lost {
		if now.Sub(begun) <= a.StaleAfter+StartWindow {
			r.Lost = append(r.Lost, begun) // it may be too young yet
			continue
		}
		if err := a.abortStrays(ctx, &Record{Key: r.Key, UploadID: r.UploadID, Begun: begun}, now); err != nil {
			return err
		}
	}
	err := r.end(ctx, a)
	if backends.KindOf(err) == backends.Busy {
		return nil // somebody goes on with it
	}
	if err == nil {
		a.Log.Info("ended an upload that was kept for too long", "key", r.Key)
	}
	return err
}

// abortStrays ends uploads that were begun for a record and whose names nobody heard.
func (a *Adapter) abortStrays(ctx context.Context, r *Record, now time.Time) error {
	return a.Retry(ctx, Cleaning, func(ctx context.Context) error { return a.store.AbortStrays(ctx, r, now) })
}

// StartWindow is how long after a record was written a request to begin may have been on its way, with
// some room for clocks.
const StartWindow = 10 * time.Minute
