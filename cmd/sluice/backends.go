package main

import (
	"log/slog"

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
	// open opens what is described.
	open(s settings) (backends.CloudStorageAdapter, error)
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

func (s *localStore) open(o settings) (backends.CloudStorageAdapter, error) {
	a, err := local.Open(local.Config{Root: s.Root, Fsync: s.Fsync, BufferSize: o.bufferSize})
	if err != nil {
		return nil, err
	}
	if n := a.Cleaned(); n > 0 {
		o.log.Info("removed what an earlier process left behind", "files", n)
	}
	return a, nil
}
