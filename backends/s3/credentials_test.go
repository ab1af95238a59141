package s3_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// TestCredentialsOnce has many ask at once, and the service that gives out credentials be asked once.
func TestCredentialsOnce(t *testing.T) {
	var asked atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = fmt.Fprintf(w, `{"AccessKeyId": "testkey", "SecretAccessKey": "testsecret", "Token": "t", "Expiration": %q}`,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer service.Close()
	for name, value := range map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.URL, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_CONFIG_FILE":                        "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	c := config(t, s3fake.Start(t, s3fake.Options{}))
	c.AccessKeyID, c.SecretAccessKey = "", ""
	a := open(t, c)
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() {
			for range 3 {
				if err := buckettest.Put(t.Context(), a, fmt.Sprint(i), "small", backends.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("credentials were asked for %d times", n)
	}
}
