package s3

import (
	"context"
	"hash/crc32"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// What the probes ask for. Each request is sent once: after a lost answer its repetition would tell
// something else than the first. And none that writes is given up when the operator gives up, because
// it may take effect after everything was cleaned up.

// noETag is the version of no object.
const noETag = `"00000000000000000000000000000000"`

// unsignedPayload has the SDK leave the content out of the signature, as uploads do.
func unsignedPayload(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// write sends one request that changes something.
func (d *doctor) write(ctx context.Context, limit time.Duration, do func(ctx context.Context) error) error {
	if err := backends.Alive(ctx); err != nil {
		return err
	}
	return bucket.Once(context.WithoutCancel(ctx), limit, do)
}

// head and page ask, as often as it needs.
func (d *doctor) head(ctx context.Context, key string) (info *bucket.Info, err error) {
	err = d.a.Retry(ctx, bucket.Asking, func(ctx context.Context) error {
		info, err = d.s.Head(ctx, key)
		return err
	})
	return info, err
}

func (d *doctor) page(ctx context.Context, q bucket.Query) (page *bucket.Page, err error) {
	err = d.a.Retry(ctx, bucket.Asking, func(ctx context.Context) error {
		page, err = d.s.List(ctx, q)
		return err
	})
	return page, err
}

// expect takes note that a request which ended with err may have made an object.
func (d *doctor) expect(key string, err error) {
	if err == nil || unsure(err) {
		d.keys[key] = true
	}
}

// put stores an object as the configuration says of new ones; change may be nil.
func (d *doctor) put(ctx context.Context, key, content string, change func(*s3.PutObjectInput)) (etag string, err error) {
	etag, err = d.store(ctx, key, content, change)
	d.expect(key, err)
	return etag, err
}

// store is put for who takes note of the key; several may do it at once.
func (d *doctor) store(ctx context.Context, key, content string, change func(*s3.PutObjectInput)) (etag string, err error) {
	s := d.s
	in := &s3.PutObjectInput{
		Bucket: &s.Bucket, Key: &key, ContentLength: aws.Int64(int64(len(content))),
		Metadata:     map[string]string{bucket.MetaToken: d.token, bucket.MetaModTime: bucket.FormatModTime(time.Now())},
		StorageClass: s.class(), ServerSideEncryption: s.sse(), SSEKMSKeyId: s.kmsKey(), BucketKeyEnabled: s.bucketKey(),
		ACL: s.acl(), Tagging: s.tags(), RequestPayer: s.payer(),
	}
	if change != nil {
		change(in)
	}
	err = d.write(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		in.Body = strings.NewReader(content)
		out, err := s.client.PutObject(ctx, in, unsignedPayload)
		if err == nil {
			etag = aws.ToString(out.ETag)
		}
		return err
	})
	return etag, err
}

// remove deletes one object, if it is that version, unless etag is "".
func (d *doctor) remove(ctx context.Context, key, etag string) error {
	return d.write(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		_, err := d.s.client.DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: &d.s.Bucket, Key: &key, IfMatch: optional(etag), RequestPayer: d.s.payer(),
		})
		return err
	})
}

// copy copies the object that the probe of put stored.
func (d *doctor) copy(ctx context.Context, to string, change func(*s3.CopyObjectInput)) (etag string, err error) {
	s := d.s
	in := &s3.CopyObjectInput{
		Bucket: &s.Bucket, Key: &to, CopySource: d.s.source(d.object.key), CopySourceIfMatch: &d.object.etag,
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{bucket.MetaToken: ofCopy},
		StorageClass: s.class(), ServerSideEncryption: s.sse(), SSEKMSKeyId: s.kmsKey(), BucketKeyEnabled: s.bucketKey(),
		ACL: s.acl(), RequestPayer: s.payer(),
	}
	if change != nil {
		change(in)
	}
	err = d.write(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		out, err := s.client.CopyObject(ctx, in)
		if err == nil && out.CopyObjectResult != nil {
			etag = aws.ToString(out.CopyObjectResult.ETag)
		}
		return err
	})
	d.expect(to, err)
	return etag, err
}

// begin begins an upload, with checksums if so, and sends a small first part, which may be the last.
func (d *doctor) begin(ctx context.Context, key string, checksums bool) (opened, types.CompletedPart, error) {
	u, err := d.beginEmpty(ctx, key, checksums)
	if err != nil {
		return u, types.CompletedPart{}, err
	}
	p, err := d.sendPart(ctx, u, 1, sample, checksums)
	return u, p, err
}

func (d *doctor) beginEmpty(ctx context.Context, key string, checksums bool) (opened, error) {
	u := opened{key: key}
	in := d.s.newUpload(key, map[string]string{bucket.MetaToken: d.token})
	if checksums {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject
	}
	err := d.write(ctx, bucket.Asking.Attempt, func(ctx context.Context) error {
		out, err := d.s.client.CreateMultipartUpload(ctx, in)
		switch {
		case err != nil:
			return err
		case aws.ToString(out.UploadId) == "":
			return bucket.ErrNoUpload
		}
		u.id = *out.UploadId
		return nil
	})
	if u.id != "" {
		d.uploads[u.id] = key
	} else if err != nil && unsure(err) {
		d.strays[key] = true
	}
	return u, err
}

// sendPart sends one part, with its checksum if so.
func (d *doctor) sendPart(ctx context.Context, u opened, number int32, content string, checksums bool) (types.CompletedPart, error) {
	done := types.CompletedPart{PartNumber: &number}
	if checksums {
		done.ChecksumCRC32 = aws.String(bucket.Base64(crc32.ChecksumIEEE([]byte(content))))
	}
	return d.sendPartAs(ctx, u, done, content)
}

// sendPartAs sends a part with the checksum that done has, and returns done with its ETag.
func (d *doctor) sendPartAs(ctx context.Context, u opened, done types.CompletedPart, content string) (types.CompletedPart, error) {
	err := d.write(ctx, bucket.Uploading(int64(len(content))).Attempt, func(ctx context.Context) error {
		out, err := d.s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &d.s.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: done.PartNumber,
			ContentLength: aws.Int64(int64(len(content))), Body: strings.NewReader(content),
			ChecksumCRC32: done.ChecksumCRC32, RequestPayer: d.s.payer(),
		}, unsignedPayload)
		if err == nil {
			done.ETag = out.ETag
		}
		return err
	})
	if err == nil && done.ETag == nil {
		err = bucket.ErrNoVersion
	}
	return done, err
}

// complete publishes an upload; change may be nil.
func (d *doctor) complete(
	ctx context.Context, u opened, parts []types.CompletedPart, change func(*s3.CompleteMultipartUploadInput),
) (etag string, err error) {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &d.s.Bucket, Key: &u.key, UploadId: &u.id, RequestPayer: d.s.payer(),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if change != nil {
		change(in)
	}
	err = d.write(ctx, bucket.Finishing.Attempt, func(ctx context.Context) error {
		out, err := d.s.client.CompleteMultipartUpload(ctx, in)
		if err == nil {
			etag = aws.ToString(out.ETag)
		}
		return err
	})
	d.expect(u.key, err)
	if err == nil {
		delete(d.uploads, u.id)
	}
	return etag, err
}

// abort ends an upload. One that is not there any more has ended.
func (d *doctor) abort(ctx context.Context, u opened) error {
	err := d.write(ctx, bucket.Cleaning.Attempt, func(ctx context.Context) error {
		_, err := d.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &d.s.Bucket, Key: &u.key, UploadId: &u.id, RequestPayer: d.s.payer(),
		})
		return err
	})
	if err == nil || code(err) == noSuchUpload {
		delete(d.uploads, u.id)
		return nil
	}
	return err
}
