package harness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Private is the folder in a store that Sluice keeps for itself.
const Private = ".sluice"

// Leftovers returns the files in the private folder of the store at root, and files anywhere in it
// that only the private folder may hold.
func Leftovers(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if strings.HasPrefix(rel, Private+"/") && d.Name() != "lock" {
			found = append(found, rel)
		}
		return err
	})
	return found, err
}

// Snapshot describes all that is below root, but for the private folder, by its path: kind, time and
// content.
func Snapshot(root string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == Private {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := []byte(nil)
		switch {
		case info.Mode().IsRegular():
			content, err = os.ReadFile(path)
		case info.Mode()&fs.ModeSymlink != 0:
			var to string
			to, err = os.Readlink(path)
			content = []byte(to)
		}
		all[path] = fmt.Sprintf("%v, of %v, %d bytes, %x", info.Mode(), info.ModTime(), len(content), sha256.Sum256(content))
		return err
	})
	return all, err
}

// Changes returns what a second Snapshot has otherwise than a first one.
func Changes(before, after map[string]string) []string {
	var changes []string
	for path, was := range before {
		if is, there := after[path]; !there {
			changes = append(changes, path+" is gone")
		} else if is != was {
			changes = append(changes, path+": "+was+" is now "+is)
		}
	}
	for path, is := range after {
		if _, there := before[path]; !there {
			changes = append(changes, path+" is new: "+is)
		}
	}
	slices.Sort(changes)
	return changes
}

// Pattern returns n bytes that have no short period, so that a piece which is missing or doubled
// shows.
func Pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242) // xorshift32
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
