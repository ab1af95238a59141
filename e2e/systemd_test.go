package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// The gateway serves a socket that the test holds as systemd would, tells how it is, and whoever connects
// while it restarts is served by the next one.
func TestSocketActivation(t *testing.T) {
	dir := t.TempDir()
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	socket, err := held.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	m := newServiceManager(t, filepath.Join(dir, "notify"))

	p := ports(t)
	config := fmt.Sprintf(`listen:  {ftp: "192.0.2.1:21", ftps: ""} # nothing here has this address
passive: {ports: "%s"}
tls:     {mode: required, cert_file: server.pem, key_file: server.key}
log:     {format: text}
backends:
  disk: {type: local, root: ./data, fsync: never}
users_file: users.yaml
`, p.Passive())
	// The variables name the process that they are for (sd_listen_fds(3)), which the shell becomes.
	serve := "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ftp WATCHDOG_PID=$$ WATCHDOG_USEC=300000 exec " +
		filepath.Join(shared.bin, "sluice") + " serve --config sluice.yaml"
	o := harness.Options{
		Bin: "/bin/sh", Dir: dir, Args: []string{"-c", serve}, Env: append(os.Environ(), "NOTIFY_SOCKET="+m.path),
		Files: []*os.File{socket}, Log: filepath.Join(dir, "sluice.log"), Addr: held.Addr().String(),
	}
	first := startWith(t, dir, config, o)
	m.want(t, "READY=1")
	upload(t, o.Addr, "first")
	m.want(t, "WATCHDOG=1")
	if err := syscall.Kill(first.server.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.want(t, "RELOADING=1")
	m.want(t, "READY=1")
	if err := first.server.Terminate(); err != nil {
		t.Fatal(err)
	}
	m.want(t, "STOPPING=1")
	if err := first.server.Wait(20 * time.Second); err != nil {
		t.Fatal(err)
	}

	waiting, err := ftp.Dial(t.Context(), o.Addr) // while nobody serves
	if err != nil {
		t.Fatalf("the socket is gone with the gateway: %v", err)
	}
	defer waiting.Close()
	startWith(t, dir, config, o)
	if err := waiting.Login(ftp.Explicit, "acme", password); err != nil {
		t.Fatalf("who waited: %v", err)
	}
	if err := waiting.Store("waited", strings.NewReader("content")); err != nil {
		t.Fatalf("who waited: %v", err)
	}
}

func upload(t *testing.T, addr, name string) {
	t.Helper()
	c, err := ftp.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(ftp.Explicit, "acme", password); err != nil {
		t.Fatal(err)
	}
	if err := c.Store(name, strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
}

// A socket that the configuration has no use for is refused at the start, by name.
func TestSocketOfNoUse(t *testing.T) {
	for name, want := range map[string]string{
		"sluice.socket": `the socket "sluice.socket" of systemd is for nothing here`,
		"ftps":          "listen.ftps: off, but systemd hands over a socket for it",
	} {
		dir := t.TempDir()
		held, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socket, err := held.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		p := ports(t)
		config := fmt.Sprintf("listen: {ftp: \"127.0.0.1:%d\", ftps: \"\"}\npassive: {ports: %q}\ntls: {cert_file: server.pem, key_file: server.key}\n"+
			"backends: {disk: {type: local, root: ./data}}\nusers_file: users.yaml\n", p.FTP, p.Passive())
		prepareDir(t, dir, config)
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c",
			"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES="+name+" exec "+filepath.Join(shared.bin, "sluice")+" serve --config sluice.yaml")
		cmd.Dir, cmd.ExtraFiles = dir, []*os.File{socket}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		_, _ = socket.Close(), held.Close()
	}
}

// The units are right by systemd's own judgement, and the service is exposed to little.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("E2E_REQUIRE") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	units, err := filepath.Glob("../deploy/sluice*")
	if err != nil || len(units) != 3 {
		t.Fatalf("%q, %v", units, err)
	}
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		// It looks whether the program is there.
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/sluice"), []byte(filepath.Join(shared.bin, "sluice")))
		copied := filepath.Join(dir, filepath.Base(unit))
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	if out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=20", filepath.Join(dir, "sluice.service")).CombinedOutput()
	if err != nil {
		t.Errorf("more exposed than 2.0 of 10: %v\n%s", err, out)
	}
	sysusers, err := filepath.Abs("../deploy/sysusers.conf")
	if err = errors.Join(err, os.Mkdir(filepath.Join(dir, "etc"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "systemd-sysusers", "--root="+dir, sysusers).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if groups, err := os.ReadFile(filepath.Join(dir, "etc/group")); !bytes.HasPrefix(groups, []byte("sluice:")) {
		t.Errorf("groups %q, %v", groups, err)
	}
}

// serviceManager hears what a service says (sd_notify(3)).
type serviceManager struct {
	path string
	conn *net.UnixConn
}

func newServiceManager(t *testing.T, path string) *serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &serviceManager{path: path, conn: conn}
}

// want waits until a state is told. Only signs of life may come in between.
func (m *serviceManager) want(t *testing.T, state string) {
	t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		switch got, _, _ := strings.Cut(string(buf[:n]), "\n"); got {
		case state:
			return
		case "WATCHDOG=1":
		default:
			t.Fatalf("told %q, want %s", buf[:n], state)
		}
	}
}
