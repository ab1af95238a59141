package gcs_test

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/buckettest"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/gcsfake"
)

// fake is a gcsfake in the words of buckettest.
type fake struct{ *gcsfake.Server }

// ops are what methods are for. Those of a session depend on what they say.
var ops = map[string]string{
	"objects.insert": buckettest.Write, "objects.get": buckettest.Head, "objects.media": buckettest.Get,
	"objects.delete": buckettest.Delete, "objects.list": buckettest.List, "objects.rewrite": buckettest.Copy,
	"objects.move": buckettest.Move, "objects.compose": buckettest.Compose, "objects.patch": buckettest.Change,
	"session.start": buckettest.Begin, "session.cancel": buckettest.Abort, "token": buckettest.Login,
	"folders.insert": buckettest.MakeFolder, "folders.rename": buckettest.MoveFolder,
}

func request(r gcsfake.Request) buckettest.Request {
	q := buckettest.Request{Request: r, Part: -1}
	span := r.Header.Get("Content-Range")
	begin, _, hasContent := strings.Cut(strings.TrimPrefix(span, "bytes "), "-")
	session := r.Op == "session.put" || r.Op == "session.status"
	switch {
	case span == "bytes */*":
		q.Op = buckettest.Status
	case session && strings.HasSuffix(span, "/*"):
		q.Op = buckettest.SendPart
	case session:
		q.Op = buckettest.Complete
	default:
		q.Op = cmp.Or(ops[r.Op], r.Op)
	}
	switch offset, _ := strconv.Atoi(begin); {
	case q.Op == buckettest.Write:
		q.Part = 0
	case session && hasContent: // most are of testPart in these tests
		q.Part = 1 + offset/testPart
	}
	return q
}

// OnRequest implements buckettest.Fake.
func (f fake) OnRequest(each func(buckettest.Request) buckettest.Fault) {
	f.Server.OnRequest(func(r gcsfake.Request) gcsfake.Fault {
		x := each(request(r))
		return gcsfake.Fault{
			Status: x.Status, Reason: x.Code, Before: x.Before, After: x.After, CutBody: x.CutBody, FlipBit: x.FlipBit,
			Stall: x.Stall, StallBody: x.StallBody, Delay: x.Delay,
		}
	})
}

// Requests implements buckettest.Fake.
func (f fake) Requests() []buckettest.Request {
	var all []buckettest.Request
	for _, r := range f.Server.Requests() {
		all = append(all, request(r))
	}
	return all
}

// Object implements buckettest.Fake.
func (f fake) Object(key string) (buckettest.Object, bool) {
	o, ok := f.Server.Object(key)
	if !ok {
		return buckettest.Object{}, slices.Contains(f.Folders(), key)
	}
	return buckettest.Object{
		Data: o.Data, Size: o.Size, CRC: o.CRC32C, Version: strconv.FormatInt(o.Generation, 10), Metadata: o.Metadata,
	}, true
}

// Keys implements buckettest.Fake.
func (f fake) Keys() []string {
	keys := f.Server.Keys()
	for _, folder := range f.Folders() {
		if !strings.HasPrefix(folder, ".sluice/") { // which stay
			keys = append(keys, folder)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Uploads implements buckettest.Fake.
func (f fake) Uploads() []buckettest.Upload {
	var all []buckettest.Upload
	for _, s := range f.Sessions() {
		all = append(all, buckettest.Upload{Key: s.Name, ID: s.ID})
	}
	return all
}

// variants are buckets that others may have, and what Google does at times.
var variants = map[string]gcsfake.Options{
	"":                 {},
	"without moving":   {Quirks: gcsfake.Quirks{NoMove: true}},
	"keeps nothing":    {Quirks: gcsfake.Quirks{PersistNothing: true}},
	"copies by pieces": {Quirks: gcsfake.Quirks{RewriteStep: testPart}},
	"hierarchical":     {Hierarchical: true},
	"slow folders":     {Hierarchical: true, Quirks: gcsfake.Quirks{SlowRename: true}},
}

// late sends content to a session as a process would that does not live any more.
func late(b *buckettest.Bubble, u buckettest.Upload, kept int64, content string) {
	b.Helper()
	target := b.Endpoint + "/upload/storage/v1/b/bucket/o?" + url.Values{
		"uploadType": {"resumable"}, "name": {u.Key}, "upload_id": {u.ID},
	}.Encode()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPut, target, strings.NewReader(content))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", kept, kept+int64(len(content))-1))
	transport := &http.Transport{DialContext: b.Setup().Dial}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect {
		b.Error(resp.Status)
	}
}

// opened is an adapter of a Setup.
func opened(t testing.TB, setup buckettest.Setup, change ...func(*gcs.Config)) *gcs.Adapter {
	t.Helper()
	c := configAt(t, setup.Endpoint)
	c.Hierarchical = variants[setup.Variant].Hierarchical
	if setup.Change != nil {
		setup.Change(&c.Config)
	}
	for _, change := range change {
		change(&c)
	}
	c.Transport = setup.Wired(c.Transport)
	a, err := gcs.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if setup.Part > 0 {
		a.SetSizes(setup.Part)
	}
	return a
}

var kind = buckettest.Kind{
	New: func(o buckettest.Options) buckettest.Fake {
		options := variants[o.Variant]
		options.PageSize, options.Rate, options.Discard = o.PageSize, o.Rate, o.Discard
		return fake{gcsfake.New(options)}
	},
	Open: func(t testing.TB, s buckettest.Setup) *bucket.Adapter { return opened(t, s).Adapter },

	Killed: []string{"without moving", "hierarchical", "slow folders"}, KilledInParts: []string{"copies by pieces"},
	Lost: []string{"keeps nothing"}, Continued: []string{"keeps nothing", "hierarchical"}, Small: []string{""},
	Folders: []string{"hierarchical", "slow folders"},

	SlowDown: "rateLimitExceeded", Internal: "backendError", Denied: "forbidden", Unreadable: []string{"forbidden"},
	Oops:       `{"error": {"code": 500, "message": "We encountered an internal error.", "errors": [{"reason": "internalError"}]}}`,
	ReadHeader: http.Header{"X-Goog-Generation": {"1"}},
	Pinned:     func(r buckettest.Request) string { return r.Header.Get("X-Goog-If-Generation-Match") },
	Polynomial: crc32.Castagnoli,
	NoLines:    true,

	Serial: true, Expires: true,
	CopiesLarge: buckettest.Copy, RenamesSmall: buckettest.Move, RenamesLarge: buckettest.Move, AppendsParts: buckettest.Compose,
	AtOnce: 1, WideTime: time.Minute,
	Requests: map[string]buckettest.Cost{
		"put small": buckettest.Asks(2, "list, write"), "put a page": buckettest.Asks(2, "list, write"),
		// The last part goes with the end, and nothing is written besides.
		"put in parts": buckettest.Asks(4, "begin, complete, list, part, part"),
		"stat":         buckettest.Asks(1, "head, list"), "stat of a folder": buckettest.Asks(1, "head, list"),
		"list": buckettest.Asks(1, "list"), "open and read": buckettest.Asks(1, "get"), "remove": buckettest.Asks(3, "delete, head, list, list"),
		"mkdir": buckettest.Asks(2, "head, list, write"), "set the time": buckettest.Asks(2, "change, head"), "copy": buckettest.Asks(2, "copy, head, list"),
		"rename": buckettest.Asks(7, "change, head, head, head, list, list, list, move"),
	},
	Appends: []buckettest.Append{
		{Name: "less than a part", Size: testPart - 1, Offset: testPart - 1, Read: true},
		{Name: "a part", Size: testPart, Offset: testPart, Op: buckettest.Compose, Times: 1},
		{Name: "to the end of many", Size: 10*testPart + 7, Offset: 10*testPart + 7, Op: buckettest.Compose, Times: 1},
		{Name: "to the middle of many", Size: 10 * testPart, Offset: 5*testPart + 1, Read: true},
	},
	Late: late,
}

func TestBucket(t *testing.T) { buckettest.Run(t, kind) }
