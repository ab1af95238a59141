package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

const (
	defaultRegion = "us-east-1"

	// dialTimeout and the next bound what comes before a request; its own deadline bounds the rest.
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// idleConns is how many connections wait for the next request. The SDK keeps 10, and a burst of
	// small files would pay a TLS handshake for each of the others.
	idleConns = 512
	// idleTimeout is less than the 20 to 60 s after which stores and their balancers hang up.
	idleTimeout = 18 * time.Second
	// ioBuffer is for headers and short answers: bodies go past it.
	ioBuffer = 16 << 10
)

// newClient makes the one client of an adapter, its transport, and what closes that.
func newClient(ctx context.Context, c Config) (*s3.Client, http.RoundTripper, func(), error) {
	if err := CheckEndpoint(c.Endpoint, c.AllowHTTP); err != nil {
		return nil, nil, nil, fmt.Errorf("s3: endpoint: %w", err)
	}
	cfg, err := awsConfig(ctx, c)
	if err != nil {
		return nil, nil, nil, err
	}
	wire, err := newTransport(c, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	var transport http.RoundTripper = wire
	if c.Transport != nil {
		transport = c.Transport(wire)
	}
	httpClient := &http.Client{
		Transport: transport,
		// The SDK signs for one host: to follow is to send a signature elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
		o.UsePathStyle = c.PathStyle
		o.HTTPClient = httpClient
		// The checksums are ours, and so are the retries: the SDK's share a number of them between
		// all requests, so that a store's bad minute would fail every upload after a hundred.
		o.Retryer = aws.NopRetryer{}
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.ContinueHeaderThresholdBytes = -1 // some servers refuse Expect: 100-continue
		o.DisableLogOutputChecksumValidationSkipped = true
		// It would write to standard error by itself.
		o.Logger = logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			c.Log.Debug("from the SDK", "text", fmt.Sprintf(format, v...))
		})
	})
	return client, transport, wire.CloseIdleConnections, nil
}

// CheckEndpoint refuses what cannot be an endpoint. "" is Amazon's.
func CheckEndpoint(endpoint string, allowHTTP bool) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not a URL; write it like https://host or https://host:port", endpoint)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("it has more than a host and a path; leave out user, query and fragment")
	case u.Scheme == "http" && !allowHTTP:
		return fmt.Errorf("%q is not encrypted; write https, or set allow_http: true", endpoint)
	}
	return nil
}

// newTransport speaks HTTP/1.1 only: on one HTTP/2 connection all parts would share one window.
func newTransport(c Config, cfg aws.Config) (*http.Transport, error) {
	roots, err := authorities(c, cfg)
	if err != nil {
		return nil, err
	}
	tlsConfig := &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			return plainConn{c}, err
		},
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: handshakeTimeout,
		Protocols:           &protocols,
		MaxIdleConns:        idleConns,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTimeout,
		ReadBufferSize:      ioBuffer,
		WriteBufferSize:     ioBuffer,
		DisableCompression:  true,
	}, nil
}

// authorities are those of the system, and those of ca_file or of AWS_CA_BUNDLE.
func authorities(c Config, cfg aws.Config) (*x509.CertPool, error) {
	if c.CAFile == "" {
		if bundle, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
			if t := bundle.GetTransport().TLSClientConfig; t != nil {
				return t.RootCAs, nil
			}
		}
		return nil, nil //nolint:nilnil // the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("s3: ca_file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("s3: ca_file %q: no certificate in it", c.CAFile)
	}
	return pool, nil
}

// awsConfig is what the environment and the configuration say of region and credentials. It has a
// client of its own, for the services that give out credentials.
func awsConfig(ctx context.Context, c Config) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("s3: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if c.AssumeRole != "" {
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), c.AssumeRole, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "sluice"
			if c.ExternalID != "" {
				o.ExternalID = aws.String(c.ExternalID)
			}
		})
		cfg.Credentials = aws.NewCredentialsCache(role)
	}
	cfg.Credentials = named{cfg.Credentials}
	return cfg, nil
}

// named lets the lack of credentials be told from other failures.
type named struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (n named) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", errCredentials, err)
	}
	return c, err
}
