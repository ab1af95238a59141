package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/gcs"
)

// gcsStore is a backend of type gcs.
type gcsStore struct {
	bucketStore

	CredentialsFile       string `yaml:"credentials_file"`
	Impersonate           string `yaml:"impersonate_service_account"`
	Anonymous             bool   `yaml:"anonymous"`
	UserProject           string `yaml:"user_project"`
	KMSKeyName            string `yaml:"kms_key_name"`
	HierarchicalNamespace bool   `yaml:"hierarchical_namespace"`
	SessionKey            string `yaml:"session_key"`
	SessionKeyFile        string `yaml:"session_key_file"`
}

// maxSessionTTL is less than the week after which the store forgets an upload.
const maxSessionTTL = 6 * 24 * time.Hour

func (s *gcsStore) check(v validator, key string) {
	s.bucketStore.check(v, key)
	if s.Anonymous && !s.AllowHTTP {
		v.problem(key+".anonymous", "is for emulators only; set allow_http: true with it, or leave it out")
	}
	if s.Anonymous && (s.CredentialsFile != "" || s.Impersonate != "") {
		v.problem(key+".anonymous", "there are credentials too; leave out one of them")
	}
	if s.Impersonate != "" && !strings.Contains(s.Impersonate, "@") {
		v.problem(key+".impersonate_service_account", "%q is not the address of an account; write it like name@project.iam.gserviceaccount.com", s.Impersonate)
	}
	if s.KMSKeyName != "" && !strings.HasPrefix(s.KMSKeyName, "projects/") {
		v.problem(key+".kms_key_name", "%q is not the name of a key; write it like projects/P/locations/L/keyRings/R/cryptoKeys/K", s.KMSKeyName)
	}
	if s.Resumable.TTL > duration(maxSessionTTL) {
		v.problem(key+".resumable.ttl", "%v is too long: Google forgets uploads after a week; give %v or less", s.Resumable.TTL, shortDuration(maxSessionTTL))
	}
	switch _, err := decodeSessionKey(s.SessionKey); {
	case s.SessionKey == "":
	case s.SessionKeyFile != "":
		v.problem(key+".session_key_file", "there is session_key too; give one of them")
	case err != nil:
		v.problem(key+".session_key", "%v", err)
	}
	s.CredentialsFile = v.path(s.CredentialsFile)
	s.SessionKeyFile = v.path(s.SessionKeyFile)
}

// decodeSessionKey reads a key. What it was is not in the error.
func decodeSessionKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != gcs.KeySize {
		return nil, fmt.Errorf("not %d bytes in base64; make one with: openssl rand -base64 %d", gcs.KeySize, gcs.KeySize)
	}
	return key, nil
}

func (s *gcsStore) config(o settings) (gcs.Config, error) {
	var key []byte
	text := s.SessionKey
	if s.SessionKeyFile != "" {
		var err error
		if text, err = readSecret(s.SessionKeyFile); err != nil {
			return gcs.Config{}, &bucket.Finding{Setting: "session_key_file", Todo: mendFile(err), Err: err}
		}
	}
	if text != "" {
		var err error
		if key, err = decodeSessionKey(text); err != nil {
			return gcs.Config{}, &bucket.Finding{Setting: "session_key_file", Todo: "write another key into it", Err: err}
		}
	}
	return gcs.Config{
		Config: s.bucketConfig(o), Bucket: s.Bucket, Endpoint: s.Endpoint, AllowHTTP: s.AllowHTTP, CAFile: s.CAFile,
		CredentialsFile: s.CredentialsFile, Impersonate: s.Impersonate, Anonymous: s.Anonymous,
		UserProject: s.UserProject, StorageClass: s.StorageClass, KMSKey: s.KMSKeyName,
		Hierarchical: s.HierarchicalNamespace, SessionKey: key,
	}, nil
}

// keyless: uploads that break off would be kept, if there were a key.
func (s *gcsStore) keyless() bool {
	return s.Resumable.Enabled && s.SessionKey == "" && s.SessionKeyFile == ""
}

func (s *gcsStore) open(ctx context.Context, o settings) (backends.CloudStorageAdapter, error) {
	c, err := s.config(o)
	if err != nil {
		return nil, err
	}
	if s.keyless() {
		o.log.Warn("uploads that break off are not kept: there is no session_key", "bucket", s.Bucket)
	}
	if err := gcs.Check(ctx, c); backends.KindOf(err) == backends.Unavailable {
		o.log.Warn("the store does not answer; starting all the same", "err", err)
	} else if err != nil {
		return nil, err
	}
	return gcs.Open(ctx, c)
}

func (s *gcsStore) conditional() bool { return true }

func (s *gcsStore) examine(ctx context.Context, o settings) error {
	c, err := s.config(o)
	if err != nil {
		return err
	}
	return gcs.Check(ctx, c)
}

func (s *gcsStore) place() string { return "gs://" + s.Bucket + "/" + s.Prefix }

func (s *gcsStore) diagnose(ctx context.Context, _ io.Writer, seen func(bucket.Result)) (bucket.Examination, error) {
	c, err := s.config(settings{})
	if err != nil {
		return bucket.Examination{}, err
	}
	return gcs.Doctor(ctx, c, seen), nil
}
