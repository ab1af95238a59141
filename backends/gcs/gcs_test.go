package gcs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/backends/pages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testPart = pages.Size

var testTime = time.Unix(1_500_000_000, 0)

// privateKey is that of a service account. To make one takes a moment.
var privateKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
})

// keyFile is a key of a service account that gets its tokens at url.
func keyFile(t testing.TB, url string) string {
	t.Helper()
	content, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": string(privateKey()),
		"client_email": "sluice@p.iam.gserviceaccount.com", "token_uri": url,
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

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
func config(t testing.TB, f *gcsfake.Server) gcs.Config {
	t.Helper()
	return configAt(t, f.URL())
}

// configAt is for one that is somewhere else.
func configAt(t testing.TB, endpoint string) gcs.Config {
	t.Helper()
	return gcs.Config{
		Config: bucket.Config{Memory: memory(), SweepEvery: -1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))},
		Bucket: "bucket", Endpoint: endpoint, AllowHTTP: true,
		CredentialsFile: keyFile(t, endpoint+"/token"), SessionKey: bytes.Repeat([]byte{7}, gcs.KeySize),
	}
}

func open(t testing.TB, c gcs.Config) *gcs.Adapter {
	t.Helper()
	a, err := gcs.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	a.SetSizes(testPart)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// leftovers are open sessions, and what is ours in the bucket.
func leftovers(f *gcsfake.Server, prefix string) []string {
	var left []string
	for _, s := range f.Sessions() {
		left = append(left, "session of "+s.Name)
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
		prefix  string
		options gcsfake.Options
	}{
		{name: "flat", prefix: "a/deep prefix/"},
		{name: "small pages", options: gcsfake.Options{PageSize: 2, Quirks: gcsfake.Quirks{RepeatPrefixes: true, PersistNothing: true, RewriteStep: testPart}}},
		{name: "hierarchical", prefix: "in/", options: gcsfake.Options{Hierarchical: true, Quirks: gcsfake.Quirks{SlowRename: true}}},
		{name: "without moving", options: gcsfake.Options{Quirks: gcsfake.Quirks{NoMove: true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backendtest.Store {
				f := gcsfake.Start(t, test.options)
				c := config(t, f)
				c.Prefix, c.Hierarchical = test.prefix, test.options.Hierarchical
				return backendtest.Store{
					Adapter: open(t, c), PartSize: testPart,
					Leftovers: func(testing.TB) []string { return leftovers(f, c.Prefix) },
				}
			})
		})
	}
}
