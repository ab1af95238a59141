package s3

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

const defaultRegion = "us-east-1"

// newClient makes the one client of an adapter, its transport, and what closes that.
func newClient(ctx context.Context, c Config) (*s3.Client, http.RoundTripper, func(), error) {
	if err := bucket.CheckEndpoint(c.Endpoint, c.AllowHTTP); err != nil {
		return nil, nil, nil, fmt.Errorf("s3: endpoint: %w", err)
	}
	cfg, err := awsConfig(ctx, c)
	if err != nil {
		return nil, nil, nil, err
	}
	roots, err := authorities(c, cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	wire := bucket.NewTransport(roots)
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

// authorities are those of the system, and those of ca_file or of AWS_CA_BUNDLE.
func authorities(c Config, cfg aws.Config) (*x509.CertPool, error) {
	if c.CAFile != "" {
		pool, err := bucket.Authorities(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("s3: %w", err)
		}
		return pool, nil
	}
	if bundle, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		if t := bundle.GetTransport().TLSClientConfig; t != nil {
			return t.RootCAs, nil
		}
	}
	return nil, nil //nolint:nilnil // the system's
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
