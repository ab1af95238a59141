package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// kinds are the types of backends that a configuration can name. To add one is one folder below
// backends and one line here.
var kinds = map[string]func() store{
	"local": func() store { return &localStore{Fsync: local.FsyncAlways} },
	"s3": func() store {
		return &s3Store{
			Profile: "aws", MaxRenameObjects: 10_000,
			Resumable: resumable{Enabled: true, TTL: duration(24 * time.Hour), MinSize: 8 << 20},
		}
	},
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
}
