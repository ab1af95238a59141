// Package gcsbucket puts a bucket of Google's, as gcsfake has it, behind gateways that are processes of
// their own, and shows it as a folder to scripts that look for files.
package gcsbucket

import (
	"fmt"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
)

// Name is what gcsfake calls a bucket that nobody named.
const Name = "bucket"

// sessionKey is the same for all gateways, as it has to be for those that go on with each other's uploads.
const sessionKey = "c2x1aWNlIHNlYWxzIHNlc3Npb25zIHdpdGggdGhpcy4="

// Options are a bucket for gateways that have no credentials.
func Options() gcsfake.Options { return gcsfake.Options{NoAuth: true} }

// Backend is a bucket as a backend in a configuration of Sluice, with more settings behind.
func Backend(endpoint, more string) string {
	return fmt.Sprintf("{type: gcs, bucket: %s, endpoint: %q, allow_http: true, anonymous: true, session_key: %s%s}",
		Name, endpoint, sessionKey, more)
}
