package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Check asks the bucket for one key and what kind it is, and changes nothing. What it returns is a
// *bucket.Finding where the answer tells what is wrong; an error of kind Unavailable may go away by
// itself.
func Check(ctx context.Context, c Config) error {
	c.SweepEvery = -1
	a, err := Open(ctx, c)
	if errors.Is(err, errCredentials) {
		setting, todo := c.advice(err)
		return &bucket.Finding{Setting: setting, Todo: todo, Err: err}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bucket.CheckTime)
	err = c.explain(a.Retry(ctx, bucket.Asking, func(ctx context.Context) error {
		_, err := a.store.List(ctx, bucket.Query{Prefix: a.Prefix, Most: 1})
		return err
	}))
	if err == nil && c.Hierarchical {
		err = a.checkHierarchy(ctx)
	}
	cancel()
	return errors.Join(err, a.Close())
}

var errFlat = errors.New("the bucket has no hierarchical namespace")

// checkHierarchy finds out whether the bucket is what the configuration says.
func (a *Adapter) checkHierarchy(ctx context.Context) error {
	var is bool
	err := a.Retry(ctx, bucket.Asking, func(ctx context.Context) (err error) {
		is, err = a.store.isHierarchical(ctx)
		return err
	})
	if err == nil && !is {
		return &bucket.Finding{Setting: "hierarchical_namespace", Todo: "leave it out, or name a bucket that was made with one", Err: errFlat}
	}
	return a.store.explain(err)
}

// isHierarchical asks what kind the bucket is:
// https://cloud.google.com/storage/docs/json_api/v1/buckets/getStorageLayout
func (s *store) isHierarchical(ctx context.Context) (bool, error) {
	var layout struct{ HierarchicalNamespace struct{ Enabled bool } }
	_, err := s.wire.ask(ctx, request{
		method: http.MethodGet, path: "/storage/v1/b/" + url.PathEscape(s.Bucket) + "/storageLayout",
		query: url.Values{"prefix": {s.Prefix}},
	}, &layout)
	return layout.HierarchicalNamespace.Enabled, err
}

// explain makes a Finding of what a store said.
func (c *Config) explain(err error) error { return bucket.Explain(err, c.Prefix, failure, c.advice) }

// advice says what to do about an error, and to which key of the configuration.
func (c *Config) advice(err error) (setting, todo string) {
	var r *refused
	refusal := errors.As(err, &r)
	switch {
	case errors.Is(err, errCredentials) && c.Impersonate != "" && backends.KindOf(err) != backends.Unavailable:
		return "impersonate_service_account", "correct it, or give the gateway's own account the role Service Account Token Creator on it"
	case errors.Is(err, errCredentials):
		return "credentials_file", "name the key of a service account, or run where Google gives out credentials (Workload Identity, " +
			"GOOGLE_APPLICATION_CREDENTIALS)"
	case refusal && r.kind() == backends.Misconfigured && r.mentionsPayer():
		return "user_project", "the requester pays for this bucket: name the project that does"
	case refusal && r.status == http.StatusUnauthorized:
		return "credentials_file", "the store does not accept these credentials: correct them"
	case refusal && r.kind() == backends.Misconfigured && r.status == http.StatusNotFound:
		return "bucket", fmt.Sprintf("there is no bucket %q: correct its name, or endpoint", c.Bucket)
	case refusal && r.kind() == backends.Permission:
		return "bucket", "these credentials may not list it: give them the role of docs/backends.md"
	case bucket.IsTrust(err):
		return "endpoint", "its certificate is not trusted, or it speaks no TLS: set ca_file, or correct the URL"
	case backends.KindOf(err) == backends.Unavailable:
		return "endpoint", "the store does not answer: correct endpoint, or wait until it does"
	}
	return "", ""
}
