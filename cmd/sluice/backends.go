package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// kinds are the types of backends that a configuration can name. To add one is one folder below
// backends and one line here.
var kinds = map[string]func() store{
	"local": func() store { return &localStore{Fsync: local.FsyncAlways, Resumable: kept} },
	"s3": func() store {
		return &s3Store{bucketStore: newBucketStore(), Profile: "aws"}
	},
	"gcs": func() store { return &gcsStore{bucketStore: newBucketStore()} },
}

// store is the part of a configuration that describes one backend: a struct with its keys, filled
// in with their defaults.
type store interface {
	// check reports to v what is wrong with the values; key is the path to them.
	check(v validator, key string)
	// where is the key whose value open or examine failed for with err, below that of the backend.
	where(err error) string
	// open opens what is described.
	open(ctx context.Context, s settings) (backends.CloudStorageAdapter, error)
	// examine returns what open would fail with, or the first use would, and changes nothing.
	examine(ctx context.Context, s settings) error
	// conditional: it can store a file only if there is none of that name, which those need who may
	// not overwrite.
	conditional() bool
}

// settings are what a backend needs from the rest of a configuration.
type settings struct {
	log        *slog.Logger
	bufferSize int
	memory     *pages.Budget
	watch      watch
}

// watch is told what happens between a backend and its store. What is nil is not wanted.
type watch struct {
	transport func(http.RoundTripper) http.RoundTripper
	kept      func(backends.Kept)
}

// resumable says which uploads that break off are kept, and for how long.
type resumable struct {
	Enabled bool     `yaml:"enabled"`
	TTL     duration `yaml:"ttl"`
	MinSize size     `yaml:"min_size"`
}

// kept is the default: a partner that gave up in the evening goes on in the morning.
var kept = resumable{Enabled: true, TTL: duration(24 * time.Hour), MinSize: 8 << 20}

// minTTL is less than any pause after which a partner tries again by itself.
const minTTL = 5 * time.Minute

func (r *resumable) check(v validator, key string) {
	if r.TTL < duration(minTTL) {
		v.problem(key+".ttl", "%v is too short to come back in; give %v or more", r.TTL, shortDuration(minTTL))
	}
	if r.MinSize < 1 {
		v.problem(key+".min_size", "%d is not a size; give 1 or more", r.MinSize)
	}
}
