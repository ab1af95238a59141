package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Record says in the bucket that an upload in parts is ours, from before it begins until it has
// ended: parts of a process that was killed cost money for ever and are in no listing. It is written
// twice, without the upload's name and with it, because the process may end between the store's
// beginning and its answer.
type Record struct {
	// Key is the object's, in the bucket.
	Key string `json:"key"`
	// UploadID is the store's name for the upload; "" before the store has said it.
	UploadID string `json:"upload_id,omitempty"`
	// Begun is when the record was written first, by the clock of the writer.
	Begun time.Time `json:"begun"`

	// Strays: a request to begin got no answer, so there may be an upload that nobody knows.
	Strays bool `json:"strays,omitempty"`

	// Kept is of uploads that are kept for an owner; nil of others.
	*Kept

	name    string        // the record's own, in the bucket
	renewed time.Time     // when we wrote it, by our clock
	when    time.Time     // when it was written, by the store's clock
	age     time.Duration // how long that was before it was read
}

const recordType = "application/json"

// startUpload begins an upload in parts. The record that it returns is to be given to endUpload, also
// after an error.
func (a *Adapter) startUpload(ctx context.Context, m *multipart) (*Record, error) {
	r := &Record{Key: m.name, name: a.private("uploads/" + m.token)}
	if m.options.Resumable {
		r.name, r.Kept = a.slot(m.key, m.options.Owner), &Kept{
			Owner: m.options.Owner, Token: m.token, Next: 1, IfAbsent: m.options.IfAbsent, IfVersion: m.options.IfVersion,
		}
	}
	return r, a.startParts(ctx, r, m.target)
}

// startParts writes the record and begins the upload. The record is to be given to endUpload, also
// after an error.
func (a *Adapter) startParts(ctx context.Context, r *Record, o *NewObject) error {
	r.Begun = time.Now().UTC()
	// Who gives up meanwhile waits for the answer: it has the name by which the upload is ended.
	asked, cancel := outliving(ctx, lastAnswers)
	defer cancel()
	var err error
	if r.Kept != nil || !a.store.Traits().Expires {
		err = r.write(asked, a, nil)
	}
	if r.Kept != nil && backends.KindOf(err) == backends.Exist {
		err = r.supersede(asked, a)
	}
	if err == nil {
		err = backends.Alive(ctx)
	}
	if err != nil {
		return err
	}
	err = a.Retry(asked, Transferring, func(ctx context.Context) (err error) {
		if r.UploadID, err = a.store.Begin(ctx, o); err != nil {
			r.Strays = !a.store.Traits().Expires && (r.Strays || a.unsure(err))
		}
		return err
	})
	if err != nil && o.IfAbsent && a.kind(err) == backends.Conflict {
		err = Fault(backends.Exist, err)
	}
	if err == nil && r.written() {
		err = r.write(asked, a, nil)
	}
	if err == nil && r.Kept != nil {
		err = r.endBefore(asked, a)
	}
	return err
}

// write puts the record into the bucket as it is now, and behind it content that is kept with it. That
// of a kept upload is written only if nobody else has written it since: Exist or Conflict.
func (r *Record) write(ctx context.Context, a *Adapter, tail *Part) (err error) {
	begun := time.Now()
	if r.Kept != nil {
		err = r.swap(ctx, a, tail)
	} else {
		var content []byte
		if content, err = json.Marshal(r); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		err = a.writePrivate(ctx, Transferring, r.name, content)
	}
	if err == nil {
		r.renewed = begun
	}
	return err
}

// written: the bucket has the record.
func (r *Record) written() bool { return !r.renewed.IsZero() }

// renew writes the record again before it looks like one of a process that has gone.
func (r *Record) renew(ctx context.Context, a *Adapter) error {
	if r == nil || r.Kept != nil || !r.written() || time.Since(r.renewed) < a.StaleAfter/4 {
		return nil
	}
	return r.write(ctx, a, nil)
}

// endUpload ends what an upload in parts left in the bucket. What cannot be ended now is left to
// Sweep, with the record that leads to it.
func (a *Adapter) endUpload(ctx context.Context, r *Record, published bool) {
	if r == nil {
		return
	}
	ctx = background(ctx)
	var err error
	if r.Kept != nil {
		err = r.endKept(ctx, a, published)
	} else {
		err = r.endOther(ctx, a, published)
	}
	if err != nil {
		a.Log.Warn("an upload was not cleaned up; it will be tried again", "key", r.Key, "err", err)
	}
}

// endKept ends an upload that is kept when it breaks off, unless it is somebody else's by now: who woke up
// late must not end what another process goes on with.
func (r *Record) endKept(ctx context.Context, a *Adapter, published bool) error {
	if r.version == "" {
		return nil
	}
	if published {
		if err := r.endBefore(ctx, a); err != nil {
			return err
		}
		return r.remove(ctx, a)
	}
	if err := r.end(ctx, a); backends.KindOf(err) != backends.Busy {
		return err
	}
	return nil
}

// endOther ends any other upload.
func (r *Record) endOther(ctx context.Context, a *Adapter, published bool) error {
	if !published && r.UploadID != "" {
		if err := a.abort(ctx, r.Key, r.UploadID); err != nil {
			return err
		}
	}
	if r.Strays || a.store.Traits().Expires { // the record leads to them, or there is none
		return nil
	}
	return a.delete(ctx, r.name)
}

// abort ends an upload in parts, so that nothing of it is left.
func (a *Adapter) abort(ctx context.Context, name, id string) error {
	return a.Retry(ctx, Cleaning, func(ctx context.Context) error { return a.store.Abort(ctx, name, id) })
}

// writePrivate writes one of the small things that the package keeps for itself.
func (a *Adapter) writePrivate(ctx context.Context, p Patience, name string, content []byte) error {
	o := &NewObject{Name: name, Purpose: Private, ContentType: recordType}
	return a.Retry(ctx, p, func(ctx context.Context) error {
		_, err := a.store.Write(ctx, o, BytesPart(content))
		return err
	})
}

// publishPrivate writes one of them that is not there yet. Its content is different at every writing,
// so after a lost answer it says whether it is the one.
func (a *Adapter) publishPrivate(ctx context.Context, name, nonce string, content []byte) error {
	w := &writing{adapter: a, full: name, token: nonce, size: int64(len(content)), ifAbsent: true, Patience: Asking}
	o := newPrivate(name, nonce)
	o.IfAbsent = true
	w.do = func(ctx context.Context) (string, error) { return a.store.Write(ctx, o, BytesPart(content)) }
	_, err := w.publish(ctx)
	return err
}

func newPrivate(name, nonce string) *NewObject {
	return &NewObject{Name: name, Purpose: Private, ContentType: recordType, Metadata: map[string]string{MetaToken: nonce}}
}

// maxPrivate bounds what is believed to be one of them.
const maxPrivate = mib

func (a *Adapter) readPrivate(ctx context.Context, name string, v any) error {
	return a.Retry(ctx, Asking, func(ctx context.Context) error {
		found, err := a.store.Get(ctx, name, Span{0, -1}, "")
		if err != nil {
			return err
		}
		defer func() { _ = found.Body.Close() }()
		content, err := io.ReadAll(io.LimitReader(found.Body, maxPrivate))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, v); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		return nil
	})
}
