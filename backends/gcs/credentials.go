package gcs

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

const (
	defaultEndpoint = "https://storage.googleapis.com"
	// emulatorVariable has Google's libraries send everything elsewhere, in clear and without
	// credentials. Who has set it expects it to be heeded, or to be told.
	emulatorVariable = "STORAGE_EMULATOR_HOST"
	// scope is that of all requests: objects, and nothing about the bucket.
	scope = "https://www.googleapis.com/auth/devstorage.read_write"
	// tokenTime bounds the getting of a token, which may happen in the background.
	tokenTime = 30 * time.Second
	// iamScope is needed to take another account's rights.
	iamScope = "https://www.googleapis.com/auth/iam"
)

var errCredentials = errors.New("no credentials")

// tokens gives out what requests are authorized by.
type tokens interface {
	Token(ctx context.Context) (*auth.Token, error)
}

// endpoint is where the bucket is: without a slash at its end.
func (c *Config) endpoint() (*url.URL, error) {
	text := c.Endpoint
	if host := os.Getenv(emulatorVariable); host != "" && text == "" {
		if !c.AllowHTTP {
			return nil, fmt.Errorf("%s is set, which would send files in clear to %q; unset it, or set allow_http: true", emulatorVariable, host)
		}
		text, c.Anonymous = host, true
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
	}
	if err := bucket.CheckEndpoint(text, c.AllowHTTP); err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if c.Anonymous && !c.AllowHTTP {
		return nil, errors.New("anonymous is for emulators only; set allow_http: true with it, or leave it out")
	}
	u, err := url.Parse(cmp.Or(strings.TrimSuffix(text, "/"), defaultEndpoint))
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	return u, nil
}

func (c *Config) transport() (*http.Transport, error) {
	var roots *x509.CertPool
	if c.CAFile != "" {
		var err error
		if roots, err = bucket.Authorities(c.CAFile); err != nil {
			return nil, err
		}
	}
	return bucket.NewTransport(roots), nil
}

// tokens finds the credentials. It may ask whether there is a metadata server, nothing else.
func (c *Config) tokens(ctx context.Context, wire http.RoundTripper) (tokens, error) {
	if c.Anonymous {
		return nil, nil //nolint:nilnil // which is what anonymous is
	}
	o := &credentials.DetectOptions{Scopes: []string{scope}, Client: &http.Client{Transport: wire, Timeout: tokenTime}}
	if c.Impersonate != "" {
		o.Scopes = []string{iamScope}
	}
	o.CredentialsFile = c.CredentialsFile //nolint:staticcheck // any kind will do: it is the operator's own
	own, err := credentials.DetectDefault(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCredentials, err)
	}
	if c.Impersonate == "" {
		return own, nil
	}
	taken, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: c.Impersonate, Scopes: []string{scope}, Credentials: own,
		Client: &http.Client{Transport: authorized{wire, own}, Timeout: tokenTime},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: impersonate: %w", errCredentials, err)
	}
	return taken, nil
}

// authorized adds credentials to requests for those of another account.
type authorized struct {
	http.RoundTripper
	tokens tokens
}

// RoundTrip implements http.RoundTripper.
func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	t, err := a.tokens.Token(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+t.Value)
	return a.RoundTripper.RoundTrip(r)
}
