package auth

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A cheap hash of "secret", made with htpasswd(1).
const chainHash = "$2y$04$IHhIu9LP0ijYNfDnOCVdt.mMLxTfUowDvROH7IXIW5gZRlfJ8swfG"

func chainUsers(names ...string) string {
	text := "users:\n"
	for _, n := range names {
		text += "  - {name: " + n + ", password_hash: '" + chainHash + "', mounts: [{path: /, backend: file, permissions: [read]}]}\n"
	}
	return text
}

func TestChain(t *testing.T) {
	config, calls := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
		says(200, hookAnswer)(w, r) // takes every password of every name
	})
	path := filepath.Join(t.TempDir(), "users.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(chainUsers("ann", "cara"))
	f, err := OpenFile(path, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	c := &Chain{File: f, Hook: openHook(t, config)}
	var a Authenticator = c
	login := func(l Login, backend string, want error, asked int64) *User {
		t.Helper()
		u, err := a.Authenticate(t.Context(), l)
		if !errors.Is(err, want) || (err == nil && u.Mounts[0].Backend != backend) {
			t.Fatalf("%s: %v, %v; want %v of %s", l.Name, u, err, want, backend)
		}
		if n := calls.Swap(0); n != asked {
			t.Errorf("%s: the hook was asked %d times, want %d", l.Name, n, asked)
		}
		return u
	}
	ann := login(Login{Name: "ann", Password: "secret"}, "file", nil, 0)
	login(Login{Name: "ann", Password: "wrong"}, "", ErrDenied, 0)
	login(Login{Name: "ann", Password: "secret", CertificateOnly: true}, "", ErrDenied, 0)
	bob := login(Login{Name: "bob", Password: "secret"}, "disk", nil, 1)
	login(Login{Name: "bob", Password: "secret", CertificateOnly: true}, "", ErrDenied, 0)
	login(Login{Name: "Ann", Password: "secret"}, "disk", nil, 1)

	refresh := func(u *User, want error) {
		t.Helper()
		if _, err := a.Refresh(u, netip.Addr{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", u.Name, err, want)
		}
	}
	refresh(ann, nil)
	refresh(bob, nil)
	write(chainUsers("bob", "cara")) // the one goes, the other comes
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	refresh(ann, ErrNotNow)
	refresh(bob, nil)
	login(Login{Name: "bob", Password: "other"}, "", ErrDenied, 0)
	login(Login{Name: "ann", Password: "other"}, "disk", nil, 1)

	bob.when.until = time.Now().Add(-time.Hour)
	refresh(bob, ErrNotNow)
}
