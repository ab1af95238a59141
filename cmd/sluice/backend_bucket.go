package main

import (
	"errors"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// bucketStore has the keys that all backends with a bucket have.
type bucketStore struct {
	Bucket           string    `yaml:"bucket"`
	Prefix           string    `yaml:"prefix"`
	Endpoint         string    `yaml:"endpoint"`
	AllowHTTP        bool      `yaml:"allow_http"`
	CAFile           string    `yaml:"ca_file"`
	StorageClass     string    `yaml:"storage_class"`
	MaxRenameObjects int       `yaml:"max_rename_objects"`
	Resumable        resumable `yaml:"resumable"`
}

// newBucketStore has the defaults.
func newBucketStore() bucketStore { return bucketStore{MaxRenameObjects: 10_000, Resumable: kept} }

func (s *bucketStore) check(v validator, key string) {
	if s.Bucket == "" {
		v.problem(key+".bucket", "missing; name the bucket")
	}
	s.checkPrefix(v, key+".prefix")
	if err := bucket.CheckEndpoint(s.Endpoint, s.AllowHTTP); err != nil {
		v.problem(key+".endpoint", "%v", err)
	}
	if s.MaxRenameObjects < 1 {
		v.problem(key+".max_rename_objects", "%d is not a number of objects; give 1 or more", s.MaxRenameObjects)
	}
	s.Resumable.check(v, key+".resumable")
	s.CAFile = v.path(s.CAFile)
}

// checkPrefix holds the prefix to what can be the beginning of a key, with the slash that it may lack.
func (s *bucketStore) checkPrefix(v validator, key string) {
	if s.Prefix == "" {
		return
	}
	s.Prefix = strings.TrimSuffix(s.Prefix, "/")
	if err := backends.CheckKey(s.Prefix); err != nil || s.Prefix == "" {
		v.problem(key, "%q cannot be the beginning of a key; write it like in/ or partners/in/", s.Prefix)
	}
	s.Prefix += "/"
}

func (s *bucketStore) bucketConfig(o settings) bucket.Config {
	return bucket.Config{
		Prefix: s.Prefix, MaxRenameObjects: s.MaxRenameObjects,
		NoResume: !s.Resumable.Enabled, KeepAtLeast: int64(s.Resumable.MinSize), KeepFor: time.Duration(s.Resumable.TTL),
		Memory: o.memory, Log: o.log, Transport: o.watch.transport, Kept: o.watch.kept,
	}
}

// where is the key that a finding is about.
func (s *bucketStore) where(err error) string {
	var f *bucket.Finding
	if errors.As(err, &f) {
		return f.Setting
	}
	return "bucket"
}
