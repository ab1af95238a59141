package gateway_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
	"github.com/sluice-ftp/sluice/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users is an Authenticator: name to password, everyone with the mounts of the fixture.
type users struct {
	passwords map[string]string
	mounts    []auth.Mount
}

// Refresh finds everybody as they were.
func (users) Refresh(u *auth.User, _ netip.Addr) (*auth.User, error) { return u, nil }

func (u users) Authenticate(_ context.Context, l auth.Login) (*auth.User, error) {
	if p, ok := u.passwords[l.Name]; !ok || p != l.Password {
		return nil, auth.ErrDenied
	}
	return &auth.User{Name: l.Name, Mounts: u.mounts}, nil
}

// fixture is a running server on a folder.
type fixture struct {
	t        testing.TB
	root     string
	server   *gateway.Server
	backends map[string]backends.CloudStorageAdapter
	explicit string
	implicit string
	log      *logBuffer
}

// everything is a mount of the fixture's folder with all permissions.
func everything() []auth.Mount {
	return []auth.Mount{{Path: "/", Backend: "disk", Permissions: auth.All}}
}

// start serves with TLS optional, so that a test may speak in clear, unless change says otherwise.
func start(t testing.TB, change ...func(*gateway.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, root: t.TempDir(), log: &logBuffer{}}
	disk, err := local.Open(local.Config{Root: f.root, Fsync: local.FsyncNever})
	if err != nil {
		t.Fatal(err)
	}
	o := gateway.Options{
		Backends: map[string]backends.CloudStorageAdapter{"disk": disk},
		Auth:     users{passwords: map[string]string{"ann": "secret"}, mounts: everything()},
		Log:      slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		TLS:      gateway.TLSOptions{Mode: gateway.TLSOptional, Certificates: certificates(t)},
	}
	for _, c := range change {
		c(&o)
	}
	f.backends = o.Backends
	if f.server, err = gateway.New(o); err != nil {
		t.Fatal(err)
	}
	f.explicit = f.listen(false)
	if o.TLS.Mode != gateway.TLSOff {
		f.implicit = f.listen(true)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = f.server.Shutdown(ctx) // sessions that a test left open are cut off
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(f.log.String())
		}
	})
	return f
}

// in is the same server for another test.
func (f *fixture) in(t testing.TB) *fixture {
	g := *f
	g.t = t
	return &g
}

func (f *fixture) listen(implicit bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.server.Serve(l, implicit) }()
	f.t.Cleanup(func() {
		_ = l.Close()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	return l.Addr().String()
}

// put makes a file in the served folder, and read reads one.
func (f *fixture) put(name, content string) {
	f.t.Helper()
	p := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// read returns the content of a file in the served folder, "<none>" if there is none.
func (f *fixture) read(name string) string {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.root, name))
	if os.IsNotExist(err) {
		return "<none>"
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

// leftovers returns what the adapter has not cleaned up.
func (f *fixture) leftovers() []string {
	f.t.Helper()
	found, err := filepath.Glob(filepath.Join(f.root, backends.Private, "tmp", "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	return found
}

// client speaks raw FTP.
type client struct {
	t    testing.TB
	raw  net.Conn
	conn net.Conn
	r    *bufio.Reader
	tls  *tls.Config // of data connections, nil in clear
}

const patience = time.Minute

// dial connects in clear and takes the greeting.
func (f *fixture) dial() *client {
	f.t.Helper()
	c := f.connect(f.explicit)
	c.want(220)
	return c
}

func (f *fixture) connect(addr string) *client {
	f.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.over(conn)
}

// over speaks on a connection that is there.
func (f *fixture) over(conn net.Conn) *client {
	f.t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		f.t.Fatal(err)
	}
	c := &client{t: f.t, raw: conn, conn: conn, r: bufio.NewReader(conn)}
	f.t.Cleanup(func() { _ = conn.Close() })
	return c
}

// login connects in clear and logs in.
func (f *fixture) login() *client {
	f.t.Helper()
	c := f.dial()
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	return c
}

// loginTLS connects with AUTH TLS and protects the data connections.
func (f *fixture) loginTLS(change ...func(*tls.Config)) *client {
	f.t.Helper()
	return f.loginOver(f.dial(), change...)
}

// loginFrom is loginTLS from an address of this machine.
func (f *fixture) loginFrom(ip string, change ...func(*tls.Config)) *client {
	f.t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).Dial("tcp", f.explicit)
	if err != nil {
		f.t.Fatal(err)
	}
	c := f.over(conn)
	c.want(220)
	return f.loginOver(c, change...)
}

func (f *fixture) loginOver(c *client, change ...func(*tls.Config)) *client {
	f.t.Helper()
	c.startTLS(change...)
	c.cmd(331, "USER ann")
	c.cmd(230, "PASS secret")
	c.cmd(200, "PBSZ 0")
	c.cmd(200, "PROT P")
	c.tls = c.config()
	return c
}

func (c *client) config() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "sluice.test", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

func (c *client) startTLS(change ...func(*tls.Config)) {
	c.t.Helper()
	c.cmd(234, "AUTH TLS")
	cfg := c.config()
	for _, ch := range change {
		ch(cfg)
	}
	tc := tls.Client(c.raw, cfg)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.r = tc, bufio.NewReader(tc)
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
}

// reply returns the code and the text of the next reply, lines joined by newlines; code 0 is the end
// of the connection.
func (c *client) reply() (int, string) {
	c.t.Helper()
	var text []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return 0, err.Error()
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) > 3 && line[3] == ' ' && line[0] != ' ' {
			code, err := strconv.Atoi(line[:3])
			if err != nil {
				c.t.Fatalf("reply %q", line)
			}
			return code, strings.Join(append(text, line[4:]), "\n")
		}
		text = append(text, line)
	}
}

func (c *client) want(code int) string {
	c.t.Helper()
	got, text := c.reply()
	if got != code {
		c.t.Fatalf("reply %d %s, want %d", got, text, code)
	}
	return text
}

// cmd sends a line and wants a code.
func (c *client) cmd(code int, line string) string {
	c.t.Helper()
	c.send(line)
	got, text := c.reply()
	if got != code {
		c.t.Fatalf("%s: %d %s, want %d", line, got, text, code)
	}
	return text
}

// passive asks for a data connection and returns where to.
func (c *client) passive() string {
	c.t.Helper()
	text := c.cmd(229, "EPSV")
	_, rest, _ := strings.Cut(text, "(|||")
	port, _, _ := strings.Cut(rest, "|")
	return net.JoinHostPort("127.0.0.1", port)
}

// data opens a data connection, in clear as yet.
func (c *client) data() net.Conn {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.passive())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// open starts a transfer and returns its data connection, with TLS if that was agreed on.
func (c *client) open(line string) net.Conn {
	c.t.Helper()
	conn := c.data()
	c.cmd(150, line)
	return c.protect(conn)
}

func (c *client) protect(conn net.Conn) net.Conn {
	c.t.Helper()
	if c.tls == nil {
		return conn
	}
	tc := tls.Client(conn, c.tls)
	if err := tc.Handshake(); err != nil {
		c.t.Fatalf("data connection: %v", err)
	}
	return tc
}

// upload sends content and returns the final reply.
func (c *client) upload(line, content string) (int, string) {
	c.t.Helper()
	conn := c.open(line)
	if _, err := io.WriteString(conn, content); err != nil {
		c.t.Fatal(err)
	}
	finish(c.t, conn)
	return c.reply()
}

// finish ends a data connection as a good client does.
func finish(t testing.TB, conn net.Conn) {
	t.Helper()
	if tc, ok := conn.(*tls.Conn); ok {
		if err := tc.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// download returns what a transfer delivers, and its final reply must be 226.
func (c *client) download(line string) string {
	c.t.Helper()
	conn := c.open(line)
	b, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	_ = conn.Close()
	c.want(226)
	return string(b)
}

// certificates makes a pair for sluice.test and 127.0.0.1.
func certificates(t testing.TB) *gateway.Certificates {
	t.Helper()
	pair := keyPair(t, t.TempDir(), "sluice.test")
	c, err := gateway.LoadCertificates(pair)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keyPair(t testing.TB, dir, name string) gateway.KeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	writeCert(t, dir, name, key, &key.PublicKey)
	return gateway.KeyPair{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key")}
}

func writeCert(t testing.TB, dir, name string, key, public any) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: pk},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, fmt.Sprintf("%q", fmt.Sprint(got)), fmt.Sprintf("%q", fmt.Sprint(want)))
	}
}

func (f *fixture) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.root, name)); err != nil {
		f.t.Fatal(err)
	}
}

// settle waits until the server has seen all that c sent: its socket has nothing unread.
func (f *fixture) settle(c *client) {
	f.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(f.log.String(), "control gone") {
		if time.Now().After(deadline) {
			f.t.Fatal("the server does not notice")
		}
		<-tick.C
	}
}

func (c *client) close() { _ = c.raw.Close() }
