package backendtest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/backendtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backendtest.Store {
		return backendtest.Store{Adapter: backendtest.Memory(), PartSize: 4096}
	})
}

func TestFaultyWithoutFaults(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backendtest.Store {
		return backendtest.Store{Adapter: backendtest.Faulty(backendtest.Memory()), PartSize: 4096}
	})
}

// Every operation of a faulty adapter fails when it is told to, with the very error, and only once.
func TestFaultyFails(t *testing.T) {
	ctx := t.Context()
	f := backendtest.Faulty(backendtest.Memory())
	put := func() error {
		_, err := f.Put(ctx, "o", strings.NewReader("data"), backends.PutOptions{})
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		r, err := f.Open(ctx, "o", backends.OpenOptions{})
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r)
		return errors.Join(err, r.Close())
	}
	calls := map[string]func() error{
		"stat":    func() error { _, err := f.Stat(ctx, "o"); return err },
		"list":    func() error { return listError(ctx, f) },
		"open":    read,
		"read":    read,
		"put":     put,
		"publish": put,
		"copy":    func() error { _, err := f.Copy(ctx, "o", "o", backends.CopyOptions{}); return err },
		"rename":  func() error { return f.Rename(ctx, "o", "o", backends.RenameOptions{}) },
		"mkdir":   func() error { return f.Mkdir(ctx, "d") },
		"rmdir":   func() error { return f.Rmdir(ctx, "d") },
		"remove":  func() error { return f.Remove(ctx, "o") },
	}
	want := &backends.Error{Op: "any", Kind: backends.NoSpace}
	for op, call := range calls {
		f.FailNext(op, want)
		if err := call(); !errors.Is(err, error(want)) || backends.KindOf(err) != backends.NoSpace {
			t.Errorf("%s: %v, want %v", op, err, want)
		}
		f.SetHook(func(_ context.Context, called, _ string) error {
			if called == op {
				return want
			}
			return nil
		})
		if err := call(); !errors.Is(err, error(want)) {
			t.Errorf("%s by hook: %v, want %v", op, err, want)
		}
		f.SetHook(nil)
	}
	for op, call := range calls {
		if op != "mkdir" && op != "rmdir" && op != "remove" && call() != nil {
			t.Errorf("%s still fails: %v", op, call())
		}
	}
}

func listError(ctx context.Context, a backends.CloudStorageAdapter) error {
	for _, err := range a.List(ctx, "", backends.ListOptions{}) {
		if err != nil {
			return err
		}
	}
	return nil
}
