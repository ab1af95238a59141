package versity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// createBucket makes the bucket by a request: a folder that the server did not make has no owner.
func createBucket(ctx context.Context, s Store) error {
	status, body, err := do(ctx, http.MethodPut, s, "/"+s.Bucket)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("versity: create bucket %q: status %d: %s", s.Bucket, status, body)
	}
	return err
}

// do sends a request, signed unless the store has no access key.
func do(ctx context.Context, method string, s Store, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	if s.AccessKey != "" {
		sign(req, s, time.Now().UTC())
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// sign signs a request that has neither query nor body with AWS Signature Version 4.
func sign(req *http.Request, s Store, now time.Time) {
	const algorithm, headers = "AWS4-HMAC-SHA256", "host;x-amz-content-sha256;x-amz-date"
	day, stamp, payload := now.Format("20060102"), now.Format("20060102T150405Z"), digest("")
	scope := strings.Join([]string{day, s.Region, "s3", "aws4_request"}, "/")
	canonical := strings.Join([]string{
		req.Method, req.URL.EscapedPath(), "",
		"host:" + req.URL.Host, "x-amz-content-sha256:" + payload, "x-amz-date:" + stamp, "",
		headers, payload,
	}, "\n")
	toSign := strings.Join([]string{algorithm, stamp, scope, digest(canonical)}, "\n")
	sum := []byte("AWS4" + s.SecretKey)
	for _, text := range []string{day, s.Region, "s3", "aws4_request", toSign} {
		mac := hmac.New(sha256.New, sum)
		mac.Write([]byte(text))
		sum = mac.Sum(nil)
	}
	req.Header.Set("X-Amz-Content-Sha256", payload)
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		algorithm, s.AccessKey, scope, headers, sum))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
