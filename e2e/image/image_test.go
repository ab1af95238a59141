package image

import (
	"bytes"
	"context"
	"crypto/x509"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

const (
	root     = "../.."
	version  = "1.2.3-e2e"
	revision = "0123456789abcdef0123456789abcdef01234567"
	password = "acme-pass-1"
	// nonroot is the user and the group in the image.
	nonroot = 65532
	// grace is what the gateway has to end.
	grace = 10 * time.Second
)

// BuildKit finds nothing to say about the Dockerfile, and does about one with faults.
func TestDockerfileLint(t *testing.T) {
	lint, err := harness.Command(t.Context(), "dockerfilelint", "")
	if errors.Is(err, harness.ErrUnavailable) {
		missing(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := command(t.Context(), quick, lint, filepath.Join(root, "Dockerfile")); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	bad := filepath.Join(t.TempDir(), "Dockerfile")
	if err := os.WriteFile(bad, []byte("FROM scratch as X\nMAINTAINER nobody\nCOPY x /\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = command(t.Context(), quick, lint, bad)
	for _, rule := range []string{"FromAsCasing", "StageNameCasing", "MaintainerDeprecated"} {
		if err == nil || !strings.Contains(err.Error(), rule+":") {
			t.Errorf("%s is not found: %v", rule, err)
		}
	}
}

// The image is no more than the gateway, for every architecture, and it works without any privilege.
func TestImage(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, errors.New("images are built and run as root"))
	}
	for _, tool := range []string{"buildah", "runc", "debootstrap", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, err)
		}
	}
	s, err := openStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.makeBase(t.Context()); err != nil {
		t.Fatal(err)
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) { testImage(t, s, arch, machine) })
	}
}

// missing ends a test that cannot be done here.
func missing(t *testing.T, why error) {
	t.Helper()
	if os.Getenv("E2E_REQUIRE") == "1" {
		t.Fatal("E2E_REQUIRE=1:", why)
	}
	t.Skip(why)
}

func testImage(t *testing.T, s *store, arch string, machine elf.Machine) {
	image, err := s.build(t.Context(), root, arch, map[string]string{"VERSION": version, "REVISION": revision})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.config(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	delete(c.Config.Labels, "io.buildah.version") // its own
	if diff := cmp.Diff(wantConfig(arch), c); diff != "" {
		t.Error("configuration, - wanted, + there is:\n" + diff)
	}
	rootfs, err := s.mount(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	testFiles(t, rootfs)
	testBinary(t, filepath.Join(rootfs, "usr/local/bin/sluice"), machine)
	if arch == runtime.GOARCH {
		t.Run("run", func(t *testing.T) { testRun(t, s, rootfs, c) })
	}
}

func wantConfig(arch string) config {
	w := config{Architecture: arch, OS: "linux"}
	w.Config.User = "65532:65532"
	w.Config.ExposedPorts = map[string]struct{}{"2121/tcp": {}, "2990/tcp": {}, "9090/tcp": {}}
	w.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} // of every image
	w.Config.Entrypoint = []string{"/usr/local/bin/sluice"}
	w.Config.Cmd = []string{"serve", "--config", "/etc/sluice/sluice.yaml"}
	w.Config.Labels = map[string]string{
		"org.opencontainers.image.title":         "Sluice",
		"org.opencontainers.image.description":   "An FTPS gateway to cloud storage",
		"org.opencontainers.image.source":        "https://github.com/sluice-ftp/sluice",
		"org.opencontainers.image.documentation": "https://github.com/sluice-ftp/sluice/blob/main/docs/kubernetes.md",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.version":       version,
		"org.opencontainers.image.revision":      revision,
	}
	return w
}

// testFiles holds all files to a list, with who may do what: only /tmp is for others to write to, and nothing
// runs as somebody else.
func testFiles(t *testing.T, rootfs string) {
	t.Helper()
	want := []string{
		"drwxr-xr-x 0:0 etc",
		"-rw-r--r-- 0:0 etc/group",
		"-rw-r--r-- 0:0 etc/passwd",
		"drwxr-xr-x 0:0 etc/ssl",
		"drwxr-xr-x 0:0 etc/ssl/certs",
		"-rw-r--r-- 0:0 etc/ssl/certs/ca-certificates.crt",
		"dtrwxrwxrwx 0:0 tmp",
		"drwxr-xr-x 0:0 usr",
		"drwxr-xr-x 0:0 usr/local",
		"drwxr-xr-x 0:0 usr/local/bin",
		"-rwxr-xr-x 0:0 usr/local/bin/sluice",
	}
	var got []string
	err := filepath.WalkDir(rootfs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == rootfs { // which is the runtime's own
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(rootfs, path)
		owner := info.Sys().(*syscall.Stat_t)
		got = append(got, fmt.Sprintf("%v %d:%d %s", info.Mode(), owner.Uid, owner.Gid, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("files, - wanted, + there are:\n" + diff)
	}
	authorities, err := os.ReadFile(filepath.Join(rootfs, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(authorities) {
		t.Errorf("no authorities in %d bytes, %v", len(authorities), err)
	}
	for file, want := range map[string]string{"etc/passwd": "sluice:x:65532:65532:Sluice:/:/sbin/nologin\n", "etc/group": "sluice:x:65532:\n"} {
		if text, err := os.ReadFile(filepath.Join(rootfs, file)); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v; want %q", file, text, err, want)
		}
	}
}

// testBinary looks for what it is compiled for, and that it needs no loader, for there is none.
func testBinary(t *testing.T, bin string, machine elf.Machine) {
	t.Helper()
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != machine {
		t.Errorf("for %v, want %v", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it wants to be loaded by another program")
		}
	}
}

func testRun(t *testing.T, s *store, rootfs string, image config) {
	p, err := harness.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	metrics := fmt.Sprintf("127.0.0.1:%d", p.First)
	p.First++
	o := runOptions{
		Rootfs: rootfs, Image: image, Dir: t.TempDir(), Secret: t.TempDir(), Data: t.TempDir(),
		Addr: fmt.Sprintf("127.0.0.1:%d", p.FTP),
	}
	if err := errors.Join(
		fillSecret(t.Context(), o, fmt.Sprintf(`listen:  {ftp: %q, ftps: "127.0.0.1:%d", http: %q}
passive: {ports: %q}
tls:     {mode: required, cert_file: server.pem, key_file: server.key}
log:     {format: text}
backends:
  disk: {type: local, root: /data}
users_file: users.yaml
shutdown_grace: %v
`, o.Addr, p.FTPS, metrics, p.Passive(), grace)),
		os.Chmod(o.Secret, 0o755), os.Chmod(o.Data, 0o700), os.Chown(o.Data, nonroot, nonroot),
	); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(o.Dir, "sluice.log")
	c, err := s.run(t.Context(), o)
	if err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("%v\n%s", err, text)
	}
	t.Cleanup(func() {
		if _, err := s.runc(context.Background(), "delete", "--force", c.id); err != nil {
			t.Error(err)
		}
		if err := c.server.Kill(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("sluice:\n%s", text)
		}
	})

	wantUnprivileged(t, c.process)
	transfer(t, o.Addr, filepath.Join(o.Data, "acme"))
	if out := httpGet(t, "http://"+metrics+"/metrics"); !strings.Contains(out, fmt.Sprintf("sluice_build_info{goversion=%q,revision=\"\",version=%q} 1", runtime.Version(), version)) {
		t.Errorf("sluice_build_info has no version %s:\n%s", version, out)
	}
	if out := httpGet(t, "http://"+metrics+"/readyz"); out != "ready\n" {
		t.Errorf("/readyz says %q", out)
	}
	for args, want := range map[string]string{
		"version": "sluice " + version + " (",
		"healthcheck --addr " + o.Addr + " --upload / --user acme --password-file /etc/sluice/password --ca-file /etc/sluice/ca.pem": o.Addr + ": ok, ",
	} {
		out, err := c.exec(t.Context(), slices.Concat(image.Config.Entrypoint, strings.Fields(args))...)
		if err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q, %v; want %s", args, out, err, want)
		}
	}
	if err := c.signal(t.Context(), "TERM"); err != nil {
		t.Fatal(err)
	}
	if err := c.server.Wait(grace); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// fillSecret writes what the gateway reads as a kubelet does with fsGroup: it is root's, and the group may read.
func fillSecret(ctx context.Context, o runOptions, config string) error {
	hash, err := harness.Hash(ctx, filepath.Join(o.Rootfs, "usr/local/bin/sluice"), password)
	if err != nil {
		return err
	}
	if err := harness.Certificates(o.Secret); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"sluice.yaml": config,
		"password":    password,
		"users.yaml": fmt.Sprintf(`users:
  - name: acme
    password_hash: %q
    mounts:
      - {path: /, backend: disk, prefix: acme, permissions: [list, read, write, delete]}
`, hash),
	} {
		if err := os.WriteFile(filepath.Join(o.Secret, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(o.Secret, "*"))
	for _, file := range files {
		err = errors.Join(err, os.Chown(file, 0, nonroot), os.Chmod(file, 0o440))
	}
	return err
}

// wantUnprivileged asks the kernel what the process is, has and may write to.
func wantUnprivileged(t *testing.T, process string) {
	t.Helper()
	want := map[string]string{
		"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "NoNewPrivs": "1",
		"CapInh": "0", "CapPrm": "0", "CapEff": "0", "CapBnd": "0", "CapAmb": "0",
	}
	got := map[string]string{}
	for line := range strings.Lines(readFile(t, filepath.Join(process, "status"))) {
		name, value, _ := strings.Cut(line, ":")
		if want[name] != "" {
			value = strings.Join(strings.Fields(value), " ")
			if strings.HasPrefix(name, "Cap") && strings.Trim(value, "0") == "" {
				value = "0"
			}
			got[name] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("the process, - wanted, + there is:\n" + diff)
	}

	wantMounts := map[string]string{"/": "ro", "/etc/sluice": "ro", "/tmp": "rw", "/data": "rw"}
	mounts := map[string]string{}
	for line := range strings.Lines(readFile(t, filepath.Join(process, "mountinfo"))) {
		fields := strings.Fields(line) // proc_pid_mountinfo(5)
		if at := fields[4]; wantMounts[at] != "" {
			mounts[at], _, _ = strings.Cut(fields[5], ",")
		}
	}
	if diff := cmp.Diff(wantMounts, mounts); diff != "" {
		t.Error("mounts, - wanted, + there are:\n" + diff)
	}
}

// transfer uploads and downloads a file, which then lies in dir.
func transfer(t *testing.T, addr, dir string) {
	t.Helper()
	c, err := ftp.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(ftp.Explicit, "acme", password); err != nil {
		t.Fatal(err)
	}
	content := harness.Pattern(3 << 20)
	if err := c.Store("file", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := c.Retrieve("RETR file", &got); err != nil || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("%d of %d bytes came back, or others: %v", got.Len(), len(content), err)
	}
	if text := readFile(t, filepath.Join(dir, "file")); text != string(content) {
		t.Errorf("%d of %d bytes lie in the volume, or others", len(text), len(content))
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func httpGet(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), quick)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, resp.Status, err, text)
	}
	return string(text)
}
