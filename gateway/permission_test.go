package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/gateway"
)

// matrix has every command that touches the store, with the permissions that it needs.
var matrix = []struct {
	before, cmd string
	needs       auth.Permissions
	refusal     int // without them
}{
	{"", "LIST", auth.List, 550},
	{"", "LIST file", auth.List, 550},
	{"", "LIST f*", auth.List, 550},
	{"", "NLST", auth.List, 550},
	{"", "MLSD", auth.List, 550},
	{"", "STAT dir", auth.List, 550},
	{"", "RETR file", auth.Read, 550},
	{"", "HASH file", auth.Read, 550},
	{"", "XCRC file", auth.Read, 550},
	{"", "XSHA256 file", auth.Read, 550},
	{"", "STOR new", auth.Write, 553},
	{"", "STOR file", auth.Write | auth.Overwrite, 553},
	{"", "STOU", auth.Write, 553},
	{"", "APPE new", auth.Write, 553},
	{"", "APPE file", auth.Append, 553},
	{"REST 7", "STOR file", auth.Append, 553},
	{"REST 3", "STOR file", auth.Append | auth.Overwrite, 553}, // drops what is behind the third byte
	{"", "DELE file", auth.Delete, 550},
	{"", "RMD empty", auth.Delete, 550},
	{"", "MKD new", auth.Mkdir, 550},
	{"", "RNFR file", auth.Rename, 550},
	{"RNFR file", "RNTO new", auth.Rename | auth.Write, 553},
	{"RNFR file", "RNTO dir/file", auth.Rename | auth.Write | auth.Overwrite, 553},
	{"", "MFMT 20200101000000 file", auth.Write, 550},
	{"", "MDTM 20200101000000 file", auth.Write, 550},
	{"", "SITE UTIME 20200101000000 file", auth.Write, 550},
}

// watched notes the calls of a store that change something or tell what is in it. To look whether
// something is there (Stat, Pending) may be needed to refuse.
type watched struct {
	backends.CloudStorageAdapter
	mu    sync.Mutex
	calls []string
}

func (w *watched) note(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
}

func (w *watched) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.calls, " ")
}

func (w *watched) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	w.note("List")
	return w.CloudStorageAdapter.List(ctx, dir, o)
}

func (w *watched) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	w.note("Open")
	return w.CloudStorageAdapter.Open(ctx, key, o)
}

func (w *watched) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	w.note("Put")
	return w.CloudStorageAdapter.Put(ctx, key, r, o)
}

func (w *watched) Discard(ctx context.Context, key, owner string) error {
	w.note("Discard")
	return w.CloudStorageAdapter.Discard(ctx, key, owner)
}

func (w *watched) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	w.note("Copy")
	return w.CloudStorageAdapter.Copy(ctx, from, to, o)
}

func (w *watched) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	w.note("Rename")
	return w.CloudStorageAdapter.Rename(ctx, from, to, o)
}

func (w *watched) Remove(ctx context.Context, key string) error {
	w.note("Remove")
	return w.CloudStorageAdapter.Remove(ctx, key)
}

func (w *watched) Mkdir(ctx context.Context, dir string) error {
	w.note("Mkdir")
	return w.CloudStorageAdapter.Mkdir(ctx, dir)
}

func (w *watched) Rmdir(ctx context.Context, dir string) error {
	w.note("Rmdir")
	return w.CloudStorageAdapter.Rmdir(ctx, dir)
}

func (w *watched) SetModTime(ctx context.Context, key string, t time.Time) error {
	w.note("SetModTime")
	return w.CloudStorageAdapter.SetModTime(ctx, key, t)
}

// TestPermissions runs every command with all permissions but one that it needs, and with just
// those: the first must be refused and change nothing, the second must work.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for _, m := range matrix {
		for bit := auth.List; bit <= auth.Mkdir; bit <<= 1 {
			if m.needs&bit == 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s %s without %b", m.before, m.cmd, bit), func(t *testing.T) {
				t.Parallel()
				f, store := startWatched(t, auth.All&^bit)
				c := f.login()
				before := f.tree()
				code := c.try(m.before, m.cmd)
				if m.before == "RNFR file" && bit == auth.Rename {
					equal(t, "refusal", code, 503)
				} else {
					equal(t, "refusal", code, m.refusal)
				}
				equal(t, "tree", f.tree(), before)
				// To replace a file is found out by the store itself, where that is the moment to ask.
				if calls := store.seen(); calls != "" && !strings.HasPrefix(m.cmd, "RNTO dir/file") {
					t.Errorf("the store saw %s", calls)
				}
			})
		}
		t.Run(fmt.Sprintf("%s %s", m.before, m.cmd), func(t *testing.T) {
			t.Parallel()
			f := startWith(t, m.needs)
			if code := f.login().try(m.before, m.cmd); code >= 400 {
				t.Errorf("refused with %d", code)
			}
		})
	}
}

func startWith(t *testing.T, p auth.Permissions) *fixture {
	t.Helper()
	f, _ := startWatched(t, p)
	return f
}

func startWatched(t *testing.T, p auth.Permissions) (*fixture, *watched) {
	t.Helper()
	store := &watched{}
	f := start(t, func(o *gateway.Options) {
		store.CloudStorageAdapter = o.Backends["disk"]
		o.Backends["disk"] = store
		o.Auth = users{passwords: map[string]string{"ann": "secret"}, mounts: []auth.Mount{{Path: "/", Backend: "disk", Permissions: p}}}
	})
	f.put("file", "content")
	f.put("dir/file", "other")
	f.mkdir("empty")
	return f, store
}

// try runs a command, a transfer with an empty body, and returns the code of its final reply.
func (c *client) try(before, cmd string) int {
	c.t.Helper()
	if before != "" {
		c.send(before)
		c.reply()
	}
	verb, _, _ := strings.Cut(cmd, " ")
	if !strings.Contains("LIST NLST MLSD RETR STOR STOU APPE", verb) {
		c.send(cmd)
		code, _ := c.reply()
		return code
	}
	conn := c.data()
	defer conn.Close()
	if before != "" { // REST counts for the next command
		c.send(before)
		c.reply()
	}
	c.send(cmd)
	code, _ := c.reply()
	if code != 150 {
		return code
	}
	if strings.HasPrefix(verb, "ST") || verb == "APPE" {
		_ = conn.Close()
	} else {
		_, _ = io.Copy(io.Discard, conn) // a transfer that fails is reset
	}
	code, _ = c.reply()
	return code
}

// tree is the served folder as text.
func (f *fixture) tree() string {
	f.t.Helper()
	root, err := os.OpenRoot(f.root)
	if err != nil {
		f.t.Fatal(err)
	}
	defer root.Close()
	var b strings.Builder
	for _, name := range []string{"file", "dir", "dir/file", "empty", "new"} {
		info, err := root.Stat(name)
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%s %v %s", name, info.IsDir(), info.ModTime())
		if !info.IsDir() {
			fmt.Fprintf(&b, " %q", f.read(name))
		}
	}
	return b.String()
}

// Who may list or read may know of a file; who may neither is told nothing of it.
func TestWhoMaySee(t *testing.T) {
	t.Parallel()
	for p, ok := range map[auth.Permissions]bool{auth.List: true, auth.Read: true, auth.All &^ (auth.List | auth.Read): false} {
		f := startWith(t, p)
		c := f.login()
		for _, cmd := range []string{"SIZE file", "MDTM file", "MLST file", "STAT file", "AVBL dir"} {
			if code := c.try("", cmd); (code < 400) != ok || !ok && code != 550 {
				t.Errorf("%s with %b: %d", cmd, p, code)
			}
		}
		if !ok {
			equal(t, "LIST of a file that is there", c.try("", "LIST file"), 550)
			equal(t, "and of one that is not", c.try("", "LIST none"), 550)
			if strings.Contains(f.log.String(), "LIST none\" code=550 text=\"No such") {
				t.Error("the reply tells them apart")
			}
		}
	}
}

// Who may not make folders cannot make one by putting a file into it.
func TestNoFolderByUpload(t *testing.T) {
	t.Parallel()
	f := startWith(t, auth.All&^auth.Mkdir)
	c := f.login()
	for _, cmd := range []string{"STOR none/x", "APPE none/x", "STOR file/x"} {
		if code := c.try("", cmd); code != 550 {
			t.Errorf("%s: %d", cmd, code)
		}
	}
	c.cmd(350, "RNFR file")
	c.cmd(550, "RNTO none/x")
	if code := c.try("", "STOR dir/x"); code != 226 {
		t.Errorf("STOR dir/x: %d", code)
	}
}

// Many upload one name, and nobody may replace it: one wins.
func TestOneOfManyUploads(t *testing.T) {
	t.Parallel()
	f := startWith(t, auth.All&^auth.Overwrite)
	const n = 20
	codes := make(chan int, n)
	var clients []*client
	for range n {
		clients = append(clients, f.login())
	}
	var wg sync.WaitGroup
	for i, c := range clients {
		conn := c.data()
		c.send("STOR one")
		wg.Go(func() {
			code, _ := c.reply()
			if code == 150 {
				_, _ = io.WriteString(conn, strings.Repeat(fmt.Sprint(i%10), 1000))
				_ = conn.Close()
				code, _ = c.reply()
			}
			codes <- code
		})
	}
	wg.Wait()
	won := 0
	for range n {
		switch code := <-codes; code {
		case 226:
			won++
		case 553:
		default:
			t.Errorf("%d", code)
		}
	}
	equal(t, "winners", won, 1)
	content := f.read("one")
	equal(t, "whole", len(content) == 1000 && strings.Count(content, content[:1]) == 1000, true)
}

// Two write one name: the result is one of them, whole, and so is what a reader sees meanwhile.
func TestWritersAndReaders(t *testing.T) {
	t.Parallel()
	f := start(t)
	versions := []string{strings.Repeat("a", 300_000), strings.Repeat("b", 500_000)}
	f.put("file", versions[0])
	var clients []*client
	for range 4 {
		clients = append(clients, f.loginTLS())
	}
	whole := func(s string) bool { return s == versions[0] || s == versions[1] }
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for range 10 {
				if i < 2 {
					if code, text := c.upload("STOR file", versions[i]); code != 226 {
						t.Errorf("STOR: %d %s", code, text)
					}
				} else if got := c.download("RETR file"); !whole(got) {
					t.Errorf("a reader got %d bytes, a mixture", len(got))
				}
			}
		})
	}
	wg.Wait()
	equal(t, "whole at the end", whole(f.read("file")), true)
	equal(t, "leftovers", len(f.leftovers()), 0)
}

// replies has the answer to each kind of storage error, before and after 150 (RFC 959 section
// 4.2.1: 4xx may be tried again, 5xx may not).
var replies = []struct {
	kind                         backends.Kind
	simple, upload, after, named int
}{
	{backends.NotExist, 550, 550, 451, 550},
	{backends.Misconfigured, 451, 451, 451, 451},
	{backends.Permission, 550, 553, 451, 553},
	{backends.Exist, 550, 553, 553, 553},
	{backends.IsDir, 550, 550, 451, 550},
	{backends.NotDir, 550, 550, 451, 550},
	{backends.NotEmpty, 550, 550, 451, 550},
	{backends.InvalidName, 553, 553, 553, 553},
	{backends.TooLarge, 552, 552, 552, 552},
	{backends.NoSpace, 452, 452, 452, 452},
	{backends.BadOffset, 554, 554, 554, 554},
	{backends.Busy, 450, 450, 450, 450},
	{backends.Conflict, 450, 450, 451, 450},
	{backends.Fenced, 451, 451, 451, 451},
	{backends.Unavailable, 450, 450, 451, 450},
	{backends.Archived, 450, 450, 451, 450},
	{backends.Corrupt, 451, 451, 451, 451},
	{backends.Unsupported, 502, 502, 451, 502},
	{backends.Internal, 451, 451, 451, 451},
}

// TestFaults fails every call of the adapter with every kind of error, and wants the reply to tell
// the cause and nothing of the store.
func TestFaults(t *testing.T) {
	t.Parallel()
	const secret = "arn:aws:s3:::prod-bucket"
	var store *backendtest.FaultyAdapter
	f := start(t, func(o *gateway.Options) {
		store = backendtest.Faulty(o.Backends["disk"])
		o.Backends["disk"] = store
	})
	fail := func(kind backends.Kind, at ...string) {
		store.SetHook(func(_ context.Context, op, key string) error {
			if key == "" || len(at) > 0 && op != at[0] { // "" is the folder that the session is in
				return nil
			}
			return &backends.Error{Op: "op", Key: secret, Kind: kind, RequestID: "REQ", Err: errors.New(secret)}
		})
	}
	f.put("file", "content")
	f.put("dir/x", "")
	c := f.login()
	for _, r := range replies {
		fail(r.kind)
		for cmd, want := range map[string]int{
			"SIZE file": r.simple, "MDTM file": r.simple, "MLST file": r.simple, "STAT file": r.simple, "CWD dir": r.simple,
			"DELE file": r.simple, "RMD dir": r.simple, "MKD new": r.simple, "MFMT 20200101000000 file": r.simple, "RNFR file": r.simple,
			"HASH file": r.simple, "XCRC file": r.simple, "AVBL dir": r.simple,
			"RETR file": r.simple, "LIST file": r.simple, "NLST dir": r.simple, "MLSD dir": r.simple,
			"STOR file": r.upload,
		} {
			if got := c.try("", cmd); got != want {
				t.Errorf("%s with %v: %d, want %d", cmd, r.kind, got, want)
			}
		}
		if want := r.upload; r.kind != backends.NotExist { // a missing file is not an error to APPE
			if got := c.try("", "APPE file"); got != want {
				t.Errorf("APPE with %v: %d, want %d", r.kind, got, want)
			}
		}
		fail(r.kind, "publish")
		if got, _ := c.upload("STOR file", "new"); got != r.after {
			t.Errorf("STOR of data with %v: %d, want %d", r.kind, got, r.after)
		}
		equal(t, "file", f.read("file"), "content")
		store.SetHook(nil)
		c.cmd(350, "RNFR file")
		fail(r.kind)
		if got := c.try("", "RNTO other"); got != r.named {
			t.Errorf("RNTO with %v: %d, want %d", r.kind, got, r.named)
		}
	}
	for l := range strings.SplitSeq(f.log.String(), "\n") {
		if strings.Contains(l, "msg=reply") && (strings.Contains(l, secret) || strings.Contains(l, "REQ")) {
			t.Errorf("the client was told: %s", l)
		}
	}
	if !strings.Contains(f.log.String(), "REQ") {
		t.Error("the log does not name the request")
	}
}

// midway fails a listing and a download after their beginning.
type midway struct{ backends.CloudStorageAdapter }

var errMidway = &backends.Error{Op: "list", Kind: backends.Unavailable}

func (m midway) List(ctx context.Context, dir string, o backends.ListOptions) iter.Seq2[backends.Object, error] {
	return func(yield func(backends.Object, error) bool) {
		if yield(backends.Object{Key: "first", ModTime: time.Now()}, nil) {
			yield(backends.Object{}, errMidway)
		}
	}
}

type shortReader struct{ backends.Reader }

func (s shortReader) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, "cont")
	return int64(n), errors.Join(err, errMidway)
}

func (m midway) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	r, err := m.CloudStorageAdapter.Open(ctx, key, o)
	return shortReader{r}, err
}

// What breaks off on the store's side is not 226.
func TestBreaksMidway(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Backends["disk"] = midway{o.Backends["disk"]} })
	f.put("file", "content")
	c := f.login()
	for _, cmd := range []string{"RETR file", "MLSD", "LIST", "NLST"} {
		if code := c.try("", cmd); code != 451 {
			t.Errorf("%s: %d", cmd, code)
		}
	}
	if code := c.try("", "STAT"); code != 211 {
		t.Errorf("STAT: %d", code)
	}
	c.cmd(450, "STAT /")
}
