package s3

import (
	"context"
	"testing"

	"github.com/sluice-ftp/sluice/backends/bucket"
)

// DoctorWith is Doctor with another size of the smallest part.
func DoctorWith(ctx context.Context, c Config, part int64, seen func(bucket.Result)) Diagnosis {
	return diagnose(ctx, c, part, seen)
}

// Probes are the names of all probes, and Rights what the requests of this package need.
func Probes() []string {
	var names []string
	for _, p := range probes {
		names = append(names, p.name)
	}
	return names
}

func Rights() map[string]string {
	all := map[string]string{}
	for op, r := range rights {
		all[op] = r.action
	}
	return all
}

// Plain makes one line of what a store said.
func Plain(s string) string { return bucket.Plain(s) }

// BeginUpload begins an upload of that name in the bucket.
func BeginUpload(ctx context.Context, a *Adapter, full string) error {
	_, err := a.store.client.CreateMultipartUpload(ctx, a.store.newUpload(full, nil))
	return err
}

// LargestObject returns the first and the largest part of an upload that uses all of its parts, and
// its size.
func LargestObject(t testing.TB, c Config) (first, largest, whole int64) {
	t.Helper()
	c.Endpoint = "https://127.0.0.1"
	a, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	for range maxParts {
		largest = a.PartAfter(whole)
		whole += largest
	}
	return a.store.partSize, largest, whole
}
