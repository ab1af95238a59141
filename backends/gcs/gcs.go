// Package gcs stores objects in a bucket of Google Cloud Storage.
//
// What buckets have in common is in package bucket. Here is the API: the JSON one, and for reading the
// XML one, which says with the content what is to be known of it. Uploads that do not fit into one
// request are resumable sessions, of which any process can go on with what another began.
package gcs

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Config says which bucket, how to reach it and how objects are written into it.
type Config struct {
	bucket.Config

	// Bucket is the bucket's name.
	Bucket string
	// Endpoint is the URL of a server that is not https://storage.googleapis.com.
	Endpoint string
	// AllowHTTP permits an Endpoint without TLS, and one that is named by STORAGE_EMULATOR_HOST.
	AllowHTTP bool
	// CAFile is a PEM file of the authorities that the Endpoint's certificate is checked by, besides
	// those of the system.
	CAFile string

	// CredentialsFile is a key of a service account or a description of a federated identity; ""
	// finds the application default ones: GOOGLE_APPLICATION_CREDENTIALS, those of gcloud, or the
	// metadata server's.
	CredentialsFile string
	// Impersonate is the service account whose rights are taken with those.
	Impersonate string
	// Anonymous: no credentials are sent. It is for emulators, and needs AllowHTTP.
	Anonymous bool

	// Hierarchical: the bucket has a hierarchical namespace, so that folders are renamed at once.
	Hierarchical bool
	// UserProject is who pays for requests to a bucket whose requester pays.
	UserProject string
	// StorageClass and KMSKey are what new objects get; "" is what the bucket says.
	StorageClass, KMSKey string

	// SessionKey seals the sessions of uploads that are kept, 32 bytes; without one none is kept. A
	// session is a credential: who has its name can write the object.
	SessionKey []byte
}

// Adapter is a bucket, or a prefix of one, as a store.
type Adapter struct {
	*bucket.Adapter
	store *store
	close func()
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

// Open makes a store of a bucket. It asks the bucket nothing: that is Check's.
func Open(ctx context.Context, c Config) (*Adapter, error) {
	if err := c.Defaults(); err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	s, closeIdle, err := newStore(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	if s.NoResume = s.NoResume || len(c.SessionKey) == 0; len(c.SessionKey) > 0 {
		if s.seal, err = newSeal(c.SessionKey); err != nil {
			return nil, fmt.Errorf("gcs: session_key: %w", err)
		}
	}
	return &Adapter{Adapter: bucket.New(ctx, s.Config.Config, s), store: s, close: closeIdle}, nil
}

// Close implements backends.CloudStorageAdapter.
func (a *Adapter) Close() error {
	err := a.Adapter.Close()
	a.close()
	return err
}

// newStore makes a store, and what closes its connections.
func newStore(ctx context.Context, c Config) (*store, func(), error) {
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, nil, err
	}
	wire, err := c.transport()
	if err != nil {
		return nil, nil, err
	}
	tokens, err := c.tokens(ctx, wire)
	if err != nil {
		return nil, nil, err
	}
	var transport http.RoundTripper = wire
	if c.Transport != nil {
		transport = c.Transport(wire)
	}
	s := &store{
		Config:   c,
		wire:     &wireAPI{transport: transport, tokens: tokens, endpoint: *endpoint, userProject: c.UserProject},
		partSize: c.firstPart(),
	}
	return s, wire.CloseIdleConnections, nil
}
