package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/e2e/gcsbucket"
	"github.com/sluice-ftp/sluice/e2e/harness"
	"github.com/sluice-ftp/sluice/e2e/versity"
)

// store is what gateways keep files in, as a test sees it.
type store interface {
	// backend is its line in a configuration.
	backend() string
	// read returns an object; one that is not there is fs.ErrNotExist.
	read(key string) ([]byte, error)
	// kept is how many bytes of the upload of key, of which sent have been sent, its process would leave
	// to others if it were killed now.
	kept(t *testing.T, key string, sent int64) int64
	// wantEmpty looks for what is neither an object nor to be there.
	wantEmpty(t *testing.T)
}

// bucket is a store behind a URL.
type bucket interface {
	store
	endpoint() string
	// through is the same, reached at another URL and with more settings.
	through(endpoint, more string) bucket
}

// buckets are the stores that are no folders.
var buckets = map[string]func(t *testing.T) bucket{
	"s3":  func(t *testing.T) bucket { return startS3(t) },
	"gcs": func(t *testing.T) bucket { return startGCS(t) },
}

// stores are all.
func stores() map[string]func(t *testing.T) store {
	all := map[string]func(t *testing.T) store{
		"folder": func(t *testing.T) store { return startFolder(t) },
	}
	for name, start := range buckets {
		all[name] = func(t *testing.T) store { return start(t) }
	}
	return all
}

// memory is the budget of a gateway in these tests. What was read beyond it has been stored.
const memory = 16 << 20

// folder is a store on the disk.
type folder struct{ root, more string }

func startFolder(t *testing.T) folder {
	t.Helper()
	f := folder{root: filepath.Join(t.TempDir(), "data")}
	if err := os.Mkdir(f.root, 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f folder) backend() string { return fmt.Sprintf("{type: local, root: %q%s}", f.root, f.more) }

func (f folder) read(key string) ([]byte, error) { return os.ReadFile(filepath.Join(f.root, key)) }

func (f folder) kept(_ *testing.T, _ string, sent int64) int64 { return sent - memory }

// wantEmpty leaves out the lock that gateways share.
func (f folder) wantEmpty(t *testing.T) {
	t.Helper()
	if left, err := harness.Leftovers(f.root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// s3Bucket is one of versitygw, whose objects are files.
type s3Bucket struct {
	folder
	store versity.Store
}

func startS3(t *testing.T) s3Bucket {
	t.Helper()
	dir := t.TempDir()
	const name = "data"
	return s3Bucket{folder{root: filepath.Join(dir, name)}, versity.Start(t, versity.Options{Root: dir, Bucket: name})}
}

func (b s3Bucket) backend() string { return b.store.Backend(b.more) }

func (b s3Bucket) endpoint() string { return b.store.Endpoint }

func (b s3Bucket) through(endpoint, more string) bucket {
	b.store.Endpoint, b.more = endpoint, more
	return b
}

// wantEmpty looks for parts of uploads too: versitygw keeps them in a folder of its own.
func (b s3Bucket) wantEmpty(t *testing.T) {
	t.Helper()
	b.folder.wantEmpty(t)
	err := filepath.WalkDir(filepath.Join(b.root, ".sgwtmp"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = fmt.Errorf("%s was left behind", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// gcsBucket is one of gcsfake, in the process of the test.
type gcsBucket struct {
	server    *gcsfake.Server
	url, more string
}

func startGCS(t *testing.T) gcsBucket {
	t.Helper()
	server := gcsfake.Start(t, gcsbucket.Options())
	return gcsBucket{server: server, url: server.URL()}
}

func (b gcsBucket) backend() string { return gcsbucket.Backend(b.url, b.more) }

func (b gcsBucket) endpoint() string { return b.url }

func (b gcsBucket) through(endpoint, more string) bucket {
	b.url, b.more = endpoint, more
	return b
}

func (b gcsBucket) read(key string) ([]byte, error) {
	o, ok := b.server.Object(key)
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: key, Err: fs.ErrNotExist}
	}
	return o.Data, nil
}

// kept is what the record of the upload tells of: the session may have more, of which nobody knows the
// checksum.
func (b gcsBucket) kept(t *testing.T, key string, _ int64) (n int64) {
	t.Helper()
	for _, name := range b.private() {
		o, ok := b.server.Object(name)
		if !ok {
			continue
		}
		line, err := bufio.NewReader(bytes.NewReader(o.Data)).ReadBytes('\n')
		if err != nil {
			t.Fatal(name, err)
		}
		var record struct {
			Key   string
			Parts []struct {
				Size int64 `json:"s"`
			}
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(name, err)
		}
		if record.Key != key {
			continue
		}
		for _, p := range record.Parts {
			n += p.Size
		}
	}
	return n
}

// private are the names of objects that only gateways are to know.
func (b gcsBucket) private() (names []string) {
	for _, name := range b.server.Keys() {
		if strings.HasPrefix(name, harness.Private+"/") {
			names = append(names, name)
		}
	}
	return names
}

func (b gcsBucket) wantEmpty(t *testing.T) {
	t.Helper()
	if left := b.private(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	for _, s := range b.server.Sessions() {
		t.Errorf("the session of %s was left open, with %d bytes", s.Name, s.Size)
	}
}
