// Package versity runs versitygw, an S3 server that others wrote, as a child process for the length
// of a test. What our adapter believes about S3 and what our own fake of it does are held against
// this server. It is built from the module in ../versitygw, so that its dependencies are nobody
// else's.
package versity

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// binary is the path of versitygw, built on the first call.
var binary = sync.OnceValues(func() (string, error) {
	return harness.Tool(context.Background(), "versitygw", "versitygw")
})

// Store is where a running server is and who may use it.
type Store struct {
	Endpoint  string // http://127.0.0.1:port, for requests with the bucket in the path
	Bucket    string // is there and empty
	AccessKey string
	SecretKey string
	Region    string
}

// Backend is the store as a backend in a configuration of Sluice, with more settings behind.
func (s Store) Backend(more string) string {
	return fmt.Sprintf("{type: s3, profile: versity, bucket: %s, endpoint: %q, path_style: true, "+
		"allow_http: true, access_key_id: %s, secret_access_key: %s, region: %s%s}",
		s.Bucket, s.Endpoint, s.AccessKey, s.SecretKey, s.Region, more)
}

// Options say what differs from an ordinary server.
type Options struct {
	Root   string // a folder that holds the buckets, else one of the server's own
	Bucket string // else "test"
	Region string // else "us-east-1"
}

// Start runs a server on a folder of its own until the test ends. It skips the test if the module of
// the server cannot be downloaded; with E2E_REQUIRE=1 the test fails.
func Start(t testing.TB, o Options) Store {
	t.Helper()
	s, p, err := open(t.TempDir(), o)
	if Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("versitygw of bucket %s:\n%s", s.Bucket, &p.output)
		}
	})
	return s
}

// Open is Start where there is no test to end with; stop ends the server.
func Open(dir string, o Options) (s Store, stop func() error, err error) {
	s, p, err := open(dir, o)
	if err != nil {
		return s, nil, err
	}
	return s, p.stop, nil
}

// Missing reports that a server cannot be had here, and need not.
func Missing(err error) bool {
	return errors.Is(err, harness.ErrUnavailable) && os.Getenv("E2E_REQUIRE") != "1"
}

func open(dir string, o Options) (Store, *process, error) {
	bin, err := binary()
	if err != nil {
		return Store{}, nil, err
	}
	s := Store{
		Bucket: cmp.Or(o.Bucket, "test"),
		Region: cmp.Or(o.Region, "us-east-1"),
		// Made up, so that no other server takes them: see attempt.
		AccessKey: rand.Text(),
		SecretKey: rand.Text(),
	}
	root, sidecar := cmp.Or(o.Root, filepath.Join(dir, "store")), filepath.Join(dir, "meta")
	if err := errors.Join(os.MkdirAll(root, 0o700), os.MkdirAll(sidecar, 0o700)); err != nil {
		return s, nil, err
	}
	p, err := serve(bin, root, sidecar, &s)
	return s, p, err
}

// serve starts a server on root and sets the endpoint.
func serve(bin, root, sidecar string, s *Store) (p *process, err error) {
	backend := []string{"posix", root}
	for range 5 {
		p, err = attempt(bin, backend, s)
		switch {
		case err == nil:
			return p, nil
		case strings.Contains(err.Error(), "address already in use"): // since we looked
		case strings.Contains(err.Error(), "xattr check failed"): // the file system has none
			backend = []string{"posix", "--sidecar", sidecar, root}
		default:
			return nil, err
		}
	}
	return nil, err
}

// attempt starts a server on a port that was free. If somebody took it meanwhile, the server ends, and
// whoever answers there does not know the keys: only our own server lets us make the bucket.
func attempt(bin string, backend []string, s *Store) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s.Endpoint = "http://" + addr
	p, err := start(bin, append([]string{
		"--quiet", "--keep-alive", "--port", addr, "--region", s.Region,
		"--access", s.AccessKey, "--secret", s.SecretKey,
	}, backend...))
	if err != nil {
		return nil, err
	}
	err = p.await(func(ctx context.Context) error { return createBucket(ctx, *s) })
	if err == nil {
		return p, nil
	}
	if kill := p.kill(); kill != nil {
		return nil, errors.Join(err, kill) // its output is still being written
	}
	return nil, fmt.Errorf("%w\n%s", err, &p.output)
}

// freeAddr is an address on loopback that nobody listens on at the moment.
func freeAddr() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
