package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-ftp/sluice/auth"
)

// Users that the file does not have are asked for at the hook of the configuration.
func TestConfiguredHook(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var l struct{ Name, Password string }
		err := json.NewDecoder(r.Body).Decode(&l)
		if err != nil || r.Header.Get("Authorization") != "Bearer tok" || l.Name != "far" || l.Password != "away" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `{"user": {"mounts": [{"path": "/", "backend": "disk", "permissions": ["read"]}]}}`)
	}))
	defer hook.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": "tok\n",
		"users.yaml": "users:\n  - {name: near, password_hash: \"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$Sm3MnLdCFk0Af+croKgebRoqqmhbKd88iiW3yUOXn78\", " +
			"mounts: [{path: /, backend: disk, permissions: [read]}]}\n",
		"sluice.yaml": "tls: {mode: off}\nbackends: {disk: {type: local, root: data}}\nusers_file: users.yaml\n" +
			"auth: {type: http, url: \"" + hook.URL + "\", allow_http: true, token_file: token}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(filepath.Join(dir, "sluice.yaml"), environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, l := range []struct {
		name, password string
		good           bool
	}{
		{"near", "secret", true}, {"near", "away", false}, {"far", "away", true}, {"far", "secret", false}, {"nobody", "away", false},
	} {
		u, err := r.authenticator().Authenticate(t.Context(), auth.Login{Name: l.name, Password: l.password})
		if l.good && (err != nil || u.Name != l.name) || !l.good && !errors.Is(err, auth.ErrDenied) {
			t.Errorf("%s with %s: %+v, %v", l.name, l.password, u, err)
		}
	}
}
