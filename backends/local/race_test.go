package local_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// race has eight try at once, half of them from what might be another process, and wants one winner.
func race(t *testing.T, try func(i int) error, refusal backends.Kind) {
	t.Helper()
	errs := make([]error, 8)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-start
			errs[i] = try(i)
		})
	}
	close(start)
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if backends.KindOf(err) != refusal {
			t.Errorf("a loser: %v, want %v", err, refusal)
		}
	}
	if won != 1 {
		t.Fatalf("%d won: %v", won, errs)
	}
}

// IfAbsent is atomic between processes, which share no lock: for files, copies, and folders.
func TestIfAbsentTwoProcesses(t *testing.T) {
	root := t.TempDir()
	cfg := local.Config{Root: root, Fsync: local.FsyncNever}
	both := []*local.Adapter{open(t, cfg), open(t, cfg)}
	ctx := t.Context()
	put(t, both[0], "source", "x")
	for round := range 100 {
		for i := range 8 {
			put(t, both[0], fmt.Sprintf("file%d", i), "x")
			if err := both[0].Mkdir(ctx, fmt.Sprintf("folder%d-%d", round, i)); err != nil {
				t.Fatal(err)
			}
		}
		key := func(what string) string { return fmt.Sprintf("%s-%d", what, round) }
		var meeting sync.WaitGroup
		meeting.Add(8)
		race(t, func(i int) error {
			r := callback(func() { meeting.Done(); meeting.Wait() })
			return second(both[i%2].Put(ctx, key("put"), r, putOptions{IfAbsent: true}))
		}, backends.Exist)
		race(t, func(i int) error {
			return second(both[i%2].Copy(ctx, "source", key("copy"), backends.CopyOptions{IfAbsent: true}))
		}, backends.Exist)
		race(t, func(i int) error {
			return both[i%2].Rename(ctx, fmt.Sprintf("file%d", i), key("file"), backends.RenameOptions{IfAbsent: true})
		}, backends.Exist)
		race(t, func(i int) error {
			return both[i%2].Rename(ctx, fmt.Sprintf("folder%d-%d", round, i), key("folder"), backends.RenameOptions{})
		}, backends.Exist)
	}
}

// Within a process IfVersion is exact: of eight that replace the same version, one does.
func TestIfVersionRace(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir(), Fsync: local.FsyncNever})
	for range 300 {
		obj := put(t, a, "o", "the first")
		var meeting sync.WaitGroup
		meeting.Add(8)
		race(t, func(i int) error {
			// All have begun, and found the version that they want, before any ends.
			r := callback(func() { meeting.Done(); meeting.Wait() })
			return second(a.Put(t.Context(), "o", r, putOptions{IfVersion: obj.Version}))
		}, backends.Conflict)
	}
}

// What comes after the byte that is too many, or after the context's end, is not asked for.
func TestStopsReadingAtOnce(t *testing.T) {
	a := open(t, local.Config{Root: t.TempDir()})
	reads := 0
	r := readerFunc(func(p []byte) (int, error) {
		reads++
		return 1, nil
	})
	_, err := a.Put(t.Context(), "o", r, putOptions{MaxSize: 10})
	wantKind(t, "put", err, backends.TooLarge)
	if reads != 11 {
		t.Errorf("%d bytes were read, 10 are allowed", reads)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
