// Package s3 stores objects in a bucket of Amazon S3 or of a server that speaks its protocol.
//
// Uploads are streamed in parts that are kept in pages of one memory budget until the store has
// them, and become visible with one request that is safe to repeat. Folders are what their keys
// say: a placeholder "dir/", or any key below. What the package keeps for itself in the bucket is
// below .sluice/.
package s3

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// Config says which bucket, how to reach it and how objects are written into it.
type Config struct {
	// Bucket is the bucket's name.
	Bucket string
	// Prefix goes before every key; it ends with a slash or is "".
	Prefix string
	// Region is the bucket's; "" is what the environment says, else us-east-1.
	Region string
	// Endpoint is the URL of a server that is not Amazon's.
	Endpoint string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// AllowHTTP permits an Endpoint without TLS.
	AllowHTTP bool
	// CAFile is a PEM file of the authorities that the Endpoint's certificate is checked by, besides
	// those of the system.
	CAFile string

	// AccessKeyID and SecretAccessKey are static keys; without them the SDK's default chain finds
	// some (environment, web identity, Pod Identity, SSO, instance).
	AccessKeyID, SecretAccessKey, SessionToken string
	// AssumeRole is the ARN of a role to take with those, ExternalID what its owner asks for.
	AssumeRole, ExternalID string

	// Profile tells what the server can do; the zero value is AWS.
	Profile Profile

	// StorageClass, SSE ("AES256" or "aws:kms"), KMSKeyID, ACL and Tags are what new objects get;
	// "" leaves them out.
	StorageClass, SSE, KMSKeyID, ACL string
	Tags                             map[string]string
	// RequestPayer: the requests are paid by who makes them.
	RequestPayer bool

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
	defaultMaxRename  = 10_000
	defaultStaleAfter = 24 * time.Hour
	defaultSweepEvery = time.Hour

	mib = 1 << 20
	gib = 1 << 30
)

// Adapter is a bucket, or a prefix of one, as a store.
type Adapter struct {
	Config
	client *s3.Client
	hot    *hot
	close  func()

	// maxCopy is the largest object that is copied by one request, copyPart the bytes of one when it
	// is larger; partSize that of an upload's first parts, smallest what a part has to have at least
	// unless it is the last.
	maxCopy, copyPart, partSize, smallest int64

	// heads are beginnings of uploads, buffers what a download moves at once.
	heads, buffers sync.Pool

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

// Open makes a store of a bucket. It asks the bucket nothing: that is Check's.
func Open(ctx context.Context, c Config) (*Adapter, error) {
	if c.MaxRenameObjects == 0 {
		c.MaxRenameObjects = defaultMaxRename
	}
	if c.StaleAfter == 0 {
		c.StaleAfter = defaultStaleAfter
	}
	if c.KeepFor == 0 {
		c.KeepFor = defaultStaleAfter
	}
	if c.KeepAtLeast == 0 {
		c.KeepAtLeast = minPart
	}
	if c.SweepEvery == 0 {
		c.SweepEvery = defaultSweepEvery
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Profile == (Profile{}) {
		c.Profile = profiles["aws"]
	}
	if c.Prefix != "" && !strings.HasSuffix(c.Prefix, "/") {
		return nil, errors.New("s3: the prefix has to end with a slash")
	}
	client, transport, closeIdle, err := newClient(ctx, c)
	if err != nil {
		return nil, err
	}
	hot, err := newHot(ctx, &c, client, transport)
	if err != nil {
		return nil, err
	}
	a := &Adapter{
		Config: c, client: client, hot: hot, close: closeIdle,
		maxCopy: maxCopy, copyPart: copyPart, partSize: c.firstPart(), smallest: smallestPart,
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
	return a, nil
}

// firstPart is the size of an upload's first parts, or of all: less than it might be if the budget has
// no room for two.
func (c *Config) firstPart() int64 {
	size := int64(minPart)
	if c.Profile.UniformParts {
		size = uniformPart
	}
	if c.Memory != nil {
		size = min(size, c.Memory.Parts()/2)
	}
	return max(size, smallestPart)
}

// Capabilities implements backends.CloudStorageAdapter.
func (a *Adapter) Capabilities() backends.Capabilities {
	return backends.Capabilities{
		Ordered: true, Flat: true, ModTime: true, Metadata: true,
		IfAbsent: a.Profile.IfAbsent(), Offset: a.Profile.IfAbsent() && a.Profile.PartCopy,
		Resume: a.Profile.IfAbsent() && !a.NoResume, KeepAtLeast: a.KeepAtLeast,
	}
}

// Available implements backends.CloudStorageAdapter: a bucket has no end.
func (a *Adapter) Available(_ context.Context, dir string) (int64, error) {
	return 0, translate("available", dir, fault(backends.Unsupported, nil))
}

// Close implements backends.CloudStorageAdapter.
func (a *Adapter) Close() error {
	a.stop()
	a.done.Wait()
	a.close()
	return nil
}

// begin is what every method does first.
func (a *Adapter) begin(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return err
		}
		if len(a.Prefix)+len(key) > backends.MaxKey {
			return fault(backends.InvalidName, errTooLong)
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
