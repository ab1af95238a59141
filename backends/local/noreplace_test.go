package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-ftp/sluice/backends/local"
)

// The way for file systems without RENAME_NOREPLACE, which those of a test machine have.
func TestRenameByLink(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"file", "taken"} {
		if err := os.WriteFile(path(name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"folder/sub", "empty"} {
		if err := os.MkdirAll(path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []string{"file", "folder"} {
		for _, to := range []string{"taken", "empty"} {
			if err := local.RenameByLink(dir, from, to); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
		if err := local.RenameByLink(dir, from, from+"2"); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path(from)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", from, err)
		}
	}
	if err := local.RenameByLink(dir, "folder2", "folder2/sub/x"); err == nil {
		t.Error("a folder was moved into itself")
	}
	if b, err := os.ReadFile(path("file2")); err != nil || string(b) != "file" {
		t.Errorf("file2 is %q, %v", b, err)
	}
	if b, err := os.ReadFile(path("taken")); err != nil || string(b) != "taken" {
		t.Errorf("taken is %q, %v", b, err)
	}
	if left, err := filepath.Glob(path("folder2/sub/*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
