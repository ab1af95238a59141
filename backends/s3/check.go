package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Check asks the bucket for one key, and changes nothing. What it returns is a *bucket.Finding where the
// answer tells what is wrong; an error of kind Unavailable may go away by itself.
func Check(ctx context.Context, c Config) error {
	c.SweepEvery = -1
	a, err := Open(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bucket.CheckTime)
	err = a.Retry(ctx, bucket.Asking, func(ctx context.Context) error {
		_, err := a.store.List(ctx, bucket.Query{Prefix: a.Prefix, Most: 1})
		return err
	})
	cancel()
	return errors.Join(c.explain(err), a.Close())
}

// explain makes a Finding of what a store said.
func (c *Config) explain(err error) error { return bucket.Explain(err, c.Prefix, failure, c.advice) }

func (c *Config) advice(err error) (setting, todo string) {
	if errors.Is(err, errCredentials) {
		return "access_key_id", "give it and secret_access_key, or run where AWS gives out credentials (a role, a web identity, a profile)"
	}
	switch code(err) {
	case "NoSuchBucket", "InvalidBucketName", "NotFound":
		return "bucket", fmt.Sprintf("there is no bucket %q there: correct its name, or region or endpoint", c.Bucket)
	case "InvalidAccessKeyId", "XAdminUserNotFound":
		return "access_key_id", "the store does not know this access key: correct it, or endpoint"
	case "SignatureDoesNotMatch":
		return "secret_access_key", "it does not belong to the access key: correct it"
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return "bucket", "the session token is not valid any more: renew the credentials"
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "MovedPermanently", "IllegalLocationConstraintException":
		if region := regionOf(err); region != "" {
			return "region", "the bucket is in another one: set it to " + region
		}
		return "region", "the bucket is in another one: correct it"
	case "RequestTimeTooSkewed":
		return "endpoint", "the clocks of this machine and of the store differ by more than 15 minutes: set this one's by NTP"
	case "AccessDenied", "Forbidden":
		return "bucket", "these credentials may not list it: give them the rights of docs/backends.md"
	}
	switch {
	case bucket.IsTrust(err):
		return "endpoint", "its certificate is not trusted, or it speaks no TLS: set ca_file, or correct the URL"
	case backends.KindOf(err) == backends.Unavailable:
		return "endpoint", "the store does not answer: correct endpoint or region, or wait until it does"
	}
	return "", ""
}

// regionOf is the region that a store says a bucket is in.
func regionOf(err error) string {
	var re *awshttp.ResponseError
	if !errors.As(err, &re) || re.Response == nil {
		return ""
	}
	return http.Header(re.Response.Header).Get("X-Amz-Bucket-Region")
}
