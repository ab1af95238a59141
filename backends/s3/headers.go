package s3

import (
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What the configuration says of every new object and of every request: as a header, and as the SDK
// wants it.

// headerCRC is that of a checksum of the content: a CRC-32 in base64, big-endian.
const headerCRC = "X-Amz-Checksum-Crc32"

// newObject is the header of an object that is written with one request:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (a *Adapter) newObject(metadata map[string]string) http.Header {
	h := a.encrypted()
	set(h, "X-Amz-Storage-Class", a.StorageClass)
	set(h, "X-Amz-Acl", a.ACL)
	set(h, "X-Amz-Tagging", aws.ToString(a.tags()))
	for name, value := range metadata {
		h.Set("X-Amz-Meta-"+name, value)
	}
	return h
}

func (a *Adapter) encrypted() http.Header {
	h := make(http.Header)
	set(h, "X-Amz-Server-Side-Encryption", a.SSE)
	set(h, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", a.KMSKeyID)
	if a.bucketKey() != nil {
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

func (a *Adapter) payer() types.RequestPayer {
	if a.RequestPayer {
		return types.RequestPayerRequester
	}
	return ""
}

func (a *Adapter) sse() types.ServerSideEncryption { return types.ServerSideEncryption(a.SSE) }

// bucketKey has S3 ask the key management once for many objects.
func (a *Adapter) bucketKey() *bool {
	if a.SSE == string(types.ServerSideEncryptionAwsKms) {
		return aws.Bool(true)
	}
	return nil
}

func (a *Adapter) kmsKey() *string { return optional(a.KMSKeyID) }

func (a *Adapter) acl() types.ObjectCannedACL { return types.ObjectCannedACL(a.ACL) }

func (a *Adapter) class() types.StorageClass { return types.StorageClass(a.StorageClass) }

func (a *Adapter) tags() *string {
	if len(a.Tags) == 0 {
		return nil
	}
	v := url.Values{}
	for name, value := range a.Tags {
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
