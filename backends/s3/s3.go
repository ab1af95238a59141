// Package s3 stores objects in a bucket of Amazon S3 or of a server that speaks its protocol.
//
// What buckets have in common is in package bucket. Here is the API: the SDK's, but for the requests
// that every file consists of, which are made without its middleware; profiles of what servers can do;
// and the doctor that finds out.
package s3

import (
	"context"
	"fmt"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Config says which bucket, how to reach it and how objects are written into it.
type Config struct {
	bucket.Config

	// Bucket is the bucket's name.
	Bucket string
	// Region is the bucket's; "" is what the environment says, else us-east-1.
	Region string
	// Endpoint is the URL of a server that is not Amazon's.
	Endpoint string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// AllowHTTP permits an Endpoint without TLS.
	AllowHTTP bool
	// CAFile is a PEM file of the authorities that the Endpoint's certificate is checked by, besides
	// those of the system.
	CAFile string

	// AccessKeyID and SecretAccessKey are static keys; without them the SDK's default chain finds
	// some (environment, web identity, Pod Identity, SSO, instance).
	AccessKeyID, SecretAccessKey, SessionToken string
	// AssumeRole is the ARN of a role to take with those, ExternalID what its owner asks for.
	AssumeRole, ExternalID string

	// Profile tells what the server can do; the zero value is AWS.
	Profile Profile

	// StorageClass, SSE ("AES256" or "aws:kms"), KMSKeyID, ACL and Tags are what new objects get;
	// "" leaves them out.
	StorageClass, SSE, KMSKeyID, ACL string
	Tags                             map[string]string
	// RequestPayer: the requests are paid by who makes them.
	RequestPayer bool
}

// Adapter is a bucket, or a prefix of one, as a store.
type Adapter struct {
	*bucket.Adapter
	store *store
	close func()
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

// Open makes a store of a bucket. It asks the bucket nothing: that is Check's.
func Open(ctx context.Context, c Config) (*Adapter, error) {
	if c.Profile == (Profile{}) {
		c.Profile = profiles["aws"]
	}
	if err := c.Defaults(); err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	client, transport, closeIdle, err := newClient(ctx, c)
	if err != nil {
		return nil, err
	}
	hot, err := newHot(ctx, &c, client, transport)
	if err != nil {
		return nil, err
	}
	s := &store{
		Config: c, client: client, hot: hot,
		maxCopy: maxCopy, copyPart: copyPart, partSize: c.firstPart(), smallest: smallestPart,
	}
	return &Adapter{Adapter: bucket.New(ctx, c.Config, s), store: s, close: closeIdle}, nil
}

// Close implements backends.CloudStorageAdapter.
func (a *Adapter) Close() error {
	err := a.Adapter.Close()
	a.close()
	return err
}
