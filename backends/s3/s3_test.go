package s3_test

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

func TestMain(m *testing.M) {
	// What the machine says to others is not for these tests; authorities would be read at every opening.
	for _, name := range os.Environ() {
		if name, _, _ = strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

const testPart = pages.Size

// memory is more than all tests need at once: who cares has a budget of its own. To touch new memory is
// much of what a test takes where races are looked for.
var memory = sync.OnceValue(func() *pages.Budget {
	b, err := pages.New(512 << 20)
	if err != nil {
		panic(err)
	}
	return b
})

// config is for a fake with nothing special.
func config(t testing.TB, f *s3fake.Server) s3.Config {
	t.Helper()
	return configAt(t, f.URL())
}

// configAt is for one that is somewhere else.
func configAt(t testing.TB, endpoint string) s3.Config {
	t.Helper()
	return s3.Config{
		Config: bucket.Config{Memory: memory(), SweepEvery: -1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))},
		Bucket: "bucket", Region: "us-east-1", Endpoint: endpoint, PathStyle: true, AllowHTTP: true,
		AccessKeyID: "testkey", SecretAccessKey: "testsecret",
	}
}

func open(t testing.TB, c s3.Config) *s3.Adapter {
	t.Helper()
	a, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	a.SetSizes(testPart, 4*testPart, testPart)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// leftovers are open uploads, and what is ours in the bucket.
func leftovers(f *s3fake.Server, prefix string) []string {
	var left []string
	for _, u := range f.Uploads() {
		left = append(left, "upload of "+u.Key)
	}
	for _, key := range f.Keys() {
		if strings.HasPrefix(key, prefix+".sluice/") {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	return left
}

func TestContract(t *testing.T) {
	for _, test := range []struct {
		name    string
		profile string
		prefix  string
		quirks  s3fake.Quirks
	}{
		{name: "aws", profile: "aws", prefix: "a/deep prefix/"},
		{name: "versity", profile: "versity", quirks: s3fake.Quirks{IgnoreConditionalCopy: true, CompleteAfterAbort: true}},
		{name: "minio", profile: "minio", quirks: s3fake.Quirks{
			IgnoreConditionalCopy: true, IgnoreConditionalDelete: true, CompleteOnce: true, ExactUploadPrefix: true,
		}},
		{name: "r2", profile: "r2", quirks: s3fake.Quirks{UniformParts: true, NoChecksums: true}},
		{name: "generic", profile: "generic", quirks: s3fake.Quirks{
			NoConditionalPut: true, NoConditionalComplete: true, NoChecksums: true, RepeatPrefixes: true, CompleteOnce: true,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.quirks.MinPartSize = testPart
			backendtest.Run(t, func(t *testing.T) backendtest.Store {
				f := s3fake.Start(t, s3fake.Options{Quirks: test.quirks})
				c := config(t, f)
				c.Profile, _ = s3.ProfileByName(test.profile)
				c.Prefix = test.prefix
				return backendtest.Store{
					Adapter: open(t, c), PartSize: testPart,
					Leftovers: func(testing.TB) []string { return leftovers(f, c.Prefix) },
				}
			})
		})
	}
}
