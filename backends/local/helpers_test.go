package local_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
)

type putOptions = backends.PutOptions

func put(t testing.TB, a backends.CloudStorageAdapter, key, data string) backends.Object {
	t.Helper()
	obj, err := a.Put(context.Background(), key, strings.NewReader(data), putOptions{})
	if err != nil {
		t.Errorf("put %q: %v", key, err)
	}
	return obj
}

func get(a backends.CloudStorageAdapter, key string) (string, error) {
	r, err := a.Open(context.Background(), key, backends.OpenOptions{})
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), errors.Join(err, r.Close())
}

func wantContent(t testing.TB, a backends.CloudStorageAdapter, key, want string) {
	t.Helper()
	if got, err := get(a, key); err != nil || got != want {
		t.Errorf("%q holds %.100q, %v, want %.100q", key, got, err, want)
	}
}

func wantKind(t testing.TB, what string, err error, want backends.Kind) {
	t.Helper()
	if err == nil || backends.KindOf(err) != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func names(t testing.TB, a backends.CloudStorageAdapter, dir string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for obj, err := range a.List(context.Background(), dir, backends.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		all[obj.Key] = obj.Dir
	}
	return all
}

// during delivers the word "during" and calls f in the middle of it.
func during(f func()) io.Reader {
	return io.MultiReader(strings.NewReader("dur"), callback(f), strings.NewReader("ing"))
}

type callback func()

func (c callback) Read([]byte) (int, error) {
	c()
	return 0, io.EOF
}

// asRoot skips a test that needs root's rights, or fails it where everything has to run.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		cannot(t, "needs root")
	}
}

func cannot(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("E2E_REQUIRE") != "" {
		t.Fatalf("%s, and E2E_REQUIRE is set", why)
	}
	t.Skip(why)
}
