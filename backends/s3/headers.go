package s3

import (
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What the configuration says of every new object and of every request, as the SDK wants it.

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
