package buckettest

import (
	"context"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// testWorkAfterKilledRename kills the renaming of a folder at every request, lets clients go on with
// both folders, and then has the rename finished. Whatever was stored in between is still there.
func testWorkAfterKilledRename(t *testing.T, k *Kind) {
	for _, variant := range append([]string{""}, k.Folders[:min(1, len(k.Folders))]...) {
		t.Run(called(variant), func(t *testing.T) {
			everywhere(t, k, Options{Variant: variant}, (*Bubble).workAfterKilledRename)
		})
	}
}

func (b *Bubble) workAfterKilledRename(n int) (done bool) {
	b.fill(map[string]string{"d/": "", "d/a": "A", "d/b": "B"})
	lived, _ := b.die(death{at: n}, b.Open(), func(ctx context.Context, a *bucket.Adapter) error {
		return a.Rename(ctx, "d", "e", backends.RenameOptions{})
	})
	a := b.Open()
	for _, later := range []struct{ key, content string }{
		{"d/a", "A, changed in the old folder"},
		{"e/b", "B, changed in the new folder"},
		{"d/new", "new in the old folder"},
		{"e/new2", "new in the new folder"},
	} {
		if err := Put(b.Context(), a, later.key, later.content, backends.PutOptions{}); err != nil {
			b.Errorf("put %s: %v", later.key, err)
		}
	}
	b.Sweep(a)
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
}

// meanwhile renames at every moment of which something else happens. It says whether there was none
// with that number any more.
func (b *Bubble) meanwhile(n int, from, to string, happens func()) (done bool, err error) {
	a := b.Open()
	b.OnRequest(func(r Request) Fault {
		if r.Index == n {
			happens()
		}
		return Fault{}
	})
	err = a.Rename(b.Context(), from, to, backends.RenameOptions{})
	b.OnRequest(nil)
	if b.Count("") < n {
		return true, err
	}
	b.Sweep(a)
	return false, err
}

// testWorkDuringRename stores objects in a folder at every moment of its renaming. Each is at one of
// the two places afterwards.
func testWorkDuringRename(t *testing.T, k *Kind) {
	everywhere(t, k, Options{}, func(b *Bubble, n int) bool {
		b.fill(map[string]string{"d/": "", "d/a": "A", "d/b": "B"})
		done, err := b.meanwhile(n, "d", "e", func() {
			b.Put("d/a", []byte("A, meanwhile"), nil)
			b.Put("d/new", []byte("new, meanwhile"), nil)
		})
		if !done && !b.holds("A, meanwhile", "d/a", "e/a") {
			b.Errorf("a, which was overwritten, is lost (rename: %v)", err)
		}
		if !done && !b.holds("new, meanwhile", "d/new", "e/new") {
			b.Errorf("new is lost (rename: %v)", err)
		}
		return done
	})
}

// testOverwriteDuringRename overwrites an object at every moment of its renaming, also one that has
// its token. The new version is at one of the two places afterwards.
func testOverwriteDuringRename(t *testing.T, k *Kind) {
	for name, token := range map[string]map[string]string{"ours": {bucket.MetaToken: "token"}, "another's": nil} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, k, Options{}, func(b *Bubble, n int) bool {
				b.Put("d/from", []byte("old"), token)
				b.Put("d/other", nil, nil)
				done, err := b.meanwhile(n, "d/from", "to", func() { b.Put("d/from", []byte("meanwhile"), token) })
				if !done && !b.holds("meanwhile", "d/from", "to") {
					b.Errorf("what was stored meanwhile is lost (rename: %v)", err)
				}
				return done
			})
		})
	}
}

// testFolderAppearsDuringRename makes the target of a folder's rename come into being at every moment
// of it. What was stored there is never replaced, now or by the finishing of the rename.
func testFolderAppearsDuringRename(t *testing.T, k *Kind) {
	everywhere(t, k, Options{}, func(b *Bubble, n int) bool {
		b.fill(map[string]string{"d/": "", "d/a": "A", "d/b": "B"})
		done, err := b.meanwhile(n, "d", "e", func() { b.Put("e/b", []byte("someone else's"), nil) })
		// Who stored it before the rename copied onto it cannot have it replaced; who stored it after
		// has it anyway.
		if !done && !b.holds("someone else's", "e/b") {
			b.Errorf("what was stored in the new folder is replaced (rename: %v)", err)
		}
		if !done && !b.holds("A", "d/a", "e/a") {
			b.Errorf("a is lost (rename: %v)", err)
		}
		return done
	})
}

// testRenameThatCannotBe renames a folder with an object in it that cannot be copied. Nothing of it is
// left to people at the new place, and nobody tries for ever.
func testRenameThatCannotBe(t *testing.T, k *Kind) {
	for _, code := range k.Unreadable {
		t.Run(code, func(t *testing.T) {
			InBubble(t, k, Options{}, func(b *Bubble) {
				before := map[string]string{"d/": "", "d/a": "A", "d/b": "B", "d/c": "C"}
				b.fill(before)
				refused := 0
				b.OnRequest(func(r Request) Fault {
					if r.Op == Copy && r.Key == "e/b" {
						refused++
						return Fault{Code: code}
					}
					return Fault{}
				})
				a := b.Open()
				if err := a.Rename(b.Context(), "d", "e", backends.RenameOptions{}); err == nil || refused == 0 {
					b.Errorf("%v after %d refusals", err, refused)
				}
				b.Pass(a.StaleAfter + time.Minute)
				_ = a.Sweep(b.Context()) // it may say what it cannot do
				if all := b.contents(); !b.same(all, before) {
					b.Errorf("the bucket holds %s", describe(all))
				}
				b.wantNothingLeft()
			})
		})
	}
}
