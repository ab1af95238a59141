package buckettest

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-ftp/sluice/backends"
)

// made are contents by seed and length, and again by themselves: they are as many as there are tests,
// and to make and to copy them takes most of the time where races are looked for.
var made sync.Map

// Content is n bytes that no other seed has.
func Content(seed uint64, n int) string {
	name := [2]uint64{seed, uint64(n)}
	if s, ok := made.Load(name); ok {
		return s.(string)
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	s, _ := made.LoadOrStore(name, string(b))
	return s.(string)
}

// bytesOf is a content as it is put into a fake, which copies it.
func bytesOf(content string) []byte {
	if b, ok := made.Load(content); ok {
		return b.([]byte)
	}
	b, _ := made.LoadOrStore(content, []byte(content))
	return b.([]byte)
}

// called is the name of a variant.
func called(variant string) string { return cmp.Or(variant, "plain") }

// Store is an adapter as clients see it.
type Store = backends.CloudStorageAdapter

// Put writes an object as a client would.
func Put(ctx context.Context, a Store, key, content string, o backends.PutOptions) error {
	_, err := a.Put(ctx, key, strings.NewReader(content), o)
	return err
}

// Read reads an object to its end.
func Read(ctx context.Context, a Store, key string) (string, error) {
	r, err := a.Open(ctx, key, backends.OpenOptions{})
	if err != nil {
		return "", err
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	return string(all), err
}

// Verbs are all the methods, on things that are not there.
func Verbs(ctx context.Context, a Store) map[string]func() error {
	return map[string]func() error{
		"stat": func() error { _, err := a.Stat(ctx, "d/k"); return err },
		"list": func() error {
			for _, err := range a.List(ctx, "", backends.ListOptions{}) {
				return err
			}
			return nil
		},
		"open":         func() error { _, err := Read(ctx, a, "d/k"); return err },
		"put":          func() error { return Put(ctx, a, "d/k", "small", backends.PutOptions{}) },
		"put in parts": func() error { return Put(ctx, a, "d/k", oldBytes, backends.PutOptions{}) },
		"copy":         func() error { _, err := a.Copy(ctx, "d/k", "l", backends.CopyOptions{}); return err },
		"rename":       func() error { return a.Rename(ctx, "d/k", "l", backends.RenameOptions{}) },
		"remove":       func() error { return a.Remove(ctx, "d/k") },
		"mkdir":        func() error { return a.Mkdir(ctx, "d/k") },
		"rmdir":        func() error { return a.Rmdir(ctx, "d/k") },
		"set the time": func() error { return a.SetModTime(ctx, "d/k", newTime) },
	}
}

// same says whether a bucket holds just that. Where folders are things of their own, one in which
// there is anything need not be told.
func (b *Bubble) same(all map[string][]byte, want map[string]string) bool {
	if slices.Contains(b.Kind.Folders, b.Options.Variant) {
		all, want = withoutImplied(all), withoutImplied(want)
	}
	return maps.EqualFunc(all, want, func(a []byte, b string) bool { return string(a) == b })
}

func withoutImplied[V any](all map[string]V) map[string]V {
	some := maps.Clone(all)
	maps.DeleteFunc(some, func(folder string, _ V) bool {
		for key := range all {
			if strings.HasSuffix(folder, "/") && key != folder && strings.HasPrefix(key, folder) {
				return true
			}
		}
		return false
	})
	return some
}

// describe says in short what a bucket holds.
func describe(all map[string][]byte) string {
	var s []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s = append(s, fmt.Sprintf("%s (%d bytes, %.8x)", key, len(all[key]), all[key]))
	}
	return "{" + strings.Join(s, ", ") + "}"
}
