package s3_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// operation is something that a process may be killed in the middle of.
type operation struct {
	name   string
	do     func(ctx context.Context, a *s3.Adapter) error
	before map[string]string
	after  map[string]string
	// or are the states besides these two in which it may end when it is killed.
	or []map[string]string
}

var (
	oldBytes = content(1, 2*testPart+100)
	newBytes = content(2, 2*testPart+7)
	large    = content(3, 2*testPart)
	tree     = map[string]string{"d/": "", "d/b/c": "C", "d/large": large}
	moved    = map[string]string{"e/": "", "e/b/c": "C", "e/large": large}
	newTime  = time.Unix(1_500_000_000, 0)
)

// operations are the scripted ones. Their key is k wherever there is one.
var operations = []operation{
	{
		name:   "put small",
		do:     func(ctx context.Context, a *s3.Adapter) error { return put(ctx, a, "k", "new", backends.PutOptions{}) },
		before: map[string]string{"k": "old"}, after: map[string]string{"k": "new"},
	},
	{
		name: "put in parts",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return put(ctx, a, "k", newBytes, backends.PutOptions{})
		},
		before: map[string]string{}, after: map[string]string{"k": newBytes},
	},
	{
		name: "overwrite in parts",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return put(ctx, a, "k", newBytes, backends.PutOptions{})
		},
		before: map[string]string{"k": oldBytes}, after: map[string]string{"k": newBytes},
	},
	{
		name: "put in parts if absent",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return put(ctx, a, "k", newBytes, backends.PutOptions{IfAbsent: true})
		},
		before: map[string]string{}, after: map[string]string{"k": newBytes},
	},
	{
		name: "append to a small one",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return put(ctx, a, "k", "new", backends.PutOptions{Offset: 3})
		},
		before: map[string]string{"k": "old"}, after: map[string]string{"k": "oldnew"},
	},
	{
		name: "append in parts",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return put(ctx, a, "k", newBytes, backends.PutOptions{Offset: int64(len(oldBytes))})
		},
		before: map[string]string{"k": oldBytes}, after: map[string]string{"k": oldBytes + newBytes},
	},
	{
		name: "copy in parts",
		do: func(ctx context.Context, a *s3.Adapter) error {
			_, err := a.Copy(ctx, "from", "k", backends.CopyOptions{})
			return err
		},
		before: map[string]string{"k": "old", "from": large}, after: map[string]string{"k": large, "from": large},
	},
	{
		name: "rename",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return a.Rename(ctx, "d/from", "k", backends.RenameOptions{})
		},
		before: map[string]string{"k": "old", "d/": "", "d/from": "from"}, after: map[string]string{"k": "from", "d/": ""},
		or: []map[string]string{{"k": "from", "d/": "", "d/from": "from"}},
	},
	{
		name: "rename a folder",
		do: func(ctx context.Context, a *s3.Adapter) error {
			return a.Rename(ctx, "d", "e", backends.RenameOptions{})
		},
		before: tree, after: moved,
	},
	{
		// A folder gets its placeholder before its last object goes.
		name:   "remove the last object",
		do:     func(ctx context.Context, a *s3.Adapter) error { return a.Remove(ctx, "d/k") },
		before: map[string]string{"d/k": "old"}, after: map[string]string{"d/": ""},
		or: []map[string]string{{"d/": "", "d/k": "old"}},
	},
	{
		name:   "mkdir",
		do:     func(ctx context.Context, a *s3.Adapter) error { return a.Mkdir(ctx, "d/k") },
		before: map[string]string{}, after: map[string]string{"d/k/": ""},
	},
	{
		name:   "rmdir",
		do:     func(ctx context.Context, a *s3.Adapter) error { return a.Rmdir(ctx, "d/k") },
		before: map[string]string{"d/k/": ""}, after: map[string]string{"d/": ""},
		or: []map[string]string{{"d/": "", "d/k/": ""}},
	},
	{
		name:   "set the time",
		do:     func(ctx context.Context, a *s3.Adapter) error { return a.SetModTime(ctx, "k", newTime) },
		before: map[string]string{"k": "old"}, after: map[string]string{"k": "old"},
	},
}

// death ends a process at a request: it does not happen, or its answer does not come, and nothing
// comes after it.
type death struct {
	at    int
	after bool
}

func (d death) String() string {
	if d.after {
		return fmt.Sprintf("after request %d", d.at)
	}
	return fmt.Sprintf("before request %d", d.at)
}

// die runs do in a process that dies, and says whether it lived to its end.
func (b *bubble) die(d death, a *s3.Adapter, do func(ctx context.Context, a *s3.Adapter) error) (lived bool, err error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	lived = true
	b.store.Reset()
	b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
		if r.Index < d.at {
			return s3fake.Fault{}
		}
		lived = false
		b.wire.cut.Store(true) // the dead ask for nothing
		cancel()
		return s3fake.Fault{Before: !d.after || r.Index > d.at, After: d.after && r.Index == d.at}
	})
	err = do(ctx, a)
	b.wire.cut.Store(false)
	b.store.OnRequest(nil)
	return lived, err
}

// sweep does what a process does later that is not killed, until nothing changes any more.
func (b *bubble) sweep(a *s3.Adapter) {
	b.Helper()
	b.pass(a.StaleAfter + 15*time.Minute)
	for range 3 {
		keys, uploads := b.store.Keys(), len(b.store.Uploads())
		if err := a.Sweep(b.Context()); err != nil {
			b.Error("sweep:", err)
		}
		if slices.Equal(keys, b.store.Keys()) && uploads == len(b.store.Uploads()) {
			return
		}
	}
	b.Error("there is something to sweep again and again")
}

// foreign begins uploads that are not ours, and returns their names.
func (b *bubble) foreign(a *s3.Adapter) []string {
	b.Helper()
	begin := func(key string, part string) string {
		out, err := a.Client().CreateMultipartUpload(b.Context(), &sdk.CreateMultipartUploadInput{
			Bucket: aws.String("bucket"), Key: &key,
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: types.ChecksumTypeFullObject,
		})
		if err != nil {
			b.Fatal(err)
		}
		if part != "" {
			if _, err := a.Client().UploadPart(b.Context(), &sdk.UploadPartInput{
				Bucket: aws.String("bucket"), Key: &key, UploadId: out.UploadId, PartNumber: aws.Int32(1),
				Body: newReadSeeker(part),
			}); err != nil {
				b.Fatal(err)
			}
		}
		return *out.UploadId
	}
	ids := []string{begin("k", "")} // long before anything of ours
	b.pass(time.Hour)
	ids = append(ids, begin("k", "part"), begin("k2", ""), begin("k/2", "part"), begin("d", ""))
	slices.Sort(ids)
	return ids
}

func (b *bubble) uploads() []string {
	var ids []string
	for _, u := range b.store.Uploads() {
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	return ids
}

// store fills the bucket.
func (b *bubble) fill(all map[string]string) {
	for key, content := range all {
		b.store.Put(key, []byte(content), nil)
	}
}

// TestKill kills a process at every request of every operation. Afterwards each key holds the old
// object or the complete new one, and when the time has come nothing of ours is left and nothing of
// others' was touched.
func TestKill(t *testing.T) {
	for _, server := range []string{"aws", "minio", "r2"} {
		for _, op := range operations {
			if server != "aws" && !strings.HasSuffix(op.name, "in parts") {
				continue // the same there
			}
			t.Run(server+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				killEverywhere(t, server, op)
			})
		}
	}
}

// quirks are of the servers that the profiles are for.
var quirks = map[string]s3fake.Quirks{
	"minio": {IgnoreConditionalCopy: true, IgnoreConditionalDelete: true, CompleteOnce: true, ExactUploadPrefix: true},
	"r2":    {UniformParts: true, NoChecksums: true},
}

func killEverywhere(t *testing.T, server string, op operation) {
	const most = 100 // requests of one operation
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			if n > most {
				t.Fatal("the operation does not end")
			}
			d := death{n, after}
			lived := false
			inBubble(t, s3fake.Options{Quirks: quirks[server]}, func(b *bubble) { lived = b.kill(d, server, op) })
			if t.Failed() {
				t.Fatal("killed ", d)
			}
			if lived {
				break
			}
		}
	}
}

// kill kills a process in the middle of op, and looks at what it left.
func (b *bubble) kill(d death, server string, op operation) (lived bool) {
	b.fill(op.before)
	a := b.open(profile(server))
	a.SetSizes(testPart, testPart, testPart)
	var foreign []string
	if server != "r2" { // which has no checksums
		foreign = b.foreign(a)
	}
	lived, err := b.die(d, a, op.do)
	if lived && err != nil {
		b.Error(err)
	}
	states := append(slices.Clone(op.or), op.before, op.after)
	if err == nil {
		states = states[len(states)-1:]
	}
	b.sweep(b.open(profile(server)))
	if all := b.contents(); !slices.ContainsFunc(states, func(s map[string]string) bool { return maps.Equal(s, all) }) {
		b.Errorf("%v (err %v): the bucket holds %s", d, err, describe(all))
	}
	for _, key := range b.store.Keys() {
		if _, outside := b.contents()[key]; !outside {
			b.Error("left behind:", key)
		}
	}
	if left := b.uploads(); !slices.Equal(left, foreign) {
		b.Errorf("open uploads: %q, those of others were %q", left, foreign)
	}
	return lived
}

// TestKillSweep kills the process that renames a folder, and then the one that finishes it, at every
// request of both.
func TestKillSweep(t *testing.T) {
	before := map[string]string{"d/": "", "d/a": "A"}
	after := map[string]string{"e/": "", "e/a": "A"}
	const most = 50
	for first := 5; first < most; first += 3 { // before that there is nothing to finish
		lived := false
		t.Run(fmt.Sprintf("request %d", first), func(t *testing.T) {
			everywhere(t, func(b *bubble, n int) (done bool) {
				b.fill(before)
				lived, _ = b.die(death{at: first, after: n%2 == 0}, b.open(), func(ctx context.Context, a *s3.Adapter) error {
					return a.Rename(ctx, "d", "e", backends.RenameOptions{})
				})
				a := b.open()
				b.pass(a.StaleAfter + time.Minute)
				swept, _ := b.die(death{at: n, after: first%2 == 1}, a, func(ctx context.Context, a *s3.Adapter) error { return a.Sweep(ctx) })
				b.sweep(b.open())
				if all := b.contents(); !maps.Equal(all, before) && !maps.Equal(all, after) {
					b.Errorf("the bucket holds %s", describe(all))
				}
				if left := leftovers(b.store, ""); len(left) > 0 {
					b.Errorf("left behind: %q", left)
				}
				return swept
			})
		})
		if lived {
			return
		}
	}
	t.Error("the rename does not end")
}
