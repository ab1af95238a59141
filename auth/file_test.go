package auth_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-ftp/sluice/auth"
)

func login(t testing.TB, f *auth.File, name, password string) *auth.User {
	t.Helper()
	u, err := f.Authenticate(t.Context(), auth.Login{Name: name, Password: password})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return u
}

func denied(t testing.TB, f *auth.File, name, password string) {
	t.Helper()
	u, err := f.Authenticate(t.Context(), auth.Login{Name: name, Password: password})
	if !errors.Is(err, auth.ErrDenied) || u != nil {
		t.Fatalf("%s: %v, %v; want denied", name, u, err)
	}
}

func TestAuthenticate(t *testing.T) {
	f, _ := open(t, "users:\n"+user("acme", argon)+user("bolt", bcrypt))
	want := &auth.User{Name: "acme", Mounts: []auth.Mount{
		{Path: "/", Backend: "disk", Prefix: "acme", Permissions: auth.List | auth.Read | auth.Write},
	}}
	if diff := cmp.Diff(want, login(t, f, "acme", "secret"), cmpopts.IgnoreUnexported(auth.User{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	login(t, f, "bolt", "secret")
	denied(t, f, "acme", "wrong")
	denied(t, f, "acme", "")
	denied(t, f, "ACME", "secret")
	denied(t, f, "nobody", "secret")
	denied(t, f, "", "")
}

// A password that hashes well is still refused when it is empty.
func TestAuthenticateEmptyPassword(t *testing.T) {
	// argon2(1) of nothing.
	f, _ := open(t, "users:\n"+user("acme", emptyArgon))
	if ok, err := auth.Verify(emptyArgon, ""); !ok || err != nil {
		t.Fatal("the hash is not that of the empty password:", err)
	}
	denied(t, f, "acme", "")
}

func TestRemembered(t *testing.T) {
	text := "users:\n" + user("acme", argon) + user("bolt", bcrypt)
	f, path := open(t, text)
	n := auth.CountHashes(f)
	hashes := func(want int64, what string) {
		t.Helper()
		if got := n.Swap(0); got != want {
			t.Errorf("%s: %d hashes, want %d", what, got, want)
		}
	}
	login(t, f, "acme", "secret")
	hashes(1, "first login")
	for range 10 {
		login(t, f, "acme", "secret")
	}
	hashes(0, "further logins")
	denied(t, f, "acme", "wrong")
	hashes(1, "a wrong password after a good one")
	denied(t, f, "acme", "wrong")
	hashes(1, "the same wrong password again")
	login(t, f, "acme", "secret")
	hashes(0, "the good one after wrong ones")
	login(t, f, "bolt", "secret")
	hashes(1, "the same password of another user")
	denied(t, f, "nobody", "secret")
	hashes(1, "a stranger")

	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	login(t, f, "acme", "secret")
	hashes(0, "after a reload of the same file")
	write(t, path, text+"# touched\n")
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	login(t, f, "acme", "secret")
	hashes(1, "after a reload of another file")
	write(t, path, "users: [{}]")
	if err := f.Reload(); err == nil {
		t.Fatal("a bad file was taken")
	}
	login(t, f, "acme", "secret")
	hashes(0, "after a bad file")
}

// A new password is in force at once, and the old one is not remembered.
func TestReloadChangesPassword(t *testing.T) {
	f, path := open(t, "users:\n"+user("acme", argon))
	login(t, f, "acme", "secret")
	hash, err := auth.Hash("newer")
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "users:\n"+user("acme", hash))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	denied(t, f, "acme", "secret")
	login(t, f, "acme", "newer")
	write(t, path, "users:\n"+user("bolt", hash))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	denied(t, f, "acme", "newer")
}

// A login that was under way when the file changed is not remembered for the new one.
func TestReloadDuringLogin(t *testing.T) {
	f, path := open(t, "users:\n"+user("acme", argon))
	started, release := make(chan string), make(chan struct{})
	auth.HoldHashes(f, started, release)
	done := make(chan error)
	go func() {
		_, err := f.Authenticate(context.Background(), auth.Login{Name: "acme", Password: "secret"})
		done <- err
	}()
	<-started
	write(t, path, "# changed\nusers:\n"+user("acme", argon))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	release <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	n := auth.CountHashes(f)
	login(t, f, "acme", "secret")
	if n.Load() != 1 {
		t.Error("the login was remembered in the new file")
	}
}

func TestReloadKeepsOld(t *testing.T) {
	f, path := open(t, "users:\n"+user("acme", argon))
	write(t, path, "users:\n"+user("acme", argon)+user("acme", bcrypt))
	if err := f.Reload(); err == nil {
		t.Error("a bad file was taken")
	}
	login(t, f, "acme", "secret")
	for _, text := range []string{"", "users:\n", "users: []\n"} {
		write(t, path, text)
		if err := f.Reload(); err == nil {
			t.Errorf("%q was taken", text)
		}
		login(t, f, "acme", "secret")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	login(t, f, "acme", "secret")
	if len(f.Users()) != 1 || f.Users()[0].Name != "acme" {
		t.Error(f.Users())
	}
}

func TestOpenFileMissing(t *testing.T) {
	f, err := auth.OpenFile(t.TempDir()+"/users.yaml", auth.Rules{})
	if !errors.Is(err, os.ErrNotExist) || f != nil {
		t.Error(f, err)
	}
}

// No more passwords are hashed at once than there are processors, and who waits can go.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := open(t, "users:\n"+user("acme", argon))
		started, release := make(chan string, 100), make(chan struct{})
		auth.HoldHashes(f, started, release)
		ctx, cancel := context.WithCancel(t.Context())
		login := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := f.Authenticate(ctx, auth.Login{Name: "acme", Password: "wrong"})
				done <- err
			}()
			return done
		}
		hashing := []<-chan error{}
		for range runtime.GOMAXPROCS(0) {
			hashing = append(hashing, login(t.Context()))
		}
		synctest.Wait()
		waiting := login(ctx)
		synctest.Wait()
		if n := len(started); n != runtime.GOMAXPROCS(0) {
			t.Errorf("%d hashings at once on %d processors", n, runtime.GOMAXPROCS(0))
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrDenied) {
			t.Error(err)
		}
		close(release)
		for _, done := range hashing {
			if err := <-done; !errors.Is(err, auth.ErrDenied) {
				t.Error(err)
			}
		}
	})
}

// Ten connections at once with a good password cost one hash for each processor, and no more.
func TestRememberedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := open(t, "users:\n"+user("acme", argon))
		started, release := make(chan string, 100), make(chan struct{})
		auth.HoldHashes(f, started, release)
		var g sync.WaitGroup
		for range 5 * runtime.GOMAXPROCS(0) {
			g.Go(func() { login(t, f, "acme", "secret") })
		}
		synctest.Wait() // they hash, or wait for it
		close(release)
		g.Wait()
		if n := len(started); n != runtime.GOMAXPROCS(0) {
			t.Errorf("%d hashings on %d processors", n, runtime.GOMAXPROCS(0))
		}
	})
}

// A stranger costs what most users cost, so that time does not tell who exists.
func TestStrangerCost(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"users:\n" + user("a", argon), "argon2id m=64 t=1 p=1"},
		{"users:\n" + user("a", bcrypt), "bcrypt 04"},
		{"users:\n" + user("a", argon) + user("b", bcrypt) + user("c", bcrypt), "bcrypt 04"},
		{"users:\n" + user("a", argon) + user("b", argon3) + user("c", argon3), "argon2id m=256 t=3 p=2"},
	} {
		f, _ := open(t, c.text)
		users, stranger := auth.Costs(f)
		if stranger != c.want {
			t.Errorf("users %q: a stranger costs %q, want %q", users, stranger, c.want)
		}
		denied(t, f, "nobody", "secret")
	}
}

// Hashes of more than one cost are told, each once.
func TestHashCosts(t *testing.T) {
	f, path := open(t, "users:\n"+user("a", bcrypt)+user("b", bcrypt))
	if diff := cmp.Diff([]string{"bcrypt 04"}, f.HashCosts()); diff != "" {
		t.Error(diff)
	}
	write(t, path, "users:\n"+user("a", bcrypt)+user("b", argon)+user("c", bcrypt))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"argon2id m=64 t=1 p=1", "bcrypt 04"}, f.HashCosts()); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkLoginRemembered(b *testing.B) {
	hash, err := auth.Hash("secret")
	if err != nil {
		b.Fatal(err)
	}
	f, _ := open(b, "users:\n"+user("acme", hash))
	login(b, f, "acme", "secret")
	b.ReportAllocs()
	for b.Loop() {
		login(b, f, "acme", "secret")
	}
}

func BenchmarkLogin(b *testing.B) {
	hash, err := auth.Hash("secret")
	if err != nil {
		b.Fatal(err)
	}
	f, _ := open(b, "users:\n"+user("acme", hash))
	b.ReportAllocs()
	for b.Loop() {
		denied(b, f, "acme", "wrong")
	}
}
