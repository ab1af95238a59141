package s3

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

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
	patience

	// ifAbsent and ifVersion are the conditions that do sends along.
	ifAbsent  bool
	ifVersion string

	// do sends the request and returns the ETag of what is there then.
	do func(ctx context.Context) (string, error)

	doubt bool // an answer was lost
}

// publish returns the ETag of the object, exactly when it is there.
func (w *writing) publish(ctx context.Context) (etag string, err error) {
	ctx = background(ctx)
	err = retry(ctx, w.patience, func(ctx context.Context) error {
		if w.doubt {
			var known bool
			if etag, known, err = w.look(ctx); known || err != nil {
				return err
			}
		}
		etag, err = w.do(ctx)
		if err != nil && unsure(err) {
			w.doubt = true
		}
		return err
	})
	if err != nil && (w.doubt || code(err) == "NoSuchUpload") {
		if ours, known, lookErr := w.look(ctx); known && lookErr == nil {
			return ours, nil
		}
	}
	return etag, w.refusal(err)
}

// look asks whose object is there. known is false if the request may be sent again, because what is
// there, if anything, is what its conditions want.
func (w *writing) look(ctx context.Context) (etag string, known bool, err error) {
	head, err := w.adapter.headAs(ctx, w.full)
	switch {
	case isMissing(err):
		if w.ifVersion != "" {
			err = fault(backends.Conflict, err)
		} else {
			err = nil
		}
		return "", false, err
	case err != nil:
		return "", false, err
	case head.Metadata[metaToken] == w.token:
		return aws.ToString(head.ETag), true, nil
	case w.ifAbsent:
		return "", false, fault(backends.Exist, nil)
	case w.ifVersion != "" && w.ifVersion != aws.ToString(head.ETag):
		return "", false, fault(backends.Conflict, nil)
	}
	return "", false, nil
}

// refusal is what a condition that did not hold is called.
func (w *writing) refusal(err error) error {
	if err == nil || code(err) == "NoSuchUpload" {
		return err
	}
	kind, _ := classify(err)
	switch {
	case w.ifAbsent && kind == backends.Conflict:
		return fault(backends.Exist, err)
	case w.ifVersion != "" && kind == backends.NotExist:
		return fault(backends.Conflict, err)
	}
	return err
}

// version is what an answer of success has to name: one without did not come from the store.
func version(etag *string) (string, error) {
	if aws.ToString(etag) == "" {
		return "", errNoVersion
	}
	return *etag, nil
}
