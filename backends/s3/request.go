package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

const (
	// unsigned leaves the content out of a signature: its CRC is in it, and to hash it with SHA-256
	// costs more than to send it.
	unsigned = "UNSIGNED-PAYLOAD"
	// nothing is the SHA-256 of no content.
	nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

	// maxErrorDocument bounds what is read of an error.
	maxErrorDocument = 64 << 10
)

// hot makes the requests that files consist of: a page of a listing, the writing of an object or a
// part, and the reading of one. The SDK takes several times as much processor time for each as the
// rest of the transfer of a small file does; what it knows of endpoints, credentials and signatures is
// used here as it is. Every other request is the SDK's.
type hot struct {
	transport   http.RoundTripper
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	bucket      url.URL // without a slash at its end
	payer       bool
	// service and region are what signatures are made for.
	service, region string
	// skew is what the store's clock is before ours, in nanoseconds, once it has complained.
	skew atomic.Int64
}

// sigV4 is what the SDK's endpoints call the signatures that are made here.
const sigV4 = "sigv4"

var errSigning = errors.New("it takes another kind of signature: directory buckets and multi-region access points " +
	"cannot be used, name a general purpose bucket or an access point")

// newHot finds out where the SDK would send requests about the bucket.
func newHot(ctx context.Context, c *Config, client *s3.Client, transport http.RoundTripper) (*hot, error) {
	o := client.Options()
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, s3.EndpointParameters{
		Bucket: &c.Bucket, Region: &o.Region, Endpoint: o.BaseEndpoint, ForcePathStyle: &o.UsePathStyle,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		Accelerate:   &o.UseAccelerate, UseArnRegion: &o.UseARNRegion,
		DisableMultiRegionAccessPoints: &o.DisableMultiRegionAccessPoints,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: bucket %q: %w", c.Bucket, err)
	}
	h := &hot{
		transport: transport, credentials: o.Credentials, bucket: endpoint.URI, payer: c.RequestPayer,
		service: "s3", region: o.Region,
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
	}
	schemes, _ := auth.GetAuthOptions(&endpoint.Properties)
	i := slices.IndexFunc(schemes, func(s *auth.Option) bool { return s.SchemeID == sigV4 })
	if i < 0 {
		return nil, fmt.Errorf("s3: bucket %q: %w", c.Bucket, errSigning)
	}
	properties := &schemes[i].SignerProperties
	if region, ok := smithyhttp.GetSigV4SigningRegion(properties); ok {
		h.region = region
	}
	if service, ok := smithyhttp.GetSigV4SigningName(properties); ok {
		h.service = service
	}
	h.bucket.Path = strings.TrimSuffix(h.bucket.Path, "/")
	return h, nil
}

// request is what is asked for. Where it is about an object, full is its name in the bucket.
type request struct {
	method string
	full   string
	query  url.Values
	header http.Header

	body []*bucket.Part // one behind the other
	hash string         // SHA-256 of the body, or unsigned
}

// do sends a request and returns an answer of success, whose body is the caller's to close. An error
// is like the SDK's.
func (h *hot) do(ctx context.Context, r request) (*http.Response, error) {
	credentials, err := h.credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	req := h.build(r).WithContext(ctx)
	now := time.Now().Add(time.Duration(h.skew.Load()))
	hash := req.Header.Get("X-Amz-Content-Sha256")
	if err := h.signer.SignHTTP(ctx, credentials, req, hash, h.service, h.region, now); err != nil {
		return nil, fmt.Errorf("s3: signature: %w", err)
	}
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		err = fmt.Errorf("%s: no answer: %w", r.method, err) // a bare io.EOF would be taken for an end
	} else if resp.StatusCode >= http.StatusMultipleChoices {
		err = h.refusal(resp) // and the connection is closed if the body is still on it
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (h *hot) build(r request) *http.Request {
	u := h.bucket
	if r.full != "" {
		u.RawPath = u.EscapedPath() + "/" + bucket.EscapePath(r.full)
		u.Path += "/" + r.full
	}
	u.RawQuery = r.query.Encode()
	req := &http.Request{
		Method: r.method, URL: &u, Host: u.Host, Header: r.header.Clone(), // an attempt before may still read it
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if req.Header == nil {
		req.Header = make(http.Header, 6) // with those of the signature
	}
	req.Header.Set("User-Agent", "sluice")
	if h.payer {
		req.Header.Set("X-Amz-Request-Payer", "requester")
	}
	hash := nothing
	if body := bucket.NewBody(0, r.body...); body.Len() > 0 {
		req.Body, req.ContentLength, hash = body, body.Len(), r.hash
	}
	req.Header.Set("X-Amz-Content-Sha256", hash)
	return req
}

// refusal makes an error of an answer, as the SDK does: what is no document of S3 has a code made of
// the words of HTTP.
func (h *hot) refusal(resp *http.Response) error {
	var document struct{ Code, Message string }
	content, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorDocument)) // what came of it is enough
	_ = resp.Body.Close()
	if err := xml.Unmarshal(content, &document); err != nil || document.Code == "" {
		document.Message = http.StatusText(resp.StatusCode)
		document.Code = strings.ReplaceAll(document.Message, " ", "")
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && document.Code == "RequestTimeTooSkewed" {
		h.skew.Store(int64(time.Until(date)))
	}
	return &awshttp.ResponseError{
		RequestID: resp.Header.Get("X-Amz-Request-Id"),
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: resp},
			Err:      &smithy.GenericAPIError{Code: document.Code, Message: document.Message},
		},
	}
}

// write sends an object or a part, and returns its ETag.
func (h *hot) write(ctx context.Context, r request) (etag string, err error) {
	r.method = http.MethodPut
	resp, err := h.do(ctx, r) //nolint:bodyclose // Drain does
	if err != nil {
		return "", err
	}
	bucket.Drain(resp)
	if etag = resp.Header.Get("ETag"); etag == "" {
		return "", bucket.ErrNoVersion // it did not come from the store
	}
	return etag, nil
}

// hashOf is that of parts that are signed with their content.
func hashOf(parts ...*bucket.Part) string {
	h := sha256.New()
	_, _ = bucket.NewBody(0, parts...).WriteTo(h) // neither ever fails
	return hex.EncodeToString(h.Sum(nil))
}
