package s3fake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	signAlgorithm = "AWS4-HMAC-SHA256"
	signTime      = "20060102T150405Z"
	unsigned      = "UNSIGNED-PAYLOAD"
)

// credential is an Authorization header of Signature Version 4.
type credential struct {
	access, day, region string
	signed              []string // names of headers in lower case
	signature           []byte
}

// authenticate verifies the signature of the request. The digest of the payload that it covers is
// left to whoever reads the body.
func (c *call) authenticate() error {
	auth := c.Header.Get("Authorization")
	switch {
	case c.Query.Has("X-Amz-Algorithm") || c.Query.Has("X-Amz-Signature"):
		return notImplemented("X-Amz-Signature")
	case auth == "":
		return refuse("AccessDenied", "Access Denied")
	case !strings.HasPrefix(auth, signAlgorithm):
		return refuse("InvalidRequest", "The authorization mechanism you have provided is not supported. "+
			"Please use %s.", signAlgorithm)
	}
	cred, err := parseCredential(strings.TrimPrefix(auth, signAlgorithm))
	if err != nil {
		return err
	}
	if err := c.checkScope(cred); err != nil {
		return err
	}
	date, err := c.checkDate(cred)
	if err != nil {
		return err
	}
	if err := c.checkSigned(cred); err != nil {
		return err
	}
	canonical := c.canonicalRequest(cred.signed)
	if !hmac.Equal(cred.signature, sign(c.s.o.SecretKey, cred, date, canonical)) {
		return refuse("SignatureDoesNotMatch", "The request signature we calculated does not match the "+
			"signature you provided. Check your key and signing method.").with("CanonicalRequest", canonical)
	}
	return nil
}

func malformedAuth(what string) *failure {
	return refuse("AuthorizationHeaderMalformed", "The authorization header is malformed; %s", what)
}

func parseCredential(auth string) (credential, error) {
	fields := map[string]string{}
	for f := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[name] = value
	}
	// An access key has no slash, but the service is one of five and may be trusted to be last.
	scope := strings.Split(fields["Credential"], "/")
	signature, err := hex.DecodeString(fields["Signature"])
	switch {
	case len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request":
		return credential{}, malformedAuth("the Credential is mal-formed; expecting " +
			"\"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\".")
	case err != nil || len(signature) != sha256.Size:
		return credential{}, malformedAuth("the Signature is mal-formed.")
	case fields["SignedHeaders"] == "":
		return credential{}, malformedAuth("missing SignedHeaders.")
	}
	return credential{scope[0], scope[1], scope[2], strings.Split(fields["SignedHeaders"], ";"), signature}, nil
}

func (c *call) checkScope(cred credential) error {
	switch {
	case cred.region != c.s.o.Region && c.Op == "HeadBucket":
		f := refuse("PermanentRedirect", "The bucket is in this region: %s", c.s.o.Region)
		f.header = http.Header{"X-Amz-Bucket-Region": {c.s.o.Region}}
		return f
	case cred.region != c.s.o.Region:
		return malformedAuth(fmt.Sprintf("the region '%s' is wrong; expecting '%s'", cred.region, c.s.o.Region)).
			with("Region", c.s.o.Region)
	case cred.access != c.s.o.AccessKey:
		return refuse("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.").
			with("AWSAccessKeyId", cred.access)
	}
	return nil
}

// checkDate returns the time of the signature as it was signed.
func (c *call) checkDate(cred credential) (string, error) {
	date, err := time.Parse(signTime, c.Header.Get("X-Amz-Date"))
	if err != nil {
		if date, err = http.ParseTime(c.Header.Get("Date")); err != nil {
			return "", refuse("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
		}
	}
	signed := date.UTC().Format(signTime)
	switch skew := c.s.o.Now().Sub(date); {
	case skew.Abs() > maxSkew:
		return "", refuse("RequestTimeTooSkewed", "The difference between the request time and the current "+
			"time is too large.").with("RequestTime", signed)
	case !strings.HasPrefix(signed, cred.day):
		return "", malformedAuth("Invalid credential date. This date is not the same as X-Amz-Date.")
	}
	return signed, nil
}

// checkSigned sees to it that the signature covers what it has to.
func (c *call) checkSigned(cred credential) error {
	for name := range c.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(cred.signed, name) {
			return refuse("AccessDenied", "There were headers present in the request which were not signed").
				with("HeadersNotSigned", name)
		}
	}
	if !slices.Contains(cred.signed, "host") {
		return malformedAuth("the host header must be signed.")
	}
	payload := c.Header.Get("X-Amz-Content-Sha256")
	sum, err := hex.DecodeString(payload)
	switch {
	case payload == "":
		return refuse("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	case strings.HasPrefix(payload, "STREAMING-"): // aws-chunked
		return notImplemented("x-amz-content-sha256: " + payload)
	case payload != unsigned && (err != nil || len(sum) != sha256.Size):
		return refuse("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.")
	}
	return nil
}

// canonicalRequest is the request in the form that is signed. S3, unlike other services, neither
// cleans the path nor encodes it twice.
func (c *call) canonicalRequest(signed []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", c.R.Method, signEncode(c.R.URL.Path, true), canonicalQuery(c.Query))
	for _, name := range signed {
		values := slices.Clone(c.R.Header.Values(name))
		if name == "host" {
			values = []string{c.R.Host}
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(values, ","))
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(signed, ";"), c.Header.Get("X-Amz-Content-Sha256"))
	return b.String()
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, signEncode(name, false)+"="+signEncode(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// signEncode is the percent encoding of RFC 3986; path leaves slashes.
func signEncode(s string, path bool) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0,
			path && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func sign(secret string, cred credential, date, canonical string) []byte {
	scope := strings.Join([]string{cred.day, cred.region, "s3", "aws4_request"}, "/")
	digest := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + secret)
	for _, part := range []string{
		cred.day, cred.region, "s3", "aws4_request",
		strings.Join([]string{signAlgorithm, date, scope, hex.EncodeToString(digest[:])}, "\n"),
	} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return key
}
