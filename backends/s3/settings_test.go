package s3_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// TestWrongSettings: the first use and Check name what is wrong, and an upload leaves nothing.
func TestWrongSettings(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(c *s3.Config)
		kind    backends.Kind
		setting string
	}{
		{"bucket", func(c *s3.Config) { c.Bucket = "another" }, backends.Misconfigured, "bucket"},
		{"region", func(c *s3.Config) { c.Region = "eu-central-1" }, backends.Misconfigured, "region"},
		{"key", func(c *s3.Config) { c.AccessKeyID = "another" }, backends.Misconfigured, "access_key_id"},
		{"secret", func(c *s3.Config) { c.SecretAccessKey = "another" }, backends.Misconfigured, "secret_access_key"},
		{"no TLS there", func(c *s3.Config) { c.Endpoint = "https" + c.Endpoint[len("http"):] }, backends.Misconfigured, "endpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{})
			c := config(t, f)
			test.change(&c)
			var finding *bucket.Finding
			checking, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := s3.Check(checking, c); !errors.As(err, &finding) || finding.Setting != test.setting {
				t.Errorf("check: %v", err)
			}
			a := open(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // to try again is no use
			defer cancel()
			for verb, do := range buckettest.Verbs(ctx, a) {
				if err := do(); backends.KindOf(err) != test.kind {
					t.Errorf("%s: %v", verb, err)
				}
			}
			if len(f.Keys()) > 0 || len(f.Uploads()) > 0 {
				t.Error("something was written")
			}
		})
	}
}

// TestNobodyListens: an endpoint that is not there may come back.
func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, s3fake.New(s3fake.Options{}))
	c.Endpoint = "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var finding *bucket.Finding
	if err := s3.Check(ctx, c); !errors.As(err, &finding) || finding.Setting != "endpoint" ||
		backends.KindOf(err) != backends.Unavailable {
		t.Errorf("check: %v", err)
	}
}

// TestWrongClock: a clock that is an hour wrong is corrected by the store's answer, or named.
func TestWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			skewed := kind
			skewed.New = func(buckettest.Options) buckettest.Fake {
				return fake{s3fake.New(s3fake.Options{Now: func() time.Time { return time.Now().Add(ahead) }})}
			}
			buckettest.InBubble(t, &skewed, buckettest.Options{}, func(b *buckettest.Bubble) {
				for verb, do := range buckettest.Verbs(b.Context(), b.Open()) {
					if err := do(); backends.KindOf(err) == backends.Misconfigured {
						b.Errorf("%s: %v", verb, err)
					}
				}
			})
		})
	}
}
