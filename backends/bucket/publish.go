package bucket

import (
	"context"

	"github.com/sluice-ftp/sluice/backends"
)

// writing is a request that makes an object visible. It cannot be stopped on its way: a client that
// gives up now must not be told that nothing happened.
//
// When an answer is lost, the store is asked whose object is there before anything is sent again: the
// request may have succeeded, and the next one would be refused because of it.
type writing struct {
	adapter *Adapter
	full    string // the name in the bucket
	token   string // what is in the object's metadata if it is ours
	size    int64  // of the object
	Patience

	// ifAbsent and ifVersion are the conditions that do sends along.
	ifAbsent  bool
	ifVersion string

	// do sends the request and returns the version of what is there then.
	do func(ctx context.Context) (string, error)

	doubt bool // an answer was lost
}

// publish returns the version of the object, exactly when it is there.
func (w *writing) publish(ctx context.Context) (version string, err error) {
	ctx = background(ctx)
	err = w.adapter.Retry(ctx, w.Patience, func(ctx context.Context) error {
		if w.doubt {
			var known bool
			if version, known, err = w.look(ctx); known || err != nil {
				return err
			}
		}
		version, err = w.do(ctx)
		if w.adapter.unsure(err) {
			w.doubt = true
		}
		return err
	})
	if err != nil && (w.doubt || w.adapter.gone(err)) {
		if ours, known, lookErr := w.look(ctx); known && lookErr == nil {
			return ours, nil
		}
	}
	return version, w.refusal(err)
}

// look asks whose object is there. known is false if the request may be sent again, because what is
// there, if anything, is what its conditions want.
func (w *writing) look(ctx context.Context) (version string, known bool, err error) {
	info, err := w.adapter.head(ctx, w.full)
	switch {
	case w.adapter.missing(err):
		if w.ifVersion != "" {
			err = Fault(backends.Conflict, err)
		} else {
			err = nil
		}
		return "", false, err
	case err != nil:
		return "", false, err
	case info.Metadata[MetaToken] == w.token && info.Size != w.size:
		return "", false, Fault(backends.Fenced, nil) // another process went on with the same upload
	case info.Metadata[MetaToken] == w.token:
		return info.Version, true, nil
	case w.ifAbsent:
		return "", false, Fault(backends.Exist, nil)
	case w.ifVersion != "" && w.ifVersion != info.Version:
		return "", false, Fault(backends.Conflict, nil)
	}
	return "", false, nil
}

// refusal is what a condition that did not hold is called.
func (w *writing) refusal(err error) error {
	if err == nil || w.adapter.gone(err) {
		return err
	}
	kind := w.adapter.kind(err)
	switch {
	case w.ifAbsent && kind == backends.Conflict:
		return Fault(backends.Exist, err)
	case w.ifVersion != "" && kind == backends.NotExist:
		return Fault(backends.Conflict, err)
	}
	return err
}
