package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

const owner = "acme"

var errLine = errors.New("the line broke")

// keeping are the options of an upload that is kept, with what it goes on from.
func keeping(p backends.Pending) putOptions {
	return putOptions{Resumable: true, Owner: owner, Continue: p.Version, Offset: p.Size}
}

func fresh() putOptions { return keeping(backends.Pending{}) }

// pieces delivers one after the other, in pieces as small as the adapter's buffer.
func pieces(r ...io.Reader) io.Reader { return struct{ io.Reader }{io.MultiReader(r...)} }

// broken delivers data, calls then and breaks.
func broken(data string, then func()) io.Reader {
	return pieces(strings.NewReader(data), readerFunc(func([]byte) (int, error) {
		then()
		return 0, errLine
	}))
}

// breakOff begins an upload of which data arrives, and returns how much of it is kept.
func breakOff(t *testing.T, a *local.Adapter, key, data string) int64 {
	t.Helper()
	obj, err := a.Put(t.Context(), key, broken(data, func() {}), fresh())
	if !errors.Is(err, errLine) {
		t.Fatalf("put %q: %v", key, err)
	}
	return obj.Size
}

func wantPending(t *testing.T, a *local.Adapter, key string, size int64) backends.Pending {
	t.Helper()
	p, err := a.Pending(t.Context(), key, owner)
	if size == 0 {
		wantKind(t, "pending", err, backends.NotExist)
	} else if err != nil || p.Size != size {
		t.Errorf("pending are %+v, %v, want %d bytes", p, err, size)
	}
	return p
}

// two are two processes on one folder, as far as the file system can tell, that write
// five bytes at a time and keep ten or more.
func two(t *testing.T, cfg local.Config) (a, b *local.Adapter) {
	t.Helper()
	cfg.KeepAtLeast, cfg.BufferSize = 10, 5
	return open(t, cfg), open(t, cfg)
}

// While a process writes, no other one goes on, begins anew, drops or cleans up. Afterwards any does.
func TestKeptByTwoProcesses(t *testing.T) {
	root := t.TempDir()
	a, b := two(t, local.Config{Root: root, KeepFor: time.Nanosecond})
	ctx := t.Context()
	breakOff(t, a, "o", "0123456789")
	p := wantPending(t, b, "o", 10)
	_, err := a.Put(ctx, "o", broken("abc", func() {
		_, err := b.Pending(ctx, "o", owner)
		wantKind(t, "pending", err, backends.Busy)
		_, err = b.Put(ctx, "o", strings.NewReader("x"), keeping(p))
		wantKind(t, "going on", err, backends.Busy)
		_, err = b.Put(ctx, "o", strings.NewReader("x"), fresh())
		wantKind(t, "beginning anew", err, backends.Busy)
		wantKind(t, "discard", b.Discard(ctx, "o", owner), backends.Busy)
		if n, err := b.Sweep(ctx); n != 0 || err != nil {
			t.Errorf("%d files were swept, %v", n, err)
		}
	}), keeping(p))
	if !errors.Is(err, errLine) {
		t.Error(err)
	}
	_, err = b.Put(ctx, "o", strings.NewReader("x"), keeping(p))
	wantKind(t, "going on from a version that was gone on from", err, backends.Busy)
	if _, err := b.Put(ctx, "o", strings.NewReader("def"), keeping(wantPending(t, b, "o", 13))); err != nil {
		t.Error(err)
	}
	wantContent(t, a, "o", "0123456789abcdef")
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Of two uploads of one user to one key the first that has enough is kept; the other ends.
func TestKeptIsFoundBusyLate(t *testing.T) {
	root := t.TempDir()
	a, b := two(t, local.Config{Root: root})
	enough, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	_, err := a.Put(t.Context(), "o", pieces(strings.NewReader("01234"), callback(func() {
		go func() {
			_, err := b.Put(t.Context(), "o", pieces(strings.NewReader("0123456789"), callback(func() {
				close(enough)
				<-goOn
			})), fresh())
			done <- err
		}()
		<-enough
	}), strings.NewReader("56789")), fresh())
	wantKind(t, "the second", err, backends.Busy)
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantContent(t, a, "o", "0123456789")

	// If that one has broken off by then, the other takes its place.
	_, err = a.Put(t.Context(), "o", pieces(strings.NewReader("01234"), callback(func() {
		breakOff(t, b, "o", "abcdefghijk")
	}), broken("56789", func() {})), fresh())
	if !errors.Is(err, errLine) {
		t.Error(err)
	}
	wantPending(t, b, "o", 10)
	if left := leftovers(t, root); len(left) != 2 {
		t.Errorf("there are %q, want a content and a record", left)
	}
}

// What is kept is that of the object that is there: a newer one hides it, none does not.
func TestKeptAndTheObject(t *testing.T) {
	root := t.TempDir()
	a, b := two(t, local.Config{Root: root})
	put(t, a, "o", "old")
	breakOff(t, a, "o", "0123456789")
	wantPending(t, b, "o", 10)
	wantContent(t, b, "o", "old")
	if err := b.Remove(t.Context(), "o"); err != nil {
		t.Error(err)
	}
	wantPending(t, b, "o", 10)
	put(t, b, "o", "somebody else's")
	wantPending(t, b, "o", 0)
	if err := b.Remove(t.Context(), "o"); err != nil {
		t.Error(err)
	}
	// A new upload takes the place of what was kept, also one that is too small to be kept.
	if n := breakOff(t, a, "o", "012345678"); n != 0 {
		t.Errorf("%d bytes are kept, which is not worth it", n)
	}
	wantPending(t, a, "o", 0)
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A power cut leaves what was durable: all of what was parked, and of what was on its way what the last
// checkpoint had. A kill leaves all.
func TestKeptAfterPowerCut(t *testing.T) {
	const parked, onTheWay = "0123456789abc", "0123456789abcdefghij"
	root, after := t.TempDir(), t.TempDir()
	a, _ := two(t, local.Config{Root: root})
	breakOff(t, a, "parked", parked)

	a.CheckpointAfter(int64(len(onTheWay)))
	var checkpoint sync.WaitGroup
	checkpoint.Add(3)
	var synced []string
	a.OnSync(func(f *os.File) error {
		defer checkpoint.Done()
		synced = append(synced, filepath.Base(filepath.Dir(nameOf(t, f))))
		return f.Sync()
	})
	r := pieces(strings.NewReader(onTheWay), callback(checkpoint.Wait), strings.NewReader("LOST!"), callback(func() {
		if err := os.CopyFS(after, os.DirFS(root)); err != nil {
			t.Error(err)
		}
		a.OnSync((*os.File).Sync)
	}), strings.NewReader(" "))
	if _, err := a.Put(t.Context(), "on the way", r, fresh()); err != nil {
		t.Error(err)
	}
	if got, want := strings.Join(synced, " "), "kept tmp .sluice"; got != want {
		t.Errorf("files in %q were synced, want the content, the record, and then its folder: %q", got, want)
	}

	killed, cut := two(t, local.Config{Root: after})
	cut.Restart()
	wantPending(t, killed, "on the way", int64(len(onTheWay+"LOST!")))
	for key, want := range map[string]string{"parked": parked, "on the way": onTheWay} {
		p := wantPending(t, cut, key, int64(len(want)))
		again := t.TempDir()
		_, err := cut.Put(t.Context(), key, broken("new..", func() {
			if err := os.CopyFS(again, os.DirFS(after)); err != nil {
				t.Error(err)
			}
		}), keeping(p))
		if !errors.Is(err, errLine) {
			t.Error(err)
		}
		_, killed := two(t, local.Config{Root: again})
		killed.Restart() // the same start of the machine
		wantPending(t, killed, key, int64(len(want))+5)
		p = wantPending(t, cut, key, int64(len(want))+5)
		if _, err := cut.Put(t.Context(), key, strings.NewReader("end"), keeping(p)); err != nil {
			t.Error(err)
		}
		wantContent(t, cut, key, want+"new..end")
	}
	if left := leftovers(t, after); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func goOnAndBreak(t *testing.T, a *local.Adapter, key, data string, p backends.Pending) int64 {
	t.Helper()
	obj, err := a.Put(t.Context(), key, broken(data, func() {}), keeping(p))
	if !errors.Is(err, errLine) {
		t.Errorf("put %q: %v", key, err)
	}
	return obj.Size
}

// nameOf is where an open file is.
func nameOf(t *testing.T, f *os.File) string {
	t.Helper()
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		t.Error(err)
	}
	return name
}

// What the disk fails at is not kept, and a failure that only a checkpoint sees is not forgotten.
func TestKeptOnFailingDisk(t *testing.T) {
	root := t.TempDir()
	a, _ := two(t, local.Config{Root: root})
	a.OnSync(func(*os.File) error { return syscall.EIO })
	if n := breakOff(t, a, "o", "0123456789"); n != 0 {
		t.Errorf("%d bytes that are not on the disk are kept", n)
	}
	wantPending(t, a, "o", 0)

	// Where only the new record fails the old one holds.
	calls := 0
	a.OnSync(func(f *os.File) error {
		if calls++; calls == 2 {
			return syscall.ENOSPC
		}
		return f.Sync()
	})
	if n := breakOff(t, a, "o", "0123456789"); n != 0 || calls != 2 {
		t.Errorf("%d bytes are said to be kept", n)
	}
	wantPending(t, a, "o", 10)
	if left := leftovers(t, root); len(left) != 2 {
		t.Errorf("there are %q, want a content and a record", left)
	}

	a.CheckpointAfter(15)
	failed := false
	a.OnSync(func(f *os.File) error {
		if !failed {
			failed = true
			return syscall.EIO // as the system does, which says it once
		}
		return f.Sync()
	})
	_, err := a.Put(t.Context(), "o", pieces(strings.NewReader("0123456789abcdefghij")), fresh())
	wantKind(t, "put", err, backends.Unavailable)
	failed = false
	if n := breakOff(t, a, "o", "0123456789abcdefghij"); n != 0 || !failed {
		t.Errorf("%d bytes are kept after a checkpoint that failed", n)
	}
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	wantAbsent(t, a, "o")
}

// Without its folder nothing can be kept, and the operator is told so.
func TestKeptFolderGone(t *testing.T) {
	root := t.TempDir()
	a, _ := two(t, local.Config{Root: root})
	if err := os.RemoveAll(filepath.Join(root, ".sluice", "kept")); err != nil {
		t.Fatal(err)
	}
	_, err := a.Put(t.Context(), "o", strings.NewReader("0123456789"), fresh())
	wantKind(t, "put", err, backends.Misconfigured)
	put(t, a, "small", "x")
	if left := leftovers(t, root); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func wantAbsent(t *testing.T, a *local.Adapter, key string) {
	t.Helper()
	_, err := a.Stat(t.Context(), key)
	wantKind(t, "stat", err, backends.NotExist)
}

// A network file system drops the locks of a machine that it has not heard of for a while. A process
// there whose upload somebody went on with publishes nothing, and leaves it alone.
func TestFencedOnSharedFolder(t *testing.T) {
	for _, end := range []io.Reader{strings.NewReader(""), broken("", func() {})} {
		root := t.TempDir()
		a, b := two(t, local.Config{Root: root})
		breakOff(t, a, "o", "0123456789")
		r := pieces(callback(func() {
			dropLocks(t, root)
			if n := goOnAndBreak(t, b, "o", "abc", wantPending(t, b, "o", 10)); n != 13 {
				t.Errorf("%d bytes are kept", n)
			}
		}), strings.NewReader("ABCDE"), end)
		obj, err := a.Put(t.Context(), "o", r, keeping(wantPending(t, a, "o", 10)))
		wantKind(t, "the one that lost its lock", err, backends.Fenced)
		if obj.Size != 0 {
			t.Errorf("%d bytes are kept", obj.Size)
		}
		wantAbsent(t, a, "o")
		if _, err := b.Put(t.Context(), "o", strings.NewReader("def"), keeping(wantPending(t, b, "o", 13))); err != nil {
			t.Error(err)
		}
		wantContent(t, b, "o", "0123456789abcdef")
	}
}

// dropLocks gives each content that is kept a file of its own, which nobody has locked.
func dropLocks(t *testing.T, root string) {
	t.Helper()
	for _, name := range leftovers(t, root) {
		data, err := os.ReadFile(name)
		if err := errors.Join(err, os.Remove(name), os.WriteFile(name, data, 0o600)); err != nil {
			t.Error(err)
		}
	}
}

// The sweep removes what is too old, and what nothing leads to; not what somebody may go on with.
func TestSweepKept(t *testing.T) {
	root := t.TempDir()
	var told []backends.Kept
	a, b := two(t, local.Config{Root: root, KeepFor: time.Hour, Kept: func(k backends.Kept) { told = append(told, k) }, SweepEvery: -1})
	ctx := t.Context()
	for _, key := range []string{"young", "old", "without content", "without record", "broken record"} {
		breakOff(t, a, key, "0123456789")
	}
	kept := filepath.Join(root, ".sluice", "kept")
	record := func(key string) string { return filepath.Join(kept, backends.Slot(key, owner)+".json") }
	contents, err := filepath.Glob(filepath.Join(kept, backends.Slot("without content", owner)+".[A-Z2-7]*"))
	if err != nil || len(contents) != 1 {
		t.Fatalf("contents %q, %v", contents, err)
	}
	ago := time.Now().Add(-61 * time.Minute)
	for _, err := range []error{
		os.Chtimes(record("old"), ago, ago),
		os.Chtimes(record("young"), ago.Add(10*time.Minute), ago.Add(10*time.Minute)),
		os.Remove(contents[0]),
		os.Remove(record("without record")),
		os.WriteFile(record("broken record"), nil, 0o600), // as a power cut may leave it
		os.WriteFile(filepath.Join(root, ".sluice", "tmp", "dead"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := b.Sweep(ctx); n != 6 || err != nil {
		// old: one for both its files; the content without record, the record without content, the
		// broken one and its content, the temporary file
		t.Errorf("%d were swept, %v", n, err)
	}
	if left := leftovers(t, root); len(left) != 2 {
		t.Errorf("left are %q, want the young one", left)
	}
	if n, err := b.Sweep(ctx); n != 0 || err != nil {
		t.Errorf("%d more were swept, %v", n, err)
	}
	wantPending(t, b, "young", 10)
	if last := told[len(told)-1]; last.Uploads != 1 || last.Oldest.Unix() != ago.Add(10*time.Minute).Unix() {
		t.Errorf("it told of %+v", told)
	}
}

// It is also done without anyone asking.
func TestSweepsByItself(t *testing.T) {
	root := t.TempDir()
	breakOff(t, open(t, local.Config{Root: root, KeepAtLeast: 10}), "o", "0123456789")
	synctest.Test(t, func(t *testing.T) {
		a, err := local.Open(local.Config{Root: root, KeepFor: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if left := leftovers(t, root); len(left) > 0 {
			t.Errorf("after an hour there are %q", left)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A process that is stopped while it holds the lock does not hold up the others for ever.
func TestLockHeldForLong(t *testing.T) {
	root := t.TempDir()
	a, _ := two(t, local.Config{Root: root})
	lock, err := os.Open(filepath.Join(root, ".sluice", "kept", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	synctest.Test(t, func(t *testing.T) {
		_, err := a.Put(t.Context(), "o", broken("0123456789", func() {
			if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
				t.Error(err)
			}
		}), fresh())
		if !errors.Is(err, errLine) {
			t.Error(err)
		}
		start := time.Now()
		_, err = a.Pending(t.Context(), "o", owner)
		wantKind(t, "pending", err, backends.Unavailable)
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("it was waited for %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err = a.Pending(ctx, "o", owner); !errors.Is(err, context.Canceled) {
			t.Errorf("pending, given up: %v", err)
		}
	})
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		t.Error(err)
	}
	wantPending(t, a, "o", 10) // it could not be parked, and nothing is lost
}

func TestNoResume(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir(), NoResume: true})
	if a.Capabilities().Resume {
		t.Error("it says that it keeps uploads")
	}
	_, err := a.Put(t.Context(), "o", strings.NewReader("x"), fresh())
	wantKind(t, "put", err, backends.Unsupported)
	_, err = a.Pending(t.Context(), "o", owner)
	wantKind(t, "pending", err, backends.Unsupported)
	wantKind(t, "discard", a.Discard(t.Context(), "o", owner), backends.Unsupported)
}

// Processes are killed at any moment, and each time another one goes on, until the file is there.
func TestKilledAgainAndAgain(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, fsync := range []local.Fsync{local.FsyncAlways, local.FsyncNever} {
		dir := t.TempDir()
		kills, wentOn := 0, 0
		for done := false; !done; {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(60*time.Millisecond))))
			if kills == 100 {
				ctx = t.Context() // whatever the machine does, it ends
			}
			cmd := exec.CommandContext(ctx, os.Args[0], string(fsync))
			cmd.Dir, cmd.Env = dir, append(os.Environ(), childEnv+"=upload")
			out, err := cmd.Output()
			cancel()
			if done = err == nil; !done {
				kills++
			}
			if ctx.Err() == nil && err != nil {
				t.Fatalf("child: %v: %s", err, out)
			}
			if strings.HasPrefix(string(out), "on") {
				wentOn++
			}
			if got, err := os.ReadFile(filepath.Join(dir, "o")); !errors.Is(err, os.ErrNotExist) && !bytes.Equal(got, uploadContent()) {
				t.Fatalf("%d bytes are published, %v", len(got), err)
			}
		}
		t.Logf("fsync %s: %d kills, %d went on", fsync, kills, wentOn)
		a := open(t, local.Config{Root: dir})
		if got, err := get(a, "o"); err != nil || got != string(uploadContent()) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := a.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if left := leftovers(t, dir); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}

func uploadContent() []byte {
	b := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// uploadChild goes on with an upload, over a line that is slow enough to be killed in the middle.
func uploadChild() int {
	a, err := local.Open(local.Config{Root: ".", Fsync: local.Fsync(os.Args[1]), KeepAtLeast: 1, BufferSize: 64 << 10})
	if err != nil {
		return fail(err)
	}
	a.CheckpointAfter(256 << 10)
	p, err := a.Pending(context.Background(), "o", owner)
	if err == nil {
		fmt.Println("on from", p.Size)
	} else if backends.KindOf(err) != backends.NotExist {
		return fail(err)
	}
	content := bytes.NewReader(uploadContent()[p.Size:])
	_, err = a.Put(context.Background(), "o", readerFunc(func(b []byte) (int, error) {
		<-time.After(2 * time.Millisecond)
		return content.Read(b)
	}), keeping(p))
	if err != nil {
		return fail(err)
	}
	return 0
}
