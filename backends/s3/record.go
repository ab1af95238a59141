package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends"
)

// record says in the bucket that an upload in parts is ours, from before it begins until it has
// ended: parts of a process that was killed cost money for ever and are in no listing. It is written
// twice, without the upload's name and with it, because the process may end between the store's
// beginning and its answer.
type record struct {
	// Key is the object's, in the bucket.
	Key string `json:"key"`
	// UploadID is the store's name for the upload; "" before the store has said it.
	UploadID string `json:"upload_id,omitempty"`
	// Begun is when the record was written first, by the clock of the writer.
	Begun time.Time `json:"begun"`

	// Strays: a request to begin got no answer, so there may be an upload that nobody knows.
	Strays bool `json:"strays,omitempty"`

	// kept is of uploads that are kept for an owner; nil of others.
	*kept

	name    string        // the record's own, in the bucket
	renewed time.Time     // when we wrote it, by our clock
	when    time.Time     // when it was written, by the store's clock
	age     time.Duration // how long that was before it was read
}

const recordType = "application/json"

// startUpload begins an upload in parts. The record that it returns is to be given to endUpload, also
// after an error.
func (a *Adapter) startUpload(ctx context.Context, u *upload) (*record, error) {
	in := a.newUpload(u.key, u.metadata())
	if len(u.copied) > 0 {
		u.present.describeUpload(in, u.tags)
	}
	if u.options.ContentType != "" {
		in.ContentType = &u.options.ContentType
	}
	r := &record{Key: *in.Key, name: a.private("uploads/" + u.token)}
	if u.options.Resumable {
		r.name, r.kept = a.slot(u.key, u.options.Owner), &kept{Owner: u.options.Owner, Token: u.token, Next: 1}
	}
	return r, a.startParts(ctx, r, in)
}

// newUpload asks for an object in parts with what the configuration says of new objects.
func (a *Adapter) newUpload(key string, metadata map[string]string) *s3.CreateMultipartUploadInput {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &a.Bucket, Key: aws.String(a.full(key)), Metadata: metadata,
		StorageClass: a.class(), ServerSideEncryption: a.sse(), SSEKMSKeyId: a.kmsKey(), BucketKeyEnabled: a.bucketKey(),
		ACL: a.acl(), Tagging: a.tags(), RequestPayer: a.payer(),
	}
	if a.Profile.Checksums {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject
	}
	return in
}

// startParts writes the record and begins the upload. The record is to be given to endUpload, also
// after an error.
func (a *Adapter) startParts(ctx context.Context, r *record, in *s3.CreateMultipartUploadInput) error {
	r.Begun = time.Now().UTC()
	// Who gives up meanwhile waits for the answer: it has the name by which the upload is ended.
	asked, cancel := outliving(ctx, lastAnswers)
	defer cancel()
	err := r.write(asked, a, nil)
	if r.kept != nil && backends.KindOf(err) == backends.Exist {
		err = r.supersede(asked, a)
	}
	if err == nil {
		err = backends.Alive(ctx)
	}
	if err != nil {
		return err
	}
	err = retry(asked, transferring, func(ctx context.Context) error {
		out, err := a.client.CreateMultipartUpload(ctx, in)
		switch {
		case err != nil:
			r.Strays = r.Strays || unsure(err)
			return err
		case aws.ToString(out.UploadId) == "":
			return errNoUpload
		}
		r.UploadID = *out.UploadId
		return nil
	})
	if err == nil {
		err = r.write(asked, a, nil)
	}
	if err == nil && r.kept != nil {
		err = r.endBefore(asked, a)
	}
	return err
}

// write puts the record into the bucket as it is now, and behind it content that is kept with it. That
// of a kept upload is written only if nobody else has written it since: Exist or Conflict.
func (r *record) write(ctx context.Context, a *Adapter, tail *part) (err error) {
	begun := time.Now()
	if r.kept != nil {
		err = r.swap(ctx, a, tail)
	} else {
		var content []byte
		if content, err = json.Marshal(r); err != nil {
			return fmt.Errorf("s3: record: %w", err)
		}
		err = a.writePrivate(ctx, transferring, r.name, content)
	}
	if err == nil {
		r.renewed = begun
	}
	return err
}

// renew writes the record again before it looks like one of a process that has gone.
func (r *record) renew(ctx context.Context, a *Adapter) error {
	if r == nil || r.kept != nil || time.Since(r.renewed) < a.StaleAfter/4 {
		return nil
	}
	return r.write(ctx, a, nil)
}

// endUpload ends what an upload in parts left in the bucket. What cannot be ended now is left to
// Sweep, with the record that leads to it.
func (a *Adapter) endUpload(ctx context.Context, r *record, published bool) {
	if r == nil {
		return
	}
	ctx = background(ctx)
	var err error
	if r.kept != nil {
		if r.etag == "" {
			return // somebody else's
		}
		err = r.endBefore(ctx, a)
	}
	if err == nil && !published && r.UploadID != "" {
		err = a.abort(ctx, r.Key, r.UploadID)
	}
	switch {
	case err != nil:
	case r.kept != nil:
		err = r.remove(ctx, a)
	case r.Strays: // the record leads to them
	default:
		err = a.delete(ctx, r.name)
	}
	if err != nil {
		a.Log.Warn("an upload was not cleaned up; it will be tried again", "key", r.Key, "err", err)
	}
}

// aborts is how often an upload is aborted until its parts are gone: one that was on its way may
// arrive behind the abort.
const aborts = 3

// abort ends an upload in parts and makes sure that none is left.
func (a *Adapter) abort(ctx context.Context, full, id string) error {
	for range aborts {
		err := retry(ctx, cleaning, func(ctx context.Context) error {
			_, err := a.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: &a.Bucket, Key: &full, UploadId: &id, RequestPayer: a.payer(),
			})
			return err
		})
		if err != nil && code(err) != "NoSuchUpload" {
			return err
		}
		_, err = a.countParts(ctx, full, id)
		if code(err) == "NoSuchUpload" {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errParting
}

// countParts returns whether an upload has parts; one that does not exist is NoSuchUpload.
func (a *Adapter) countParts(ctx context.Context, full, id string) (int, error) {
	var out *s3.ListPartsOutput
	err := retry(ctx, cleaning, func(ctx context.Context) (err error) {
		out, err = a.client.ListParts(ctx, &s3.ListPartsInput{
			Bucket: &a.Bucket, Key: &full, UploadId: &id, MaxParts: aws.Int32(1), RequestPayer: a.payer(),
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(out.Parts), nil
}

// writePrivate writes one of the small things that the package keeps for itself.
func (a *Adapter) writePrivate(ctx context.Context, p patience, name string, content []byte) error {
	return retry(ctx, p, func(ctx context.Context) error {
		_, err := a.writeSmall(ctx, name, a.privateHeader(), content)
		return err
	})
}

func (a *Adapter) privateHeader() http.Header {
	h := a.encrypted()
	h.Set("Content-Type", recordType)
	return h
}

// writeSmall sends content that has no checksum but its signature's.
func (a *Adapter) writeSmall(ctx context.Context, name string, h http.Header, content []byte) (etag string, err error) {
	p := bytesPart(content)
	return a.hot.write(ctx, request{full: name, header: h, body: []*part{p}, hash: hashOf(p)})
}

// publishPrivate writes one of them that is not there yet. Its content is different at every writing,
// so after a lost answer it says whether it is the one.
func (a *Adapter) publishPrivate(ctx context.Context, name, nonce string, content []byte) error {
	w := &writing{adapter: a, full: name, token: nonce, ifAbsent: true, patience: asking}
	h := a.privateHeader()
	h.Set("If-None-Match", "*")
	h.Set("X-Amz-Meta-"+metaToken, nonce)
	w.do = func(ctx context.Context) (string, error) { return a.writeSmall(ctx, name, h, content) }
	_, err := w.publish(ctx)
	return err
}

// maxPrivate bounds what is believed to be one of them.
const maxPrivate = mib

func (a *Adapter) readPrivate(ctx context.Context, name string, v any) error {
	return retry(ctx, asking, func(ctx context.Context) error {
		resp, err := a.hot.do(ctx, request{method: http.MethodGet, full: name})
		if err != nil {
			return err
		}
		defer drain(resp)
		content, err := io.ReadAll(io.LimitReader(resp.Body, maxPrivate))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, v); err != nil {
			return fmt.Errorf("s3: %q: %w", name, err)
		}
		return nil
	})
}
