package harness

import (
	"errors"
	"io/fs"
	"path/filepath"
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
