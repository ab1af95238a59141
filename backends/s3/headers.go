package s3

import (
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// What the configuration says of every new object and of every request: as a header, and as the SDK
// wants it.

// headerCRC is that of a checksum of the content: a CRC-32 in base64, big-endian.
const headerCRC = "X-Amz-Checksum-Crc32"

// newHeader is the header of an object that is written with one request:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (s *store) newHeader(o *bucket.NewObject) http.Header {
	h := s.encrypted()
	if o.Purpose != bucket.Private {
		set(h, "X-Amz-Acl", s.ACL)
	}
	if o.Purpose == bucket.File {
		set(h, "X-Amz-Storage-Class", s.StorageClass)
		set(h, "X-Amz-Tagging", aws.ToString(s.tags()))
	}
	for name, value := range o.Metadata {
		h.Set("X-Amz-Meta-"+name, value)
	}
	if like := o.Like; like != nil {
		set(h, "Content-Type", like.ContentType)
		set(h, "Content-Encoding", like.ContentEncoding)
		set(h, "Content-Language", like.ContentLanguage)
		set(h, "Content-Disposition", like.ContentDisposition)
		set(h, "Cache-Control", like.CacheControl)
		h.Del("X-Amz-Tagging")
		set(h, "X-Amz-Tagging", o.LikeTags)
		set(h, "X-Amz-Storage-Class", string(s.classLike(like)))
	}
	set(h, "Content-Type", o.ContentType)
	return h
}

func (s *store) encrypted() http.Header {
	h := make(http.Header)
	set(h, "X-Amz-Server-Side-Encryption", s.SSE)
	set(h, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", s.KMSKeyID)
	if s.bucketKey() != nil {
		h.Set("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true")
	}
	return h
}

// set sets a field, unless value is "".
func set(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

func (s *store) payer() types.RequestPayer {
	if s.RequestPayer {
		return types.RequestPayerRequester
	}
	return ""
}

func (s *store) sse() types.ServerSideEncryption { return types.ServerSideEncryption(s.SSE) }

// bucketKey has S3 ask the key management once for many objects.
func (s *store) bucketKey() *bool {
	if s.SSE == string(types.ServerSideEncryptionAwsKms) {
		return aws.Bool(true)
	}
	return nil
}

func (s *store) kmsKey() *string { return optional(s.KMSKeyID) }

func (s *store) acl() types.ObjectCannedACL { return types.ObjectCannedACL(s.ACL) }

func (s *store) class() types.StorageClass { return types.StorageClass(s.StorageClass) }

func (s *store) tags() *string {
	if len(s.Tags) == 0 {
		return nil
	}
	v := url.Values{}
	for name, value := range s.Tags {
		v.Set(name, value)
	}
	return aws.String(v.Encode())
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
