package gcsbucket

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
)

// Mirror serves a bucket and keeps a folder the same as it: what a request changes is in the folder before
// its answer is sent, and what a script changes in the folder is in the bucket before the next request is
// looked at.
type Mirror struct {
	bucket *gcsfake.Server
	dir    string

	mu    sync.Mutex
	known map[string]version // by the object's name
	err   error
}

// version is an object and its file when they were the same last.
type version struct {
	generation int64
	size       int64
	written    time.Time
}

// NewMirror returns one of bucket and the folder dir.
func NewMirror(bucket *gcsfake.Server, dir string) *Mirror {
	return &Mirror{bucket: bucket, dir: dir, known: map[string]version{}}
}

// Err is what went wrong first.
func (m *Mirror) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// ServeHTTP implements http.Handler.
func (m *Mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.sync(m.toBucket)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w = &answer{ResponseWriter: w, before: func() { m.sync(m.toFolder) }}
	}
	m.bucket.ServeHTTP(w, r)
}

// answer calls before when the request has had its effect.
type answer struct {
	http.ResponseWriter
	before func()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.before()
	a.ResponseWriter.WriteHeader(status)
}

func (m *Mirror) sync(direction func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := direction(); err != nil && m.err == nil {
		m.err = fmt.Errorf("gcsbucket: %w", err)
	}
}

// toBucket puts files that are new or changed into the bucket, and removes objects whose files are gone.
// It compares with what was the same last, so that what others have just changed in the bucket stays.
func (m *Mirror) toBucket() error {
	there := map[string]bool{}
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(m.dir, path)
		if err != nil {
			return err
		}
		there[rel] = true
		info, err := d.Info()
		if err != nil {
			return err
		}
		if v, ok := m.known[rel]; ok && v.size == info.Size() && v.written.Equal(info.ModTime()) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m.bucket.Put(rel, content, nil)
		v := version{size: info.Size(), written: info.ModTime()}
		if o, ok := m.bucket.Object(rel); ok && bytes.Equal(o.Data, content) { // nobody was faster
			v.generation = o.Generation
		}
		m.known[rel] = v
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for key := range m.known {
		if !strings.HasSuffix(key, "/") && !there[key] {
			m.bucket.Remove(key)
			delete(m.known, key)
		}
	}
	return nil
}

// toFolder does the reverse.
func (m *Mirror) toFolder() error {
	keys := m.bucket.Keys()
	for key := range m.known {
		if _, there := slices.BinarySearch(keys, key); !there {
			if err := m.remove(key); err != nil {
				return err
			}
		}
	}
	for _, key := range keys {
		o, ok := m.bucket.Object(key)
		if !ok || m.known[key].generation == o.Generation {
			continue
		}
		info, err := m.write(key, o.Data)
		if err != nil {
			return err
		}
		m.known[key] = version{o.Generation, info.Size(), info.ModTime()}
	}
	return nil
}

// write makes the file of an object. Names that end with a slash are folders.
func (m *Mirror) write(key string, content []byte) (fs.FileInfo, error) {
	path := filepath.Join(m.dir, key)
	folder, isFolder := filepath.Dir(path), strings.HasSuffix(key, "/")
	if isFolder {
		folder = path
	}
	err := os.MkdirAll(folder, 0o700)
	if err == nil && !isFolder {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		return nil, err
	}
	return os.Stat(path)
}

// remove takes away a file, and the folders that are there because of it alone.
func (m *Mirror) remove(key string) error {
	delete(m.known, key)
	for rel := filepath.Clean(key); rel != "."; rel = filepath.Dir(rel) {
		if _, placeholder := m.known[rel+"/"]; placeholder {
			return nil
		}
		err := os.Remove(filepath.Join(m.dir, rel))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			if entries, look := os.ReadDir(filepath.Join(m.dir, rel)); look == nil && len(entries) > 0 {
				return nil
			}
			return err
		}
	}
	return nil
}
