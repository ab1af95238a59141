package s3_test

import (
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// A copy has the tags and the class of its source in whatever way it is made, and not those that the
// configuration gives to new objects.
func TestCopyKeepsAttributes(t *testing.T) {
	const tags = "a=1&b=x+%26+y"
	for _, test := range []struct {
		name     string
		profile  string
		size     int
		ifAbsent bool
		ops      string // what made the copy
	}{
		{name: "whole", profile: "aws", size: 10, ops: "CopyObject"},
		{name: "whole if absent", profile: "aws", size: 10, ifAbsent: true, ops: "CopyObject"},
		{name: "in parts", profile: "aws", size: 5 * testPart, ops: "UploadPartCopy"},
		{name: "if absent in parts", profile: "versity", size: 10, ifAbsent: true, ops: "UploadPartCopy"},
		{name: "empty", profile: "versity", ifAbsent: true, ops: "PutObject"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{Quirks: s3fake.Quirks{MinPartSize: testPart}})
			c := config(t, f)
			c.Profile, _ = s3.ProfileByName(test.profile)
			c.Tags = map[string]string{"new": "yes"}
			a := open(t, c)
			key, tagging := "from", tags
			_, err := a.Client().PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: &c.Bucket, Key: &key, Body: strings.NewReader(buckettest.Content(1, test.size)), Tagging: &tagging,
				StorageClass: types.StorageClassStandardIa,
			})
			if err != nil {
				t.Fatal(err)
			}
			before := len(f.Requests())
			if _, err := a.Copy(t.Context(), "from", "to", backends.CopyOptions{IfAbsent: test.ifAbsent}); err != nil {
				t.Fatal(err)
			}
			var ops []string
			for _, r := range f.Requests()[before:] {
				ops = append(ops, r.Op)
			}
			if !strings.Contains(strings.Join(ops, " "), test.ops) {
				t.Errorf("by %v", ops)
			}
			o, _ := f.Object("to")
			got := map[string]string{"data": string(o.Data), "tags": o.Header.Get("X-Amz-Tagging"), "class": o.Header.Get("X-Amz-Storage-Class")}
			want := map[string]string{"data": buckettest.Content(1, test.size), "tags": tags, "class": "STANDARD_IA"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
