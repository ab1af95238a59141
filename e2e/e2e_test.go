// Package e2e drives the compiled binary with the clients that partners have. Each script in
// testdata reads like a user's terminal; CONTRIBUTING.md says how to add one.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
	"github.com/sluice-ftp/sluice/e2e/gcsbucket"
	"github.com/sluice-ftp/sluice/e2e/harness"
	"github.com/sluice-ftp/sluice/e2e/versity"
)

// password is that of every user in the scripts.
const password = "acme-pass-1"

// world is what is made once for all scripts.
type world struct {
	bin   string // folder of the binary
	certs string
	hash  string
}

var (
	shared world
	update = flag.Bool("update", false, "rewrite what the scripts compare with")
)

func TestMain(m *testing.M) {
	flag.Parse()
	err := parallel()
	code := 1
	if err == nil {
		code, err = run(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// parallel lets more tests run at once than there are processors, unless somebody has said how many: most
// of them wait for most of their time, for locks of the dead and for answers that are late on purpose.
func parallel() error {
	const name = "test.parallel"
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == name })
	if said {
		return nil
	}
	return flag.Set(name, fmt.Sprint(4*runtime.GOMAXPROCS(0)))
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "sluice-e2e")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx := context.Background()
	bin, err := harness.Build(ctx, "..", dir, os.Getenv("E2E_RACE") == "1")
	if err != nil {
		return 1, err
	}
	shared = world{bin: dir, certs: filepath.Join(dir, "certs")}
	if shared.hash, err = harness.Hash(ctx, bin, password); err != nil {
		return 1, err
	}
	if err := os.Mkdir(shared.certs, 0o700); err != nil {
		return 1, err
	}
	if err := harness.Certificates(shared.certs); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("disk", testscript.Params{Dir: "testdata", Setup: setup}))
}

// The clients' scripts again, with buckets behind the gateway, which are the same folder data. Lines that a
// bucket cannot do yet have the condition [disk].
func TestScriptsS3(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("s3", testscript.Params{Files: clients(t), Setup: setupS3}))
}

func TestScriptsGCS(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("gcs", testscript.Params{Files: clients(t), Setup: setupGCS}))
}

func clients(t *testing.T) []string {
	t.Helper()
	scripts, err := filepath.Glob("testdata/client-*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	return scripts
}

func params(store string, p testscript.Params) testscript.Params {
	p.Condition = func(c string) (bool, error) {
		switch c {
		case "disk":
			return store == "disk", nil
		case "bucket":
			return store != "disk", nil
		}
		return false, fmt.Errorf("unknown condition %q", c)
	}
	p.Cmds = verbs
	p.UpdateScripts = *update
	p.RequireExplicitExec = true
	p.RequireUniqueNames = true
	return p
}

// setup prepares a script's folder: certificates, an empty store, a configuration unless the
// script brings its own, and the values of $FTP_PORT and the like in every file.
func setup(env *testscript.Env) error {
	return prepare(env, "disk", "disk: {type: local, root: ./data, fsync: never}")
}

func setupS3(env *testscript.Env) error {
	// What the script put there becomes the bucket's content when there is one.
	data, seed := filepath.Join(env.WorkDir, "data"), filepath.Join(env.WorkDir, "seed")
	if err := os.Rename(data, seed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	store, stop, err := versity.Open(filepath.Join(env.WorkDir, ".versity"), versity.Options{
		Root: env.WorkDir, Bucket: "data",
	})
	if versity.Missing(err) {
		env.T().Skip(err)
	}
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := stop(); err != nil {
			env.T().Log(err)
		}
	})
	if err := os.CopyFS(data, os.DirFS(seed)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return prepare(env, "s3", "disk: "+store.Backend(""))
}

// setupGCS shows a bucket of Google's as the folder data, both ways.
func setupGCS(env *testscript.Env) error {
	server := gcsfake.New(gcsbucket.Options())
	mirror := gcsbucket.NewMirror(server, filepath.Join(env.WorkDir, "data"))
	listener := httptest.NewServer(mirror)
	env.Defer(func() {
		listener.Close()
		server.Close()
		if err := mirror.Err(); err != nil {
			env.T().Fatal(err)
		}
		for _, s := range server.Sessions() {
			env.T().Fatal("the session of " + s.Name + " was left open")
		}
	})
	return prepare(env, "gcs", "disk: "+gcsbucket.Backend(listener.URL, ""))
}

// prepare does the rest for a kind of store and the line of the configuration that describes it.
func prepare(env *testscript.Env, store, backend string) error {
	ports, err := harness.FreePorts()
	if err != nil {
		return err
	}
	vars := map[string]string{
		"FTP_PORT":  fmt.Sprint(ports.FTP),
		"FTPS_PORT": fmt.Sprint(ports.FTPS),
		"PASV":      ports.Passive(),
		"PASV_1":    fmt.Sprint(ports.First),
		"PASSWORD":  password,
		"HASH":      shared.hash,
		"SERVER":    "127.0.0.1",
		"BACKEND":   backend,
		"STORE":     store,
		"WORK":      env.WorkDir,
	}
	for name, value := range vars {
		env.Setenv(name, value)
	}
	env.Setenv("PATH", shared.bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("LC_ALL", "C.UTF-8")
	env.Values[sessionKey] = &session{t: env.T()}
	env.Defer(env.Values[sessionKey].(*session).end)
	if err := writeMissing(env.WorkDir, defaults); err != nil {
		return err
	}
	if err := expandFiles(env.WorkDir, vars); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(env.WorkDir, "data"), 0o700); err != nil {
		return err
	}
	return os.CopyFS(env.WorkDir, os.DirFS(shared.certs))
}

// defaults are the files of a script that does not bring them.
var defaults = map[string]string{
	"sluice.yaml": `listen:  {ftp: "127.0.0.1:$FTP_PORT", ftps: "127.0.0.1:$FTPS_PORT"}
passive: {ports: "$PASV"}
tls:     {mode: required, cert_file: server.pem, key_file: server.key}
log:     {level: debug, format: text}
audit_log: {path: audit.jsonl, sha256: true}
backends:
  $BACKEND
users_file: users.yaml
`,
	"users.yaml": `users:
  - name: acme
    password_hash: "$HASH"
    mounts:
      - {path: /, backend: disk, prefix: acme, permissions: [list, read, write, overwrite, append, delete, rename, mkdir]}
  - name: reader
    password_hash: "$HASH"
    mounts:
      - {path: /, backend: disk, prefix: acme, permissions: [list, read]}
`,
}

func writeMissing(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// expandFiles puts the values of vars into the files of a script. Names that it does not know, and
// with them the dollars in hashes, stay as they are.
func expandFiles(dir string, vars map[string]string) error {
	// Longest first: $PASV is the beginning of $PASV_1.
	pairs := []string{}
	for _, name := range []string{"FTPS_PORT", "FTP_PORT", "PASV_1", "PASV", "PASSWORD", "HASH", "SERVER", "BACKEND", "STORE", "WORK"} {
		pairs = append(pairs, "$"+name, vars[name])
	}
	r := strings.NewReplacer(pairs...)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(r.Replace(string(text))), 0o600)
	})
}
