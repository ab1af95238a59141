package s3_test

import (
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
)

// What cannot work is refused when a store is opened, with the setting that has to change.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	small, err := pages.New(pages.MinBudget)
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]s3.Config{
		"allow_http": {Bucket: "b", Endpoint: "http://127.0.0.1:1"},
		"slash":      {Bucket: "b", Config: bucket.Config{Prefix: "in"}},
		"ca_file":    {Bucket: "b", CAFile: "/nowhere"},
	} {
		c.Memory, c.SweepEvery = small, -1
		a, err := s3.Open(t.Context(), c)
		if err == nil {
			_ = a.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
