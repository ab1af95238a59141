package gcs

import (
	"errors"
	"fmt"
	"testing"

	"cloud.google.com/go/compute/metadata"

	"github.com/sluice-ftp/sluice/backends"
)

// Who gives out tokens may be away for a moment, or has refused for good.
func TestTokenFailures(t *testing.T) {
	for text, test := range map[string]struct {
		err   error
		kind  backends.Kind
		retry bool
	}{
		"metadata server busy":    {&metadata.Error{Code: 503, Message: "x"}, backends.Unavailable, true},
		"metadata server refuses": {&metadata.Error{Code: 403, Message: "x"}, backends.Misconfigured, false},
		"impersonation busy":      {errors.New("impersonate: status code 503: busy"), backends.Unavailable, true},
		"impersonation too fast":  {errors.New("credentials: status code 429: slow down"), backends.Unavailable, true},
		"impersonation refused":   {errors.New("impersonate: status code 403: no"), backends.Misconfigured, false},
		"no file":                 {errors.New("open nowhere: no such file"), backends.Misconfigured, false},
	} {
		f := failure(fmt.Errorf("%w: credentials: cannot fetch token: %w", errCredentials, test.err))
		if f.Kind != test.kind || f.Retry != test.retry || f.Unsure {
			t.Errorf("%s: %+v", text, f)
		}
	}
}
