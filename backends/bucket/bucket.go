// Package bucket is what the adapters of object stores have in common, whatever their API: folders
// that are what keys say (a placeholder "dir/", or any key below), listings, reading, publishing
// exactly once, uploads in parts that others can go on with, and renames of folders.
//
// What one request can do in a bucket is asked of a Store, of which there is one for each API. What
// the package keeps for itself in the bucket is below .sluice/.
package bucket

import (
	"context"
	"errors"
	"hash/crc32"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// Config is what is the same for every store.
type Config struct {
	// Prefix goes before every key; it ends with a slash or is "".
	Prefix string
	// MaxRenameObjects is the most objects that the renaming of a folder may move; 0 is 10,000.
	MaxRenameObjects int

	// Memory is the budget for what is on its way.
	Memory *pages.Budget
	// Log is told what happens without anyone asking.
	Log *slog.Logger

	// Transport, if there is one, is put around what sends the requests, so that they can be watched.
	Transport func(http.RoundTripper) http.RoundTripper
	// Kept, if there is one, is told by each sweep what it has found.
	Kept func(backends.Kept)

	// NoResume: uploads that break off are not kept.
	NoResume bool
	// KeepAtLeast is how many bytes of an upload that breaks off are worth to be kept, if it is
	// resumable; 0 is 8 MiB. Less than a part is never kept.
	KeepAtLeast int64
	// KeepFor is how long it is kept; 0 is 24 hours.
	KeepFor time.Duration

	// StaleAfter is the age at which what a killed process left behind is cleaned up; 0 is 24 hours.
	// It has to be longer than any upload can be without a part.
	StaleAfter time.Duration
	// SweepEvery is how often such is looked for, more or less; 0 is one hour, negative never.
	SweepEvery time.Duration
}

const (
	defaultMaxRename   = 10_000
	defaultStaleAfter  = 24 * time.Hour
	defaultSweepEvery  = time.Hour
	defaultKeepAtLeast = 8 * mib

	mib = 1 << 20
)

// Adapter is a bucket, or a prefix of one, as a store of objects and folders.
type Adapter struct {
	Config
	store Store
	// hierarchy is the store's, if it has folders.
	hierarchy Hierarchy

	// heads are beginnings of uploads, buffers what a download moves at once.
	heads, buffers sync.Pool

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

// Defaults fills in what is not said.
func (c *Config) Defaults() error {
	setDefault(&c.MaxRenameObjects, defaultMaxRename)
	setDefault(&c.StaleAfter, defaultStaleAfter)
	setDefault(&c.KeepFor, defaultStaleAfter)
	setDefault(&c.KeepAtLeast, defaultKeepAtLeast)
	setDefault(&c.SweepEvery, defaultSweepEvery)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Prefix != "" && !strings.HasSuffix(c.Prefix, "/") {
		return errors.New("the prefix has to end with a slash")
	}
	return nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// New makes an adapter of a store. It asks the store nothing.
func New(ctx context.Context, c Config, store Store) *Adapter {
	a := &Adapter{Config: c, store: store}
	if store.Traits().Hierarchy {
		a.hierarchy = store.(Hierarchy)
	}
	a.heads.New = func() any { return new([headSize]byte) }
	a.buffers.New = func() any { return new(pages.Page) }
	ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	if c.SweepEvery > 0 {
		a.done.Go(func() {
			backends.Every(ctx, c.SweepEvery, func(ctx context.Context) {
				if err := a.Sweep(ctx); err != nil && ctx.Err() == nil {
					a.Log.Warn("what killed processes left behind was not cleaned up", "err", err)
				}
			})
		})
	}
	return a
}

// Capabilities implements backends.CloudStorageAdapter.
func (a *Adapter) Capabilities() backends.Capabilities {
	t := a.store.Traits()
	return backends.Capabilities{
		Ordered: true, Flat: true, ModTime: true, Metadata: true,
		IfAbsent: t.IfAbsent, Offset: t.IfAbsent && (t.CopyPieces || t.Compose),
		Resume: t.IfAbsent && !a.NoResume, KeepAtLeast: a.KeepAtLeast,
	}
}

// Available implements backends.CloudStorageAdapter: a bucket has no end.
func (a *Adapter) Available(_ context.Context, dir string) (int64, error) {
	return 0, a.Translate("available", dir, Fault(backends.Unsupported, nil))
}

// Close implements backends.CloudStorageAdapter.
func (a *Adapter) Close() error {
	a.stop()
	a.done.Wait()
	return nil
}

// begin is what every method does first.
func (a *Adapter) begin(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return err
		}
		if len(a.Prefix)+len(key) > backends.MaxKey {
			return Fault(backends.InvalidName, errTooLong)
		}
	}
	return backends.Alive(ctx)
}

// full is the object's name in the bucket, folder that of the folder's placeholder, which every key
// in it begins with. The root's is the prefix.
func (a *Adapter) full(key string) string { return a.Prefix + key }

func (a *Adapter) folder(dir string) string {
	if dir == "" {
		return a.Prefix
	}
	return a.Prefix + dir + "/"
}

// private is the name in the bucket of what the package keeps for itself.
func (a *Adapter) private(name string) string { return a.Prefix + backends.Private + "/v1/" + name }

// table is that of the store's checksums.
func (a *Adapter) table() *crc32.Table { return crc32.MakeTable(a.store.Traits().Polynomial) }
