package backendtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/backends"
)

// modelKeys are few and related, so that operations meet.
var modelKeys = []string{"a", "b", "a/b", "a/c", "a/b/c", "a/b/d", "b/a", "a b", "", "a/b/c/d", "../x"}

// Compare plays the operations that ops stands for, four bytes each, on both adapters, and wants
// the same from both each time: the same kind of error or the same result, and in the end the same
// tree. Both must be empty stores. Any bytes will do, so that a fuzzer can write them.
func Compare(t testing.TB, ops []byte, got, want backends.CloudStorageAdapter) {
	t.Helper()
	ctx := context.Background()
	played := []string{}
	for ; len(ops) >= 4; ops = ops[4:] {
		op := operation(ops[0])
		from := modelKeys[int(ops[1])%len(modelKeys)]
		to := modelKeys[int(ops[2])%len(modelKeys)]
		played = append(played, fmt.Sprintf("%s %q %q %d", op, from, to, ops[3]))
		if diff := cmp.Diff(play(ctx, want, op, from, to, ops[3]), play(ctx, got, op, from, to, ops[3])); diff != "" {
			t.Fatalf("after %q the answers differ (-want +got):\n%s", played, diff)
		}
	}
	wantTree, err := treeOf(ctx, want, "")
	if err != nil {
		t.Fatal(err)
	}
	gotTree, err := treeOf(ctx, got, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantTree, gotTree); diff != "" {
		t.Fatalf("after %q the stores differ (-want +got):\n%s", played, diff)
	}
}

var operations = []string{
	"put", "put", "put at offset", "put if absent", "put with bound", "copy", "copy if absent",
	"rename", "rename", "rename if absent", "remove", "remove", "mkdir", "rmdir", "settime",
	"stat", "read", "list",
}

func operation(b byte) string { return operations[int(b)%len(operations)] }

// play runs one operation and returns its answer in comparable form.
func play(ctx context.Context, a backends.CloudStorageAdapter, op, from, to string, n byte) string {
	data := content(int64(n), uint64(n))
	put := func(o backends.PutOptions) string {
		o.ModTime = time.Unix(1e9+int64(n), 0)
		obj, err := a.Put(ctx, from, plain(data), o)
		return answer(obj, err)
	}
	switch op {
	case "put":
		return put(backends.PutOptions{})
	case "put at offset":
		return put(backends.PutOptions{Offset: int64(n) - 8})
	case "put if absent":
		return put(backends.PutOptions{IfAbsent: true})
	case "put with bound":
		return put(backends.PutOptions{MaxSize: 100, Offset: int64(n % 3)})
	case "copy", "copy if absent":
		obj, err := a.Copy(ctx, from, to, backends.CopyOptions{IfAbsent: op == "copy if absent"})
		return answer(obj, err)
	case "rename", "rename if absent":
		return kind(a.Rename(ctx, from, to, backends.RenameOptions{IfAbsent: op == "rename if absent"}))
	case "remove":
		return kind(a.Remove(ctx, from))
	case "mkdir":
		return kind(a.Mkdir(ctx, from))
	case "rmdir":
		return kind(a.Rmdir(ctx, from))
	case "settime":
		return kind(a.SetModTime(ctx, from, time.Unix(2e9+int64(n), 0)))
	case "stat":
		obj, err := a.Stat(ctx, from)
		return answer(obj, err)
	case "read":
		b, err := read(ctx, a, from, backends.OpenOptions{Offset: int64(n) - 8})
		return fmt.Sprintf("%x, %s", b, kind(err))
	default:
		return listed(ctx, a, from)
	}
}

func listed(ctx context.Context, a backends.CloudStorageAdapter, dir string) string {
	all := map[string]bool{}
	for obj, err := range a.List(ctx, dir, backends.ListOptions{}) {
		all[answer(obj, err)] = true
	}
	return fmt.Sprintf("%q", slices.Sorted(maps.Keys(all)))
}

// answer leaves out what two right stores may say differently: versions, and folders' times.
func answer(o backends.Object, err error) string {
	if err != nil {
		return kind(err)
	}
	if o.Dir {
		return fmt.Sprintf("folder %q of %d bytes", o.Key, o.Size)
	}
	return fmt.Sprintf("%q of %d bytes at %d", o.Key, o.Size, o.ModTime.Unix())
}

func kind(err error) string {
	if err == nil {
		return "done"
	}
	return backends.KindOf(err).String()
}
