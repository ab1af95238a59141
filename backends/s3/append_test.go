package s3_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// Whatever is known of an object besides its content stays when it is continued, but for its time.
func TestAppendKeepsAttributes(t *testing.T) {
	const tags = "a=1&b=x+%26+y"
	for _, size := range []int{10, 2 * testPart} {
		f := s3fake.Start(t, s3fake.Options{Quirks: s3fake.Quirks{MinPartSize: testPart}})
		c := config(t, f)
		a := open(t, c)
		key, kind, tagging := "k", "text/csv", tags
		_, err := a.Client().PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: &c.Bucket, Key: &key, Body: strings.NewReader(buckettest.Content(1, size)), ContentType: &kind,
			Tagging: &tagging, StorageClass: types.StorageClassStandardIa, CacheControl: aws.String("no-store"),
			Metadata: map[string]string{"owner": "acme", "mtime": "1500000000"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := buckettest.Put(t.Context(), a, key, "more", backends.PutOptions{Offset: int64(size)}); err != nil {
			t.Fatal(err)
		}
		o, _ := f.Object(key)
		delete(o.Metadata, "sluice-upload")
		if diff := cmp.Diff(map[string]string{"owner": "acme"}, o.Metadata); diff != "" {
			t.Errorf("%d bytes: %s", size, diff)
		}
		for name, want := range map[string]string{
			"Content-Type": kind, "Cache-Control": "no-store", "X-Amz-Tagging": tags, "X-Amz-Storage-Class": "STANDARD_IA",
		} {
			if got := o.Header.Get(name); got != want {
				t.Errorf("%d bytes: %s: %q, want %q", size, name, got, want)
			}
		}
	}
}

// An append that cannot be is refused before anything is read or asked of the client.
func TestAppendRefused(t *testing.T) {
	for name, profile := range map[string]string{"no conditions": "ceph", "no copies of parts": "gcs"} {
		t.Run(name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{})
			f.Put("k", []byte("old"), nil)
			c := config(t, f)
			c.Profile, _ = s3.ProfileByName(profile)
			a := open(t, c)
			err := buckettest.Put(t.Context(), a, "k", "more", backends.PutOptions{Offset: 3})
			if a.Capabilities().Offset || backends.KindOf(err) != backends.Unsupported {
				t.Error(err)
			}
			if o, _ := f.Object("k"); string(o.Data) != "old" {
				t.Errorf("%q", o.Data)
			}
		})
	}
}
