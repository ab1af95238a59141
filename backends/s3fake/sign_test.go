package s3fake

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The example of the documentation of S3: "GET Object" in "Authenticating Requests: Using the
// Authorization Header".
func TestPublishedSignature(t *testing.T) {
	t.Parallel()
	s := New(Options{
		Bucket: "examplebucket", AccessKey: "AKIAIOSFODNN7EXAMPLE",
		SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		Now:       func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) },
	})
	s.Put("test.txt", []byte("0123456789 and more"), nil)
	get := func(signature string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/test.txt", nil)
		r.Host = "examplebucket.s3.amazonaws.com"
		r.Header.Set("Range", "bytes=0-9")
		r.Header.Set("X-Amz-Date", "20130524T000000Z")
		r.Header.Set("X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
			"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature="+signature)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	const published = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if w := get(published); w.Code != 206 || w.Body.String() != "0123456789" {
		t.Errorf("published signature: %d %s", w.Code, w.Body)
	}
	if w := get(strings.Replace(published, "f0", "f1", 1)); w.Code != 403 {
		t.Errorf("another signature: %d %s", w.Code, w.Body)
	}
}

func TestSignatureRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Region: "eu-north-1"})
	c.s.Put("k", []byte("v"), nil)
	for name, test := range map[string]struct {
		code   string
		client func(c *client)
		change func(r *http.Request)
	}{
		"none":            {"AccessDenied", nil, func(r *http.Request) { r.Header.Del("Authorization") }},
		"access key":      {"InvalidAccessKeyId", func(c *client) { c.access = "other" }, nil},
		"secret":          {"SignatureDoesNotMatch", func(c *client) { c.secret = "other" }, nil},
		"region":          {"AuthorizationHeaderMalformed", func(c *client) { c.region = "us-east-1" }, nil},
		"early":           {"RequestTimeTooSkewed", func(c *client) { c.now = ahead(16 * time.Minute) }, nil},
		"late":            {"RequestTimeTooSkewed", func(c *client) { c.now = ahead(-16 * time.Minute) }, nil},
		"path":            {"SignatureDoesNotMatch", nil, func(r *http.Request) { r.URL.Path += "x" }},
		"query":           {"SignatureDoesNotMatch", nil, func(r *http.Request) { r.URL.RawQuery = "x=1" }},
		"signed header":   {"SignatureDoesNotMatch", nil, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "b") }},
		"host":            {"SignatureDoesNotMatch", nil, func(r *http.Request) { r.Host = "example.com" }},
		"unsigned header": {"AccessDenied", nil, func(r *http.Request) { r.Header.Set("X-Amz-Acl", "private") }},
		"no date":         {"AccessDenied", nil, func(r *http.Request) { r.Header.Del("X-Amz-Date") }},
		"no digest":       {"InvalidRequest", nil, func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }},
		"version 2":       {"InvalidRequest", nil, auth("AWS AKID:sig")},
		"no fields":       {"AuthorizationHeaderMalformed", nil, auth("AWS4-HMAC-SHA256")},
		"scope": {"AuthorizationHeaderMalformed", nil, auth("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, " +
			"Signature=" + strings.Repeat("0", 64))},
		"signature": {"AuthorizationHeaderMalformed", nil, auth("AWS4-HMAC-SHA256 Credential=testkey/20200101/eu-north-1/s3/" +
			"aws4_request, SignedHeaders=host, Signature=xyz")},
		"another day": {"AuthorizationHeaderMalformed", nil, func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", strings.Replace(a, time.Now().UTC().Format("20060102"), "20200101", 1))
		}},
		"host not signed": {"AuthorizationHeaderMalformed", nil, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "=host;", "=", 1))
		}},
		"presigned": {"NotImplemented", nil, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=0" }},
	} {
		t.Run(name, func(t *testing.T) {
			other := *c
			if test.client != nil {
				test.client(&other)
			}
			r := other.request("GET", path("k"), "", "X-Amz-Security-Token", "a")
			if test.change != nil {
				test.change(r)
			}
			a, err := other.send(r)
			if err != nil || a.code() != test.code || a.status != statuses[test.code] {
				t.Errorf("%d %s, want %s: %v %s", a.status, a.code(), test.code, err, a.body)
			}
		})
	}
	c.want(200, "GET", path("k"), "", "X-Amz-Security-Token", "a")
	c.now = ahead(14 * time.Minute)
	c.want(200, "GET", path("k"), "")
}

func ahead(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}

func auth(value string) func(r *http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

func TestPayloadDigest(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	const ofHello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	c.want(200, "PUT", path("k"), "hello", "X-Amz-Content-Sha256", ofHello)
	c.wantCode("XAmzContentSHA256Mismatch", "PUT", path("k"), "hellO", "X-Amz-Content-Sha256", ofHello)
	c.wantCode("InvalidArgument", "PUT", path("k"), "hello", "X-Amz-Content-Sha256", "nonsense")
	c.wantCode("NotImplemented", "PUT", path("k"), "hello", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	wantData(t, c.s, "k", "hello")
}

func TestRegion(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Region: "eu-north-1"})
	if a := c.want(200, "HEAD", "/bucket", ""); a.header.Get("X-Amz-Bucket-Region") != "eu-north-1" {
		t.Errorf("HeadBucket says %q", a.header)
	}
	if a := c.want(200, "GET", "/bucket?location", ""); !strings.Contains(a.body, ">eu-north-1</LocationConstraint>") {
		t.Errorf("GetBucketLocation says %s", a.body)
	}
	c.region = "us-east-1"
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if a := c.want(301, "HEAD", "/bucket", ""); a.header.Get("X-Amz-Bucket-Region") != "eu-north-1" || a.body != "" {
		t.Errorf("HeadBucket from another region says %q", a.header)
	}
	if a := c.wantCode("AuthorizationHeaderMalformed", "GET", "/bucket?location", ""); a.element("Region") != "eu-north-1" {
		t.Errorf("another region: %s", a.body)
	}
	c = newClient(t, Options{})
	if a := c.want(200, "GET", "/bucket?location", ""); !strings.Contains(a.body, "></LocationConstraint>") {
		t.Errorf("GetBucketLocation says %s", a.body)
	}
}
