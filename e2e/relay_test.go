package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

const (
	relayReplicas  = 3
	relayClients   = 50
	relayTransfers = 10 // of each client
)

// Three gateways with one passive port each stand behind a balancer that sends every connection to the next
// one, whatever it belongs to. All partners but one come from one address, as behind a NAT.
func TestRelay(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testRelay(t, false, newFront) })
	t.Run("PROXY protocol 1", func(t *testing.T) { testRelay(t, true, newFront) })
	t.Run("HAProxy with PROXY protocol 2", func(t *testing.T) { testRelay(t, true, haproxy) })
}

func testRelay(t *testing.T, proxied bool, balancer func(*testing.T, harness.Ports, bool) *front) {
	p := ports(t)
	replicas := startRelays(t, p, proxied)
	front := balancer(t, p, proxied)
	var done atomic.Int64
	var working sync.WaitGroup
	for i := range relayClients {
		working.Go(func() {
			if err := relayClient(t.Context(), front.addr(), i, &done); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	working.Wait()
	t.Logf("%d transfers", done.Load())
	if want := int64(relayClients * relayTransfers); done.Load() != want {
		t.Errorf("%d transfers, want %d", done.Load(), want)
	}
	// Two of three data connections come to the wrong one, and each replica has its share of both kinds.
	for i, r := range replicas {
		series := r.series(t)
		for name, least := range map[string]float64{
			`sluice_data_relays_total{result="ok"}`:                           relayClients * relayTransfers * 2 / 3 / relayReplicas / 2,
			`sluice_connections_total{listener="explicit",result="accepted"}`: relayClients / relayReplicas / 2,
		} {
			if series[name] < least {
				t.Errorf("replica %d: %s is %v, want %v at least", i, name, series[name], least)
			}
		}
		if n, known := series[`sluice_data_relays_total{result="error"}`]; !known || n != 0 {
			t.Errorf("replica %d: %v relays failed (%t)", i, n, known)
		}
	}
	relayTools(t, front.addr())
}

// startRelays starts gateways that share a folder and an address, and have one passive port each.
func startRelays(t *testing.T, p harness.Ports, proxied bool) []observed {
	t.Helper()
	data := t.TempDir()
	var all []observed
	trusted := ""
	if proxied {
		trusted = "127.0.0.1/32"
	}
	for i := range relayReplicas {
		host := relayHost(i)
		config := fmt.Sprintf(`listen:  {ftp: "%[1]s:%[2]d", ftps: "", http: "%[1]s:%[3]d"}
passive: {ports: "%[4]d-%[5]d", listen_host: %[1]s, public_host: 127.0.0.1, per_replica: 1, replica: sluice-%[6]d, peers: "127.0.2.{replica}"}
proxy_protocol: {control: %[7]v, data: %[7]v}
trusted_proxies: [%[9]s]
tls:     {mode: required, session_reuse: require, cert_file: server.pem, key_file: server.key}
log:     {format: text}
backends:
  disk: {type: local, root: %[8]q, fsync: never}
users_file: users.yaml
`, host, p.FTP, p.FTPS, p.First, p.First+relayReplicas-1, i, proxied, data, trusted)
		s := startAt(t, t.TempDir(), config, fmt.Sprintf("%s:%d", host, p.FTP), !proxied)
		all = append(all, observed{s, fmt.Sprintf("http://%s:%d", host, p.FTPS)})
	}
	return all
}

// Replicas die in the middle. What a partner sees of it is a refused or broken transfer, and the next try
// works; what was half there is not published.
func TestRelayReplicaKilled(t *testing.T) {
	t.Parallel() // it waits for half a minute
	p := ports(t)
	replicas := startRelays(t, p, false)
	front := newFront(t, p, false)
	const owner, relaying, other = 0, 1, 2
	route := func(control, data int) {
		front.route = func(port int) int {
			if port == p.FTP {
				return control
			}
			return data
		}
	}
	route(owner, relaying)
	c := relayLogin(t, front)

	// The one that relays dies: in the middle of an upload, and before a data connection comes to it.
	uploading := relayLogin(t, front)
	half, err := uploading.Open("STOR half")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.Write(harness.Pattern(1 << 20)); err != nil {
		t.Fatal(err)
	}
	addr, err := c.Passive()
	if err != nil {
		t.Fatal(err)
	}
	if err := replicas[relaying].server.Kill(); err != nil {
		t.Fatal(err)
	}
	if r, err := uploading.Reply(); err != nil || r.Code != 426 {
		t.Errorf("half an upload: %v, %v; want 426", r, err)
	}
	lost, err := ftp.DialData(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer lost.Close()
	if r, err := c.Cmd("STOR lost"); err != nil || r.Code != 425 {
		t.Errorf("STOR by a replica that is gone: %v, %v; want 425", r, err)
	}
	route(owner, other) // the balancer has noticed
	if err := c.Store("lost", strings.NewReader("content")); err != nil {
		t.Errorf("the next try: %v", err)
	}

	// The owner is gone, and with it the session: the partner is not left waiting.
	if half, err = c.Open("STOR half"); err != nil {
		t.Fatal(err)
	}
	if err := replicas[owner].server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := half.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, half); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the data connection outlives the owner")
	}
	if r, err := c.Reply(); err == nil {
		t.Errorf("the control connection of a dead replica says %v", r)
	}
	// Its port is nobody's now: who comes there by another is turned away at once.
	stray, err := ftp.DialData(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	if n, err := stray.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes and %v where nobody is", n, err)
	}
	eventually(t, 20*time.Second, func() bool { return replicas[other].series(t)[`sluice_data_relays_total{result="error"}`] >= 1 })

	route(other, other)
	again := relayLogin(t, front)
	if err := again.Store("again", strings.NewReader("content")); err != nil {
		t.Errorf("at another replica: %v", err)
	}
	if r, err := again.Cmd("SIZE half"); err != nil || r.Code != 550 {
		t.Errorf("half a file is there: %v, %v", r, err)
	}
	back, err := harness.Start(replicas[owner].options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = back.Kill() })
	route(owner, other)
	if err := relayLogin(t, front).Store("restarted", strings.NewReader("content")); err != nil {
		t.Errorf("when the owner is back: %v", err)
	}
}

func relayLogin(t *testing.T, f *front) *ftp.Client {
	t.Helper()
	c := dialGateway(t, f.addr(), ftp.Explicit)
	c.Timeout = 45 * time.Second // 425 comes after half a minute
	return c
}

func relayHost(replica int) string { return fmt.Sprintf("127.0.2.%d", replica) }

// relayClient uploads and downloads files that nobody else has.
func relayClient(ctx context.Context, addr string, i int, done *atomic.Int64) error {
	from := ""
	if i == 0 {
		from = "127.0.0.9"
	}
	c, err := ftp.DialFrom(ctx, addr, from)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Timeout = 30 * time.Second
	if err := c.Login(ftp.Explicit, "acme", password); err != nil {
		return err
	}
	all := harness.Pattern(200_000 + relayClients*relayTransfers)
	for n := range relayTransfers / 2 {
		content := all[i*relayTransfers+n:][:100_000+i*1000]
		name := fmt.Sprintf("client%d-%d", i, n)
		if err := c.Store(name, bytes.NewReader(content)); err != nil {
			return fmt.Errorf("STOR %s: %w", name, err)
		}
		var got bytes.Buffer
		if err := c.Retrieve("RETR "+name, &got); err != nil {
			return fmt.Errorf("RETR %s: %w", name, err)
		}
		if !bytes.Equal(got.Bytes(), content) {
			return fmt.Errorf("%s: %d bytes, not those that were sent", name, got.Len())
		}
		done.Add(2)
	}
	return c.Quit()
}

// relayTools does it with the programs that partners have.
func relayTools(t *testing.T, addr string) {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range []string{"curl", "lftp"} {
		if _, err := exec.LookPath(tool); err != nil {
			continue // scripts of their own say that it is missing
		}
		name := filepath.Join(dir, tool)
		args := []string{"--silent", "--show-error", "--ssl-reqd", "--insecure", "--user", "acme:" + password, "ftp://" + addr + "/client1-0", "--output", name}
		if tool == "lftp" {
			args = []string{"-c", "set ssl:verify-certificate no; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; open -u acme," + password +
				" ftp://" + addr + "; get client1-0 -o " + name + "; ls"}
		}
		for range 6 {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			out, err := exec.CommandContext(ctx, tool, args...).CombinedOutput()
			cancel()
			if err != nil {
				t.Fatalf("%s: %v\n%s", tool, err, out)
			}
			if tool == "lftp" {
				args[1] = "set xfer:clobber yes; " + args[1]
			}
		}
	}
}

// front is the balancer: the control port and every passive port, each connection to the next replica.
type front struct {
	ports   harness.Ports
	proxied bool
	turn    atomic.Int64
	// route chooses a replica for a port.
	route func(port int) int
}

func newFront(t *testing.T, p harness.Ports, proxied bool) *front {
	t.Helper()
	f := &front{ports: p, proxied: proxied}
	f.route = func(int) int { return int(f.turn.Add(1)) % relayReplicas }
	for _, port := range f.all() {
		each(t, fmt.Sprintf("127.0.0.1:%d", port), func(conn net.Conn) { f.pass(conn, port) })
	}
	return f
}

// all are the ports that partners come to.
func (f *front) all() []int {
	all := []int{f.ports.FTP}
	for i := range relayReplicas {
		all = append(all, f.ports.First+i)
	}
	return all
}

// haproxy is a front that is HAProxy.
func haproxy(t *testing.T, p harness.Ports, _ bool) *front {
	t.Helper()
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		if os.Getenv("E2E_REQUIRE") == "1" {
			t.Fatal("haproxy is missing, and E2E_REQUIRE=1")
		}
		t.Skip("haproxy is missing")
	}
	f := &front{ports: p}
	config := "global\n  maxconn 2000\ndefaults\n  mode tcp\n  balance roundrobin\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
	for _, port := range f.all() {
		config += fmt.Sprintf("listen port%[1]d\n  bind 127.0.0.1:%[1]d\n", port)
		for i := range relayReplicas {
			config += fmt.Sprintf("  server replica%d %s:%d send-proxy-v2\n", i, relayHost(i), port)
		}
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Background(t, exec.CommandContext(context.Background(), bin, "-db", "-f", file))
	eventually(t, 20*time.Second, func() bool {
		conn, err := net.Dial("tcp", f.addr())
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return f
}

func (f *front) addr() string { return fmt.Sprintf("127.0.0.1:%d", f.ports.FTP) }

func (f *front) pass(from net.Conn, port int) {
	defer from.Close()
	n := f.route(port)
	d := net.Dialer{Timeout: 5 * time.Second}
	to, err := d.Dial("tcp", net.JoinHostPort(relayHost(n), strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer to.Close()
	if f.proxied {
		src, dst := from.RemoteAddr().(*net.TCPAddr), from.LocalAddr().(*net.TCPAddr)
		if _, err := fmt.Fprintf(to, "PROXY TCP4 %s %s %d %d\r\n", src.IP, dst.IP, src.Port, dst.Port); err != nil {
			return
		}
	}
	var both sync.WaitGroup
	both.Go(func() { pour(to, from) })
	pour(from, to)
	both.Wait()
}

// pour copies until an end, and passes on whether it was one.
func pour(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil && !errors.Is(err, net.ErrClosed) {
		_ = to.(*net.TCPConn).SetLinger(0)
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.(*net.TCPConn).CloseWrite()
}
