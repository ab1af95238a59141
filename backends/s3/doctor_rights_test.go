package s3_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// Each right is missing in turn.
func TestDoctorRights(t *testing.T) {
	t.Parallel()
	const whole, objects = " on arn:aws:s3:::bucket", " on arn:aws:s3:::bucket/a prefix/*"
	for op, test := range map[string]struct {
		failed []string
		right  string
		left   string
	}{
		"ListObjectsV2":           {failed: []string{"list"}, right: "s3:ListBucket" + whole},
		"PutObject":               {failed: []string{"put"}, right: "s3:PutObject" + objects},
		"DeleteObject":            {failed: []string{"delete", "clean up"}, right: "s3:DeleteObject" + objects, left: "object object"},
		"GetObject":               {failed: []string{"get"}, right: "s3:GetObject" + objects},
		"HeadObject":              {failed: []string{"get"}, right: "s3:GetObject" + objects},
		"CopyObject":              {failed: []string{"copy"}, right: "s3:GetObject and s3:PutObject" + objects},
		"CreateMultipartUpload":   {failed: []string{"begin an upload"}, right: "s3:PutObject" + objects},
		"UploadPart":              {failed: []string{"begin an upload"}, right: "s3:PutObject" + objects},
		"ListParts":               {failed: []string{"list parts"}, right: "s3:ListMultipartUploadParts" + objects},
		"ListMultipartUploads":    {failed: []string{"list uploads"}, right: "s3:ListBucketMultipartUploads" + whole},
		"AbortMultipartUpload":    {failed: []string{"abort an upload", "clean up"}, right: "s3:AbortMultipartUpload" + objects, left: "upload"},
		"UploadPartCopy":          {failed: []string{"copy in parts"}, right: "s3:GetObject and s3:PutObject" + objects},
		"CompleteMultipartUpload": {failed: []string{"complete if absent"}, right: "s3:PutObject" + objects},
	} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			f, c := doctored(t, s3fake.Options{})
			f.OnRequest(func(r s3fake.Request) s3fake.Fault {
				if r.Op == op {
					return s3fake.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
				}
				return s3fake.Fault{}
			})
			d := s3.DoctorWith(t.Context(), c, doctorPart, nil)
			for _, probe := range test.failed {
				if r := result(t, d, probe); r.Outcome != bucket.OutcomeFailed {
					t.Errorf("%+v", r)
				}
			}
			r := result(t, d, test.failed[0])
			if todo := "give the credentials " + test.right; r.Todo != todo || !strings.HasPrefix(r.Found, op+": ") {
				t.Errorf("%+v, want %q", r, todo)
			}
			var left []string
			for _, key := range leftovers(f, c.Prefix) {
				left = append(left, key[strings.LastIndex(key, "/")+1:])
			}
			switch got := strings.Join(left, " "); {
			case len(left) > 2, got != "" && test.left == "", test.left != "" && !strings.Contains(test.left+" "+test.left, got):
				t.Errorf("left %q", left)
			}
		})
	}
}

// Who may list only what begins with something else is not told what does not exist.
func TestDoctorMissingKey(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{})
	f.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Op == "HeadObject" && strings.HasSuffix(r.Key, "/none") {
			return s3fake.Fault{Code: "AccessDenied"}
		}
		return s3fake.Fault{}
	})
	d := examine(t, f, c)
	want := bucket.Result{
		Probe: "missing key", Outcome: bucket.OutcomeFailed, Found: "it is refused instead of not found: HeadObject: Forbidden",
		Todo: "give the credentials s3:GetObject, and s3:ListBucket for all that begins with the prefix",
	}
	if r := result(t, d, "missing key"); r != want || d.Failed() != 1 {
		t.Errorf("%+v, %d failed", r, d.Failed())
	}
}

// What a right covers beside itself.
func TestDoctorRightsOfAttributes(t *testing.T) {
	t.Parallel()
	f, c := doctored(t, s3fake.Options{})
	c.Tags, c.ACL, c.SSE = map[string]string{"a": "b"}, "private", "aws:kms"
	f.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Header.Get("X-Amz-Tagging") != "" && r.Header.Get("X-Amz-Acl") != "" {
			return s3fake.Fault{Code: "AccessDenied"}
		}
		return s3fake.Fault{}
	})
	r := result(t, examine(t, f, c), "put")
	want := "give the credentials s3:PutObject, s3:PutObjectTagging, s3:GetObjectTagging, s3:PutObjectAcl on " +
		"arn:aws:s3:::bucket/a prefix/*, and kms:GenerateDataKey and kms:Decrypt on the key"
	if r.Todo != want || r.Outcome != bucket.OutcomeFailed {
		t.Errorf("%+v", r)
	}
}

// What a store says to the settings for new objects.
func TestDoctorSettings(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]bucket.Result{
		"ICE": {
			Probe: "put", Outcome: bucket.OutcomeFailed, Found: "PutObject: InvalidStorageClass: The storage class you specified is not valid",
			Todo: "storage_class: correct it; this store does not know it",
		},
		"GLACIER": {
			Probe: "get", Outcome: bucket.OutcomeFailed,
			Found: "GetObject: InvalidObjectState: The operation is not valid for the object's storage class",
			Todo:  "storage_class: choose one whose objects can be read at once",
		},
	} {
		f, c := doctored(t, s3fake.Options{})
		c.StorageClass = class
		if r := result(t, examine(t, f, c), want.Probe); r != want {
			t.Errorf("%+v", r)
		}
	}
}

// Every request that this package makes has its right, and no other.
func TestDoctorKnowsRights(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, op := range requestsOf(t) {
		want[op] = true
	}
	got := map[string]bool{}
	for op := range s3.Rights() {
		got[op] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(slices.Collect(maps.Keys(got))); n < 10 {
		t.Errorf("%d requests", n)
	}
}
