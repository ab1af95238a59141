// Package conformance holds adapters to the storage contract against servers that others wrote.
package conformance

import (
	"context"
	"log/slog"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/e2e/versity"
)

// The same suite that the adapter passes on our fake of S3, and so a test of the fake too.
func TestS3(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Store {
		store := versity.Start(t, versity.Options{})
		c := config(t, store)
		a, err := s3.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		return backendtest.Store{
			Adapter: a, PartSize: c.Memory.Parts() / 2, NoControls: true, MaxElement: 255,
			Leftovers: func(t testing.TB) []string { return leftovers(t, store) },
		}
	})
}

// The doctor finds out what the profile says, and cleans up.
func TestDoctor(t *testing.T) {
	store := versity.Start(t, versity.Options{})
	d := s3.Doctor(t.Context(), config(t, store), nil)
	remarks := map[string]bucket.Outcome{}
	for _, r := range d.Results {
		if r.Outcome != bucket.OutcomeOK {
			remarks[r.Probe] = r.Outcome
		}
	}
	want := map[string]bucket.Outcome{ // what is said of this server, and no more
		"complete after abort": bucket.OutcomeWarning, "folder beside file": bucket.OutcomeWarning,
		"lifecycle rule": bucket.OutcomeWarning, "names": bucket.OutcomeWarning,
	}
	if diff := cmp.Diff(want, remarks); diff != "" {
		t.Errorf("%s%+v", diff, d.Results)
	}
	if diff := cmp.Diff([]string{"versity"}, d.Fits); diff != "" {
		t.Error(diff)
	}
	if left := leftovers(t, store); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func config(t *testing.T, store versity.Store) s3.Config {
	t.Helper()
	memory, err := pages.New(pages.MinBudget)
	if err != nil {
		t.Fatal(err)
	}
	profile, ok := s3.ProfileByName("versity")
	if !ok {
		t.Fatal("no such profile")
	}
	return s3.Config{
		Config: bucket.Config{Memory: memory, SweepEvery: -1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))},
		Bucket: store.Bucket, Region: store.Region, Endpoint: store.Endpoint, PathStyle: true, AllowHTTP: true,
		AccessKeyID: store.AccessKey, SecretAccessKey: store.SecretKey,
		Profile: profile,
	}
}

// leftovers asks the server itself for open uploads and for what is private.
func leftovers(t testing.TB, store versity.Store) []string {
	t.Helper()
	client := awss3.New(awss3.Options{
		BaseEndpoint: &store.Endpoint, Region: store.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(store.AccessKey, store.SecretKey, ""),
	})
	ctx := context.Background() // the test's own has ended when the last look is taken
	var left []string
	uploads, err := client.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: &store.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads.Uploads {
		left = append(left, "upload of "+aws.ToString(u.Key))
	}
	keys, err := client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &store.Bucket, Prefix: aws.String(".sluice/")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range keys.Contents {
		left = append(left, aws.ToString(o.Key))
	}
	return left
}
