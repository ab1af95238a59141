package main

import (
	"log/slog"
	"maps"
	"path/filepath"
	"slices"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// kinds are the types of backends that a configuration can name. To add one is one folder below
// backends and one line here.
var kinds = map[string]func() store{
	"local": func() store { return &localStore{Fsync: local.FsyncAlways} },
}

// store is the part of a configuration that describes one backend: a struct with its keys, filled
// in with their defaults.
type store interface {
	// check reports to v what is wrong with the values; key is the path to them.
	check(v validator, key string)
	// where is the key whose value open fails for, below that of the backend.
	where() string
	// open opens what is described.
	open(s settings) (backends.CloudStorageAdapter, error)
	// examine returns what open would fail with, and changes nothing.
	examine(s settings) error
}

// settings are what a backend needs from the rest of a configuration.
type settings struct {
	log        *slog.Logger
	bufferSize int
}

type localStore struct {
	Root  string      `yaml:"root"`
	Fsync local.Fsync `yaml:"fsync"`
}

func (s *localStore) check(v validator, key string) {
	if s.Root == "" {
		v.problem(key+".root", "missing; name the folder that holds the files")
	}
	s.Root = v.path(s.Root)
	oneOf(v, key+".fsync", s.Fsync, local.FsyncAlways, local.FsyncNever)
}

func (s *localStore) where() string { return "root" }

func (s *localStore) config(o settings) local.Config {
	return local.Config{Root: s.Root, Fsync: s.Fsync, BufferSize: o.bufferSize}
}

func (s *localStore) open(o settings) (backends.CloudStorageAdapter, error) {
	a, err := local.Open(s.config(o))
	if err != nil {
		return nil, err
	}
	if n := a.Cleaned(); n > 0 {
		o.log.Info("removed what an earlier process left behind", "files", n)
	}
	return a, nil
}

func (s *localStore) examine(o settings) error { return local.Check(s.config(o)) }

// distinctRoots reports local folders that two backends serve: each would think that it is alone
// there, and replace what the other has just checked.
func (v validator) distinctRoots(stores map[string]store) {
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		s, ok := stores[name].(*localStore)
		if !ok {
			continue
		}
		root, err := filepath.Abs(s.Root)
		if err != nil {
			root = filepath.Clean(s.Root)
		}
		if other, ok := first[root]; ok {
			v.problem("backends."+name+".root", "the folder of backends.%s already; use that one, with a prefix in the users' mounts", other)
			continue
		}
		first[root] = name
	}
}
