package s3

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// newUpload asks for an object in parts with what the configuration says of new objects.
func (s *store) newUpload(name string, metadata map[string]string) *s3.CreateMultipartUploadInput {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &s.Bucket, Key: &name, Metadata: metadata,
		StorageClass: s.class(), ServerSideEncryption: s.sse(), SSEKMSKeyId: s.kmsKey(), BucketKeyEnabled: s.bucketKey(),
		ACL: s.acl(), Tagging: s.tags(), RequestPayer: s.payer(),
	}
	if s.Profile.Checksums {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject
	}
	return in
}

// Begin implements bucket.Store.
func (s *store) Begin(ctx context.Context, o *bucket.NewObject) (id string, err error) {
	in := s.newUpload(o.Name, o.Metadata)
	if like := o.Like; like != nil {
		in.ContentType, in.ContentEncoding = optional(like.ContentType), optional(like.ContentEncoding)
		in.ContentLanguage, in.ContentDisposition = optional(like.ContentLanguage), optional(like.ContentDisposition)
		in.CacheControl = optional(like.CacheControl)
		in.Tagging, in.StorageClass = optional(o.LikeTags), s.classLike(like)
	}
	if o.Copied { // some servers cannot copy into an upload that was begun with checksums
		in.ChecksumAlgorithm, in.ChecksumType = "", ""
	}
	if o.ContentType != "" {
		in.ContentType = &o.ContentType
	}
	out, err := s.client.CreateMultipartUpload(ctx, in)
	switch {
	case err != nil:
		return "", err
	case aws.ToString(out.UploadId) == "":
		return "", bucket.ErrNoUpload
	}
	return *out.UploadId, nil
}

// Send implements bucket.Store.
func (s *store) Send(ctx context.Context, p *bucket.Sending) (bucket.Piece, error) {
	r := request{
		full: p.Upload.Name, header: make(http.Header), body: []*bucket.Part{p.Part}, hash: unsigned,
		query: url.Values{"partNumber": {strconv.Itoa(int(p.Number))}, "uploadId": {p.ID}},
	}
	switch {
	case s.Profile.Checksums && !p.Upload.Copied:
		r.header.Set(headerCRC, bucket.Base64(p.Part.CRC()))
	case s.Profile.Checksums:
		r.hash = hashOf(p.Part) // instead
	}
	etag, err := s.hot.write(ctx, r)
	return bucket.Piece{Number: p.Number, Size: p.Part.Size(), CRC: p.Part.CRC(), ETag: etag}, err
}

// Complete implements bucket.Store.
func (s *store) Complete(ctx context.Context, c *bucket.Completion) (string, error) {
	checked := c.Checked && s.Profile.Checksums
	parts := make([]types.CompletedPart, len(c.Pieces))
	for i, p := range c.Pieces {
		parts[i] = types.CompletedPart{PartNumber: &p.Number, ETag: &p.ETag}
		if checked {
			parts[i].ChecksumCRC32 = aws.String(bucket.Base64(p.CRC))
		}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.Bucket, Key: &c.Upload.Name, UploadId: &c.ID,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}, RequestPayer: s.payer(),
		IfMatch: optional(c.Upload.IfVersion),
	}
	if checked {
		in.ChecksumCRC32, in.ChecksumType = aws.String(bucket.Base64(c.CRC)), types.ChecksumTypeFullObject
	}
	if s.Profile.ObjectSize {
		in.MpuObjectSize = &c.Size
	}
	if c.Upload.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := s.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return "", s.doubtFolder(ctx, c.Upload.Name, err)
	}
	return versionOf(out.ETag)
}

// Abort implements bucket.Store. A part that was on its way may arrive behind the abort, so it is made
// sure that none is left.
func (s *store) Abort(ctx context.Context, name, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.Bucket, Key: &name, UploadId: &id, RequestPayer: s.payer(),
	})
	if err == nil || code(err) == noSuchUpload {
		if _, err = s.countParts(ctx, name, id); err == nil {
			err = errParting
		}
	}
	if code(err) == noSuchUpload {
		return nil
	}
	return err
}

var errParting = errors.New("parts of an upload go on arriving after it was aborted")

// countParts returns whether an upload has parts; one that does not exist is NoSuchUpload.
func (s *store) countParts(ctx context.Context, name, id string) (int, error) {
	out, err := s.client.ListParts(ctx, &s3.ListPartsInput{
		Bucket: &s.Bucket, Key: &name, UploadId: &id, MaxParts: aws.Int32(1), RequestPayer: s.payer(),
	})
	if err != nil {
		return 0, err
	}
	return len(out.Parts), nil
}

// stride is left between the numbers of parts of two processes, so that what the first still has on its
// way does not meet those of the second.
const stride = 64

// Recover implements bucket.Store: what can be gone on with are the parts that follow those which the
// process began with, without a gap.
func (s *store) Recover(ctx context.Context, r *bucket.Record) error {
	next, most := r.Next, r.Next-1
	in := &s3.ListPartsInput{Bucket: &s.Bucket, Key: &r.Key, UploadId: &r.UploadID, RequestPayer: s.payer()}
	for {
		out, err := s.client.ListParts(ctx, in)
		if err != nil {
			return err
		}
		for _, p := range out.Parts {
			number := aws.ToInt32(p.PartNumber)
			most = max(most, number)
			if number != next {
				continue
			}
			found := bucket.Piece{Number: number, Size: aws.ToInt64(p.Size), ETag: aws.ToString(p.ETag)}
			crc, err := bucket.ParseBase64(aws.ToString(p.ChecksumCRC32))
			if s.Profile.Checksums && err != nil || s.Traits().Amid(found.Size) == 0 {
				continue // nothing could follow it, or it could not be published
			}
			found.CRC = crc
			r.Parts = append(r.Parts, found)
			next++
		}
		if !aws.ToBool(out.IsTruncated) || out.NextPartNumberMarker == nil {
			break
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	r.Next = most + stride
	return nil
}

// AbortStrays implements bucket.Store: such uploads are on the record's very key, began within minutes
// of it, have no part and our kind of checksum, and are as old as the record.
func (s *store) AbortStrays(ctx context.Context, r *bucket.Record, now time.Time) error {
	out, err := s.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{
		Bucket: &s.Bucket, Prefix: &r.Key, RequestPayer: s.payer(), EncodingType: types.EncodingTypeUrl,
	})
	if err != nil {
		return err
	}
	for _, u := range out.Uploads {
		begun := aws.ToTime(u.Initiated)
		id := aws.ToString(u.UploadId)
		if unescape(out.EncodingType, u.Key) != r.Key || id == r.UploadID ||
			begun.Sub(r.Begun).Abs() > bucket.StartWindow || now.Sub(begun) <= s.StaleAfter ||
			s.Profile.Checksums && u.ChecksumAlgorithm != "" && u.ChecksumAlgorithm != types.ChecksumAlgorithmCrc32 {
			continue
		}
		n, err := s.countParts(ctx, r.Key, id)
		if code(err) == noSuchUpload || n > 0 {
			continue
		}
		if err == nil {
			err = s.Abort(ctx, r.Key, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
