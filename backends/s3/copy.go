package s3

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// source names what is copied: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func (s *store) source(name string) *string {
	elements := strings.Split(name, "/")
	for i, e := range elements {
		elements[i] = strings.ReplaceAll(url.QueryEscape(e), "+", "%20")
	}
	return aws.String(url.QueryEscape(s.Bucket) + "/" + strings.Join(elements, "/"))
}

// classLike is the configured storage class, or the source's: a rename is no reason for another price.
func (s *store) classLike(source *bucket.Info) types.StorageClass {
	return cmp.Or(s.class(), types.StorageClass(source.Class))
}

// Copy implements bucket.Store.
func (s *store) Copy(ctx context.Context, c *bucket.Copying) (version string, done bool, err error) {
	from := c.From
	in := &s3.CopyObjectInput{
		Bucket: &s.Bucket, Key: &c.To, CopySource: s.source(from.Name), CopySourceIfMatch: &from.Version,
		RequestPayer: s.payer(), MetadataDirective: types.MetadataDirectiveReplace, Metadata: c.Metadata,
		ContentType: optional(from.ContentType), ContentEncoding: optional(from.ContentEncoding),
		ContentLanguage: optional(from.ContentLanguage), ContentDisposition: optional(from.ContentDisposition),
		CacheControl: optional(from.CacheControl),
		StorageClass: s.classLike(from), ServerSideEncryption: s.sse(), SSEKMSKeyId: s.kmsKey(), BucketKeyEnabled: s.bucketKey(),
		ACL: s.acl(),
	}
	if c.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := s.client.CopyObject(ctx, in)
	switch {
	case err != nil:
		return "", false, err
	case out.CopyObjectResult == nil:
		return "", false, bucket.ErrNoVersion
	}
	version, err = versionOf(out.CopyObjectResult.ETag)
	return version, err == nil, err
}

// CopyPiece implements bucket.Store.
func (s *store) CopyPiece(ctx context.Context, c *bucket.Copying, id string, number int32, piece bucket.Span) (bucket.Piece, error) {
	in := &s3.UploadPartCopyInput{
		Bucket: &s.Bucket, Key: &c.To, UploadId: &id, PartNumber: &number,
		CopySource: s.source(c.From.Name), CopySourceIfMatch: &c.From.Version, RequestPayer: s.payer(),
	}
	if piece.End-piece.Begin < c.From.Size { // S3 takes no range of an object below 5 MiB
		in.CopySourceRange = aws.String(piece.Header())
	}
	out, err := s.client.UploadPartCopy(ctx, in)
	switch {
	case err != nil:
		return bucket.Piece{}, err
	case out.CopyPartResult == nil || out.CopyPartResult.ETag == nil:
		return bucket.Piece{}, bucket.ErrNoVersion
	}
	return bucket.Piece{Number: number, Size: piece.End - piece.Begin, ETag: *out.CopyPartResult.ETag}, nil
}

// versionOf is what an answer of success has to name: one without did not come from the store.
func versionOf(etag *string) (string, error) {
	if aws.ToString(etag) == "" {
		return "", bucket.ErrNoVersion
	}
	return *etag, nil
}
