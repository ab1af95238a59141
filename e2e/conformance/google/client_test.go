package google

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	rest "google.golang.org/api/storage/v1"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// official is Google's own client at gcsfake. What it takes for an answer of Google's is one.
type official struct {
	*storage.BucketHandle
	t    *testing.T
	fake *gcsfake.Server
}

func openOfficial(t *testing.T, o gcsfake.Options) official {
	t.Helper()
	o.NoAuth = true
	fake := gcsfake.Start(t, o)
	client, err := storage.NewClient(t.Context(), option.WithEndpoint(fake.URL()+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	client.SetRetry(
		storage.WithBackoff(gax.Backoff{Initial: time.Millisecond, Max: 10 * time.Millisecond}),
		// Its own rule tries again after a reset, but not when a connection ends in good order without an answer.
		storage.WithErrorFunc(func(err error) bool { return storage.ShouldRetry(err) || errors.Is(err, io.EOF) }),
	)
	return official{client.Bucket(bucketName), t, fake}
}

// write puts content under a name, in chunks of that size; 0 is in one request.
func (o official) write(h *storage.ObjectHandle, content []byte, chunk int) (*storage.ObjectAttrs, error) {
	o.t.Helper()
	w := h.NewWriter(o.t.Context())
	w.ChunkSize, w.ContentType, w.Metadata = chunk, "text/csv", map[string]string{"partner": "acme"}
	_, err := w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

// put is write of what cannot fail.
func (o official) put(name string, content []byte) *storage.ObjectAttrs {
	o.t.Helper()
	attrs, err := o.write(o.Object(name), content, 0)
	if err != nil {
		o.t.Fatalf("%s: %v", name, err)
	}
	return attrs
}

// holds compares what the client reads and is told with content, and with what is stored.
func (o official) holds(name string, content []byte) *storage.ObjectAttrs {
	o.t.Helper()
	there, ok := o.fake.Object(name)
	if !ok || !bytes.Equal(there.Data, content) {
		o.t.Errorf("%s: %d bytes are stored, want %d", name, len(there.Data), len(content))
	}
	attrs, err := o.Object(name).Attrs(o.t.Context())
	if err != nil {
		o.t.Fatalf("%s: %v", name, err)
	}
	sum := crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	if attrs.Size != int64(len(content)) || attrs.CRC32C != sum || attrs.Generation != there.Generation || attrs.Created.IsZero() {
		o.t.Errorf("%s: %+v, want %d bytes of %x", name, attrs, len(content), sum)
	}
	// The client verifies the checksum that comes with the whole.
	for _, span := range [][2]int64{{0, -1}, {1, -1}, {0, 1}, {int64(len(content)) / 2, 7}, {-1, -1}} {
		want := content
		if span[0] < 0 {
			want = content[max(0, len(content)-1):]
		} else {
			want = want[min(span[0], int64(len(want))):]
		}
		if span[1] >= 0 {
			want = want[:min(span[1], int64(len(want)))]
		}
		if len(want) == 0 && len(content) > 0 || len(content) == 0 && span != [2]int64{0, -1} {
			continue // there is no such range
		}
		got, err := o.read(o.Object(name), span)
		if err != nil || !bytes.Equal(got, want) {
			o.t.Errorf("%s: %d bytes of %v, want %d: %v", name, len(got), span, len(want), err)
		}
	}
	return attrs
}

func (o official) read(h *storage.ObjectHandle, span [2]int64) ([]byte, error) {
	r, err := h.NewRangeReader(o.t.Context(), span[0], span[1])
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// wantStatus looks for an error with that status; 0 is success.
func wantStatus(t *testing.T, want int, err error) {
	t.Helper()
	var e *googleapi.Error
	switch {
	case err == nil && want == 0:
	case errors.Is(err, storage.ErrObjectNotExist) && want == http.StatusNotFound:
	case !errors.As(err, &e) || e.Code != want:
		t.Errorf("%v, want status %d", err, want)
	}
}

func TestClientObjects(t *testing.T) {
	t.Parallel()
	o := openOfficial(t, gcsfake.Options{})
	names := []string{"a", "with space", "a+b&c=d", "100%", "#?", "Grüße", "日本", "😀", "d/e/f", "'\"", "a;b", "%2F", "-- "}
	for i, name := range names {
		content := harness.Pattern(i * 1000)
		made := o.put(name, content)
		there := o.holds(name, content)
		if diff := cmp.Diff(made, there); diff != "" {
			t.Errorf("%s: told when it was made and later: %s", name, diff)
		}
		if there.ContentType != "text/csv" || there.Metadata["partner"] != "acme" || there.StorageClass != "STANDARD" {
			t.Errorf("%s: %+v", name, there)
		}
	}
	for _, name := range names {
		wantStatus(t, 0, o.Object(name).Delete(t.Context()))
		for _, err := range []error{
			o.Object(name).Delete(t.Context()),
			second(o.Object(name).Attrs(t.Context())),
			second(o.read(o.Object(name), [2]int64{0, -1})),
		} {
			wantStatus(t, http.StatusNotFound, err)
		}
	}
	if left := o.fake.Keys(); len(left) > 0 {
		t.Errorf("%q", left)
	}
}

func TestClientConditions(t *testing.T) {
	t.Parallel()
	o := openOfficial(t, gcsfake.Options{})
	absent := storage.Conditions{DoesNotExist: true}
	first, next := []byte("first"), []byte("second")
	old, err := o.write(o.Object("k").If(absent), first, 0)
	if err != nil {
		t.Fatal(err)
	}
	const failed = http.StatusPreconditionFailed
	for _, chunk := range []int{0, 256 << 10} {
		large := harness.Pattern(300 << 10)
		wantStatus(t, failed, second(o.write(o.Object("k").If(absent), large, chunk)))
		wantStatus(t, failed, second(o.write(o.Object("k").If(storage.Conditions{GenerationMatch: old.Generation + 1}), large, chunk)))
	}
	o.holds("k", first)
	now, err := o.write(o.Object("k").If(storage.Conditions{GenerationMatch: old.Generation}), next, 0)
	if err != nil || now.Generation <= old.Generation {
		t.Fatalf("%+v, %v", now, err)
	}
	o.holds("k", next)
	wantStatus(t, http.StatusNotFound, second(o.Object("k").Generation(old.Generation).Attrs(t.Context())))
	wantStatus(t, failed, second(o.read(o.Object("k").If(storage.Conditions{GenerationMatch: old.Generation}), [2]int64{0, -1})))
	wantStatus(t, http.StatusRequestedRangeNotSatisfiable, second(o.read(o.Object("k"), [2]int64{6, -1})))

	change := storage.ObjectAttrsToUpdate{Metadata: map[string]string{"partner": "", "new": "1"}, ContentType: "text/plain"}
	wantStatus(t, failed, second(o.Object("k").If(storage.Conditions{MetagenerationMatch: 2}).Update(t.Context(), change)))
	changed, err := o.Object("k").If(storage.Conditions{GenerationMatch: now.Generation, MetagenerationMatch: 1}).Update(t.Context(), change)
	if err != nil || changed.Generation != now.Generation || changed.Metageneration != 2 || changed.ContentType != "text/plain" ||
		changed.Metadata["new"] != "1" || !slices.Equal(changed.MD5, now.MD5) {
		t.Errorf("%+v, %v", changed, err)
	}
	wantStatus(t, failed, o.Object("k").If(storage.Conditions{GenerationMatch: old.Generation}).Delete(t.Context()))
	o.holds("k", next)
	wantStatus(t, 0, o.Object("k").If(storage.Conditions{GenerationMatch: now.Generation}).Delete(t.Context()))
	wantStatus(t, http.StatusNotFound, second(o.Object("k").Attrs(t.Context())))
}

func TestClientListing(t *testing.T) {
	t.Parallel()
	for _, page := range []int{1, 2, 1000} {
		o := openOfficial(t, gcsfake.Options{PageSize: page})
		for _, key := range []string{"a/b/1", "a/b/2", "a/c", "a/d e/3", "b", "ä"} {
			o.put(key, []byte(key))
		}
		for _, test := range []struct {
			query storage.Query
			want  []string
		}{
			{storage.Query{}, []string{"a/b/1", "a/b/2", "a/c", "a/d e/3", "b", "ä"}},
			{storage.Query{Delimiter: "/"}, []string{"a/", "b", "ä"}},
			{storage.Query{Delimiter: "/", Prefix: "a/"}, []string{"a/b/", "a/c", "a/d e/"}},
			{storage.Query{Prefix: "a/b"}, []string{"a/b/1", "a/b/2"}},
			{storage.Query{StartOffset: "a/c", EndOffset: "b"}, []string{"a/c", "a/d e/3"}},
			{storage.Query{Prefix: "nothing"}, nil},
		} {
			var got []string
			all := o.Objects(t.Context(), &test.query)
			for {
				attrs, err := all.Next()
				if errors.Is(err, iterator.Done) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, attrs.Prefix+attrs.Name)
			}
			slices.Sort(got) // the client gives a page's objects before its prefixes
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%+v in pages of %d: %s", test.query, page, diff)
			}
		}
	}
}

func TestClientCopies(t *testing.T) {
	t.Parallel()
	o := openOfficial(t, gcsfake.Options{Quirks: gcsfake.Quirks{RewriteStep: 1 << 20}})
	content := harness.Pattern(3<<20 + 1)
	from := o.put("from", content)
	asked := o.fake.Count("objects.rewrite")
	copier := o.Object("to a/folder").If(storage.Conditions{DoesNotExist: true}).CopierFrom(o.Object("from").Generation(from.Generation))
	copier.StorageClass = "NEARLINE" // Google copies a large object in steps only if its bytes have to move
	made, err := copier.Run(t.Context())
	if err != nil || made.StorageClass != "NEARLINE" {
		t.Fatalf("%+v, %v", made, err)
	}
	if steps := o.fake.Count("objects.rewrite") - asked; steps < 4 {
		t.Errorf("copied in %d steps", steps)
	}
	o.holds("to a/folder", content)
	_, err = o.Object("to a/folder").If(storage.Conditions{DoesNotExist: true}).CopierFrom(o.Object("from")).Run(t.Context())
	wantStatus(t, http.StatusPreconditionFailed, err)
	_, err = o.Object("x").CopierFrom(o.Object("nothing")).Run(t.Context())
	wantStatus(t, http.StatusNotFound, err)

	absent := &storage.Conditions{DoesNotExist: true}
	moved, err := o.Object("from").If(storage.Conditions{GenerationMatch: from.Generation}).
		Move(t.Context(), storage.MoveObjectDestination{Object: "moved/ä", Conditions: absent})
	if err != nil || moved.Name != "moved/ä" {
		t.Fatalf("%+v, %v", moved, err)
	}
	if there := o.holds("moved/ä", content); there.ContentType != "text/csv" || there.Metadata["partner"] != "acme" {
		t.Errorf("%+v", there)
	}
	wantStatus(t, http.StatusNotFound, second(o.Object("from").Attrs(t.Context())))
	_, err = o.Object("moved/ä").Move(t.Context(), storage.MoveObjectDestination{Object: "to a/folder", Conditions: absent})
	wantStatus(t, http.StatusPreconditionFailed, err)
	o.holds("moved/ä", content)
}

func TestClientCompose(t *testing.T) {
	t.Parallel()
	o := openOfficial(t, gcsfake.Options{})
	var all []byte
	var pieces []*storage.ObjectHandle
	for i, name := range []string{"1", "2 ä", "3/x"} {
		content := harness.Pattern(1000 * (i + 1))
		made := o.put(name, content)
		all = append(all, content...)
		pieces = append(pieces, o.Object(name).If(storage.Conditions{GenerationMatch: made.Generation}))
	}
	composer := o.Object("whole").If(storage.Conditions{DoesNotExist: true}).ComposerFrom(pieces...)
	composer.ContentType = "text/plain"
	made, err := composer.Run(t.Context())
	if err != nil || made.ComponentCount != 3 || len(made.MD5) > 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	if there := o.holds("whole", all); there.ContentType != "text/plain" {
		t.Errorf("%+v", there)
	}
	wantStatus(t, http.StatusPreconditionFailed, second(composer.Run(t.Context())))
	// An object grows by what is put behind it.
	_, err = o.Object("whole").If(storage.Conditions{GenerationMatch: made.Generation}).ComposerFrom(o.Object("whole"), pieces[0]).Run(t.Context())
	wantStatus(t, 0, err)
	o.holds("whole", append(all, harness.Pattern(1000)...))
	o.put("1", []byte("changed"))
	_, err = o.Object("other").ComposerFrom(pieces...).Run(t.Context())
	wantStatus(t, http.StatusPreconditionFailed, err)
}

// What goes wrong in the middle of an upload in chunks is made good by the client, which asks the session what
// it has.
func TestClientChunks(t *testing.T) {
	t.Parallel()
	const chunk = 256 << 10
	for name, fault := range map[string]gcsfake.Fault{
		"none":                       {},
		"an error of the server":     {Status: http.StatusServiceUnavailable},
		"too many requests":          {Status: http.StatusTooManyRequests},
		"cut before":                 {Before: true},
		"cut when it has been taken": {After: true},
	} {
		for _, in := range []string{"session.start", "session.put"} {
			for _, size := range []int{2 * chunk, 4*chunk + 1} { // one ends with a chunk that is whole
				o := openOfficial(t, gcsfake.Options{})
				met := 0
				o.fake.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
					if r.Op != in {
						return gcsfake.Fault{}
					}
					if met++; in == "session.start" && met > 1 || in == "session.put" && met != 2 {
						return gcsfake.Fault{}
					}
					return fault
				})
				content := harness.Pattern(size)
				// Only what is conditional may be tried again when it may have been done.
				made, err := o.write(o.Object("k").If(storage.Conditions{DoesNotExist: true}), content, chunk)
				if err != nil {
					t.Errorf("%s in %s of %d bytes: %v", name, in, size, err)
					continue
				}
				if met < 1 || in == "session.put" && met < 2 {
					t.Errorf("%d requests of %s", met, in)
				}
				if there := o.holds("k", content); made.Generation != there.Generation {
					t.Errorf("%s in %s: generation %d, and %d is there", name, in, made.Generation, there.Generation)
				}
			}
		}
	}
}

// Content that arrives changed is refused for the checksum that the client sends of it.
func TestClientChecksum(t *testing.T) {
	t.Parallel()
	for _, chunk := range []int{0, 256 << 10} {
		o := openOfficial(t, gcsfake.Options{})
		o.fake.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
			return gcsfake.Fault{FlipBit: r.Op == "objects.insert" || r.Op == "session.put"}
		})
		content := harness.Pattern(600 << 10)
		w := o.Object("k").NewWriter(t.Context())
		w.ChunkSize, w.SendCRC32C, w.CRC32C = chunk, true, crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
		_, err := w.Write(content)
		if err = errors.Join(err, w.Close()); err == nil {
			t.Errorf("in chunks of %d: what was changed on the way is there", chunk)
		}
		wantStatus(t, http.StatusNotFound, second(o.Object("k").Attrs(t.Context())))
	}
}

// What is not finished is not there.
func TestClientAbandons(t *testing.T) {
	t.Parallel()
	o := openOfficial(t, gcsfake.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := o.Object("k").NewWriter(ctx)
	w.ChunkSize = 256 << 10
	if _, err := w.Write(harness.Pattern(1 << 20)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	wantStatus(t, http.StatusNotFound, second(o.Object("k").Attrs(t.Context())))
}

// Folders of a bucket with a hierarchical namespace, by the client that is made from Google's description of
// the API.
func TestClientFolders(t *testing.T) {
	t.Parallel()
	o := openOfficial(t, gcsfake.Options{Hierarchical: true})
	api, err := rest.NewService(t.Context(), option.WithEndpoint(o.fake.URL()+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	folders := func() (names []string) {
		t.Helper()
		all, err := api.Folders.List(bucketName).Do()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all.Items {
			names = append(names, f.Name)
		}
		return names
	}
	layout, err := api.Buckets.GetStorageLayout(bucketName).Do()
	if err != nil || !layout.HierarchicalNamespace.Enabled {
		t.Errorf("%+v, %v", layout, err)
	}
	insert := func(name string) error {
		return second(api.Folders.Insert(bucketName, &rest.Folder{Name: name}).Recursive(true).Do())
	}
	wantStatus(t, 0, insert("a/b ä/"))
	wantStatus(t, http.StatusConflict, insert("a/b ä/"))
	o.put("a/b ä/file", []byte("content"))
	if diff := cmp.Diff([]string{"a/", "a/b ä/"}, folders()); diff != "" {
		t.Error(diff)
	}
	found, err := api.Folders.Get(bucketName, "a/b ä/").Do()
	if err != nil || found.Metageneration != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	wantStatus(t, http.StatusConflict, api.Folders.Delete(bucketName, "a/b ä/").Do())

	op, err := api.Folders.Rename(bucketName, "a/", "c/").Do()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if op.Done {
			break
		}
		id := op.Name[strings.LastIndex(op.Name, "/")+1:]
		if op, err = api.Operations.Get(bucketName, id).Do(); err != nil {
			t.Fatal(err)
		}
	}
	if !op.Done || op.Error != nil {
		t.Errorf("%+v", op)
	}
	if diff := cmp.Diff([]string{"c/", "c/b ä/"}, folders()); diff != "" {
		t.Error(diff)
	}
	o.holds("c/b ä/file", []byte("content"))
	wantStatus(t, 0, o.Object("c/b ä/file").Delete(t.Context()))
	wantStatus(t, 0, api.Folders.Delete(bucketName, "c/b ä/").Do())
	wantStatus(t, http.StatusNotFound, second(api.Folders.Get(bucketName, "a/").Do()))
}
