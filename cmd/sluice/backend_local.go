package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// localStore is a backend of type local.
type localStore struct {
	Root      string      `yaml:"root"`
	Fsync     local.Fsync `yaml:"fsync"`
	Resumable resumable   `yaml:"resumable"`
}

func (s *localStore) check(v validator, key string) {
	if s.Root == "" {
		v.problem(key+".root", "missing; name the folder that holds the files")
	}
	s.Root = v.path(s.Root)
	oneOf(v, key+".fsync", s.Fsync, local.FsyncAlways, local.FsyncNever)
	s.Resumable.check(v, key+".resumable")
}

func (s *localStore) where(error) string { return "root" }

func (s *localStore) config(o settings) local.Config {
	return local.Config{
		Root: s.Root, Fsync: s.Fsync, BufferSize: o.bufferSize, Log: o.log, Kept: o.watch.kept,
		NoResume: !s.Resumable.Enabled, KeepAtLeast: int64(s.Resumable.MinSize), KeepFor: time.Duration(s.Resumable.TTL),
	}
}

func (s *localStore) open(_ context.Context, o settings) (backends.CloudStorageAdapter, error) {
	a, err := local.Open(s.config(o))
	if err != nil {
		return nil, err
	}
	if n := a.Cleaned(); n > 0 {
		o.log.Info("removed what an earlier process left behind", "files", n)
	}
	return a, nil
}

func (s *localStore) conditional() bool { return true }

func (s *localStore) examine(_ context.Context, o settings) error { return local.Check(s.config(o)) }

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
