package s3_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/s3"
	"github.com/sluice-ftp/sluice/backends/s3fake"
)

// holds says whether any of the keys has this content.
func (b *bubble) holds(content string, keys ...string) bool {
	for _, key := range keys {
		if o, ok := b.store.Object(key); ok && string(o.Data) == content {
			return true
		}
	}
	return false
}

// everywhere does something at every request in turn, until there was none with that number.
func everywhere(t *testing.T, do func(b *bubble, n int) (done bool)) {
	const most = 100
	for n, done := 1, false; !done; n++ {
		if n > most {
			t.Fatal("it does not end")
		}
		t.Run(fmt.Sprintf("request %d", n), func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) { done = do(b, n) })
		})
	}
}

// TestWorkAfterKilledRename kills the renaming of a folder at every request, lets clients go on with
// both folders, and then has the rename finished. Whatever was stored in between is still there.
func TestWorkAfterKilledRename(t *testing.T) {
	everywhere(t, func(b *bubble, n int) (done bool) {
		b.fill(map[string]string{"d/": "", "d/a": "A", "d/b": "B"})
		lived, _ := b.die(death{at: n}, b.open(), func(ctx context.Context, a *s3.Adapter) error {
			return a.Rename(ctx, "d", "e", backends.RenameOptions{})
		})
		a := b.open()
		for _, later := range []struct{ key, content string }{
			{"d/a", "A, changed in the old folder"},
			{"e/b", "B, changed in the new folder"},
			{"d/new", "new in the old folder"},
			{"e/new2", "new in the new folder"},
		} {
			if err := put(b.Context(), a, later.key, later.content, backends.PutOptions{}); err != nil {
				b.Errorf("put %s: %v", later.key, err)
			}
		}
		b.sweep(a)
		if !b.holds("A, changed in the old folder", "d/a", "e/a") {
			b.Errorf("a is lost, which was stored in the old folder after the kill")
		}
		if !b.holds("B, changed in the new folder", "e/b") {
			b.Errorf("b is not what was stored in the new folder after the kill")
		}
		if !b.holds("new in the old folder", "d/new", "e/new") {
			b.Errorf("new is lost, which was stored in the old folder after the kill")
		}
		if !b.holds("new in the new folder", "e/new2") {
			b.Errorf("new2 is lost, which was stored in the new folder after the kill")
		}
		return lived
	})
}

// TestWorkDuringRename stores objects in a folder at every moment of its renaming. Each is at one of
// the two places afterwards.
func TestWorkDuringRename(t *testing.T) {
	everywhere(t, func(b *bubble, n int) (done bool) {
		b.fill(map[string]string{"d/": "", "d/a": "A", "d/b": "B"})
		a := b.open()
		b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
			if r.Index == n {
				b.store.Put("d/a", []byte("A, meanwhile"), nil)
				b.store.Put("d/new", []byte("new, meanwhile"), nil)
			}
			return s3fake.Fault{}
		})
		err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{})
		b.store.OnRequest(nil)
		if b.store.Count("") < n {
			return true
		}
		b.sweep(a)
		if !b.holds("A, meanwhile", "d/a", "e/a") {
			b.Errorf("a, which was overwritten, is lost (rename: %v)", err)
		}
		if !b.holds("new, meanwhile", "d/new", "e/new") {
			b.Errorf("new is lost (rename: %v)", err)
		}
		return false
	})
}

// TestOverwriteDuringRename overwrites an object at every moment of its renaming. The new version is
// at one of the two places afterwards.
func TestOverwriteDuringRename(t *testing.T) {
	everywhere(t, func(b *bubble, n int) (done bool) {
		b.fill(map[string]string{"d/from": "old", "d/other": ""})
		a := b.open()
		b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
			if r.Index == n {
				b.store.Put("d/from", []byte("meanwhile"), nil)
			}
			return s3fake.Fault{}
		})
		err := a.Rename(b.Context(), "d/from", "to", backends.RenameOptions{})
		b.store.OnRequest(nil)
		if b.store.Count("") < n {
			return true
		}
		if !b.holds("meanwhile", "d/from", "to") {
			b.Errorf("what was stored meanwhile is lost (rename: %v)", err)
		}
		return false
	})
}

// TestFolderAppearsDuringRename makes the target of a folder's rename come into being at every moment
// of it. What was stored there is never replaced, now or by the finishing of the rename.
func TestFolderAppearsDuringRename(t *testing.T) {
	everywhere(t, func(b *bubble, n int) (done bool) {
		b.fill(map[string]string{"d/": "", "d/a": "A", "d/b": "B"})
		a := b.open()
		b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
			if r.Index == n {
				b.store.Put("e/b", []byte("someone else's"), nil)
			}
			return s3fake.Fault{}
		})
		err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{})
		b.store.OnRequest(nil)
		if b.store.Count("") < n {
			return true
		}
		b.sweep(a)
		// Who stored it before the rename copied onto it cannot have it replaced; who stored it
		// after has it anyway.
		if !b.holds("someone else's", "e/b") {
			b.Errorf("what was stored in the new folder is replaced (rename: %v)", err)
		}
		if !b.holds("A", "d/a", "e/a") {
			b.Errorf("a is lost (rename: %v)", err)
		}
		return false
	})
}

// TestRenameThatCannotBe renames a folder with an object in it that cannot be copied. Nothing of it is
// left to people at the new place, and nobody tries for ever.
func TestRenameThatCannotBe(t *testing.T) {
	for _, code := range []string{"InvalidObjectState", "AccessDenied"} {
		t.Run(code, func(t *testing.T) {
			inBubble(t, s3fake.Options{}, func(b *bubble) {
				before := map[string]string{"d/": "", "d/a": "A", "d/b": "B", "d/c": "C"}
				b.fill(before)
				b.store.OnRequest(func(r s3fake.Request) s3fake.Fault {
					if r.Op == "CopyObject" && r.Key == "e/b" {
						return s3fake.Fault{Code: code}
					}
					return s3fake.Fault{}
				})
				a := b.open()
				if err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{}); err == nil {
					b.Error("no error")
				}
				b.pass(a.StaleAfter + time.Minute)
				_ = a.Sweep(b.Context()) // it may say what it cannot do
				if all := b.contents(); !maps.Equal(all, before) {
					b.Errorf("the bucket holds %s", describe(all))
				}
				if left := leftovers(b.store, ""); len(left) > 0 {
					b.Errorf("left behind: %q", left)
				}
			})
		})
	}
}
