package gcs

import (
	"crypto/rand"
	"maps"
	"strconv"
	"time"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Names of metadata that tell the time of a file: rclone's, in RFC 3339, and gsutil's, in seconds.
const (
	metaModTime  = bucket.MetaModTime
	metaReserved = "goog-reserved-file-mtime"
)

// toGoogle writes the time as other programs for this store do.
func toGoogle(m map[string]string) map[string]string {
	t, ok := bucket.ParseModTime(m[metaModTime])
	if !ok {
		return m
	}
	m = maps.Clone(m)
	m[metaModTime], m[metaReserved] = t.Format(time.RFC3339Nano), strconv.FormatInt(t.Unix(), 10)
	return m
}

// fromGoogle reads it.
func fromGoogle(m map[string]string) map[string]string {
	text := m[metaModTime]
	t, err := time.Parse(time.RFC3339Nano, text)
	if seconds, failed := strconv.ParseInt(m[metaReserved], 10, 64); err != nil && failed == nil {
		t, err = time.Unix(seconds, 0), nil
	}
	if err != nil {
		return m
	}
	m = maps.Clone(m)
	m[metaModTime] = bucket.FormatModTime(t)
	delete(m, metaReserved)
	return m
}

// newBoundary is between the pieces of a request, and in none of them.
func newBoundary() string { return "sluice-" + rand.Text() }
