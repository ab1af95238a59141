package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
)

// s3Store is a backend of type s3.
type s3Store struct {
	bucketStore

	Region              string            `yaml:"region"`
	PathStyle           bool              `yaml:"path_style"`
	AccessKeyID         string            `yaml:"access_key_id"`
	SecretAccessKey     string            `yaml:"secret_access_key"`
	SecretAccessKeyFile string            `yaml:"secret_access_key_file"`
	AssumeRole          string            `yaml:"assume_role"`
	ExternalID          string            `yaml:"external_id"`
	Profile             string            `yaml:"profile"`
	SSE                 string            `yaml:"sse"`
	KMSKeyID            string            `yaml:"kms_key_id"`
	ACL                 string            `yaml:"acl"`
	Tags                map[string]string `yaml:"tags"`
	RequesterPays       bool              `yaml:"requester_pays"`
}

// maxTags is S3's bound: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const maxTags = 10

func (s *s3Store) check(v validator, key string) {
	s.bucketStore.check(v, key)
	if _, ok := s3.ProfileByName(s.Profile); !ok {
		v.problem(key+".profile", "%q is not a choice; there are %s", s.Profile, strings.Join(s3.ProfileNames(), ", "))
	}
	s.keys(v, key)
	oneOf(v, key+".sse", s.SSE, "", "AES256", "aws:kms")
	if s.KMSKeyID != "" && s.SSE != "aws:kms" {
		v.problem(key+".kms_key_id", "needs sse: aws:kms")
	}
	if len(s.Tags) > maxTags {
		v.problem(key+".tags", "%d are too many; S3 takes %d", len(s.Tags), maxTags)
	}
	s.SecretAccessKeyFile = v.path(s.SecretAccessKeyFile)
}

func (s *s3Store) keys(v validator, key string) {
	secret := s.SecretAccessKey != "" || s.SecretAccessKeyFile != ""
	switch {
	case s.SecretAccessKey != "" && s.SecretAccessKeyFile != "":
		v.problem(key+".secret_access_key_file", "there is secret_access_key too; give one of them")
	case s.AccessKeyID != "" && !secret:
		v.problem(key+".access_key_id", "needs secret_access_key or secret_access_key_file")
	case s.AccessKeyID == "" && secret:
		v.problem(key+".access_key_id", "missing, but there is a secret; give both, or neither to use the environment's")
	}
	if s.ExternalID != "" && s.AssumeRole == "" {
		v.problem(key+".external_id", "needs assume_role")
	}
}

func (s *s3Store) config(o settings) (s3.Config, error) {
	profile, _ := s3.ProfileByName(s.Profile)
	secret := s.SecretAccessKey
	if s.SecretAccessKeyFile != "" {
		var err error
		if secret, err = readSecret(s.SecretAccessKeyFile); err != nil {
			return s3.Config{}, &bucket.Finding{Setting: "secret_access_key_file", Todo: mendFile(err), Err: err}
		}
	}
	return s3.Config{
		Config: s.bucketConfig(o),
		Bucket: s.Bucket, Region: s.Region, Endpoint: s.Endpoint, PathStyle: s.PathStyle,
		AllowHTTP: s.AllowHTTP, CAFile: s.CAFile,
		AccessKeyID: s.AccessKeyID, SecretAccessKey: secret, AssumeRole: s.AssumeRole, ExternalID: s.ExternalID,
		Profile: profile, StorageClass: s.StorageClass, SSE: s.SSE, KMSKeyID: s.KMSKeyID, ACL: s.ACL, Tags: s.Tags,
		RequestPayer: s.RequesterPays,
	}, nil
}

// open refuses what is wrong for good. A store that does not answer now may answer later, and a
// gateway that starts again and again in the meantime helps nobody.
func (s *s3Store) open(ctx context.Context, o settings) (backends.CloudStorageAdapter, error) {
	c, err := s.config(o)
	if err != nil {
		return nil, err
	}
	if err := s3.Check(ctx, c); backends.KindOf(err) == backends.Unavailable {
		o.log.Warn("the store does not answer; starting all the same", "err", err)
	} else if err != nil {
		return nil, err
	}
	return s3.Open(ctx, c)
}

func (s *s3Store) conditional() bool {
	p, _ := s3.ProfileByName(s.Profile)
	return p.IfAbsent()
}

func (s *s3Store) examine(ctx context.Context, o settings) error {
	c, err := s.config(o)
	if err != nil {
		return err
	}
	return s3.Check(ctx, c)
}

func (s *s3Store) place() string { return "s3://" + s.Bucket + "/" + s.Prefix }

// diagnose also tells which profile fits.
func (s *s3Store) diagnose(ctx context.Context, w io.Writer, seen func(bucket.Result)) (bucket.Examination, error) {
	c, err := s.config(settings{})
	if err != nil {
		return bucket.Examination{}, err
	}
	d := s3.Doctor(ctx, c, seen)
	fits := "not known"
	if len(d.Fits) > 0 {
		fits = d.Fits[0]
	}
	if len(d.Fits) > 1 {
		fits += " (or " + strings.Join(d.Fits[1:], ", ") + ", which promise as much)"
	}
	fmt.Fprintf(w, "\nprofile that fits: %s; configured: %s\n", fits, s.Profile)
	return d.Examination, nil
}
