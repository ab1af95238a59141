package s3_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// What the store can copy is not read, and little is.
func TestAppendReadsLittle(t *testing.T) {
	for _, test := range []struct {
		name, profile string
		size, offset  int64
		copied        int
		read          int64
	}{
		{"less than a part", "aws", testPart, testPart - 1, 0, testPart - 1},
		{"a part", "aws", testPart, testPart, 1, 0},
		{"to the end of many", "aws", 10*testPart + 7, 10*testPart + 7, 10, 0},
		{"to the middle of many", "aws", 10 * testPart, 5*testPart + 1, 5, 0},
		{"parts of one size", "r2", 10 * testPart, 5*testPart + 9, 5, 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := s3fake.Start(t, s3fake.Options{Quirks: s3fake.Quirks{
				MinPartSize: testPart, UniformParts: test.profile == "r2", NoChecksums: test.profile == "r2",
			}})
			c := config(t, f)
			c.Profile, _ = s3.ProfileByName(test.profile)
			a := open(t, c)
			old, more := content(1, int(test.size)), content(2, testPart)
			f.Put("k", []byte(old), nil)
			before := len(f.Requests())
			obj, err := a.Put(t.Context(), "k", strings.NewReader(more), backends.PutOptions{Offset: test.offset})
			if err != nil {
				t.Fatal(err)
			}
			o, _ := f.Object("k")
			if !bytes.Equal(o.Data, []byte(old[:test.offset]+more)) || obj.Version != o.ETag || obj.Size != o.Size {
				t.Errorf("%d bytes, %+v", o.Size, obj)
			}
			var copied int
			var ranges []string
			for _, r := range f.Requests()[before:] {
				switch r.Op {
				case "UploadPartCopy":
					copied++
				case "GetObject":
					ranges = append(ranges, r.Header.Get("Range"))
				}
			}
			wantRead := test.read > 0
			if copied != test.copied || (len(ranges) == 1) != wantRead || len(ranges) > 1 {
				t.Errorf("%d pieces copied, read %q", copied, ranges)
			}
		})
	}
}

// Whatever is known of an object besides its content stays when it is continued, but for its time.
func TestAppendKeepsAttributes(t *testing.T) {
	const tags = "a=1&b=x+%26+y"
	for _, size := range []int{10, 2 * testPart} {
		f := s3fake.Start(t, s3fake.Options{Quirks: s3fake.Quirks{MinPartSize: testPart}})
		c := config(t, f)
		a := open(t, c)
		key, kind, tagging := "k", "text/csv", tags
		_, err := a.Client().PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: &c.Bucket, Key: &key, Body: strings.NewReader(content(1, size)), ContentType: &kind,
			Tagging: &tagging, StorageClass: types.StorageClassStandardIa, CacheControl: aws.String("no-store"),
			Metadata: map[string]string{"owner": "acme", "mtime": "1500000000"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := put(t.Context(), a, key, "more", backends.PutOptions{Offset: int64(size)}); err != nil {
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
			err := put(t.Context(), a, "k", "more", backends.PutOptions{Offset: 3})
			if a.Capabilities().Offset || backends.KindOf(err) != backends.Unsupported {
				t.Error(err)
			}
			if o, _ := f.Object("k"); string(o.Data) != "old" {
				t.Errorf("%q", o.Data)
			}
		})
	}
}

// The source that goes away while it is copied is a conflict, and the client hears of it early.
func TestAppendSourceChanges(t *testing.T) {
	inBubble(t, s3fake.Options{}, func(b *bubble) {
		b.store.Put("k", []byte(oldBytes), nil)
		b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
			if r.Op == "CreateMultipartUpload" {
				b.store.Put("k", []byte(large), nil)
			}
			return s3fake.Fault{}
		})
		err := put(b.Context(), b.open(), "k", strings.Repeat("x", 40*testPart), backends.PutOptions{Offset: int64(len(oldBytes))})
		if backends.KindOf(err) != backends.Conflict {
			b.Error(err)
		}
		if o, _ := b.store.Object("k"); string(o.Data) != large {
			b.Errorf("%d bytes", o.Size)
		}
		var ops []string
		for _, r := range b.store.Requests() {
			ops = append(ops, r.Op)
		}
		if slices.Contains(ops, "CompleteMultipartUpload") || len(leftovers(b.store, "")) > 0 {
			b.Errorf("%v, left %q", ops, leftovers(b.store, ""))
		}
	})
}
