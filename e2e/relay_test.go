package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
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
	t.Run("plain", func(t *testing.T) { testRelay(t, false) })
	t.Run("PROXY protocol", func(t *testing.T) { testRelay(t, true) })
}

func testRelay(t *testing.T, proxied bool) {
	p, data := ports(t), t.TempDir()
	front := newFront(t, p, proxied)
	for i := range relayReplicas {
		host := relayHost(i)
		config := fmt.Sprintf(`listen:  {ftp: "%s:%d", ftps: ""}
passive: {ports: "%d-%d", listen_host: %s, public_host: 127.0.0.1, per_replica: 1, replica: sluice-%d, peers: "127.0.2.{replica}"}
proxy_protocol: {control: %v, data: %v}
trusted_proxies: [127.0.0.1/32]
tls:     {mode: required, session_reuse: require, cert_file: server.pem, key_file: server.key}
log:     {format: text}
backends:
  disk: {type: local, root: %q, fsync: never}
users_file: users.yaml
`, host, p.FTP, p.First, p.First+relayReplicas-1, host, i, proxied, proxied, data)
		startAt(t, t.TempDir(), config, fmt.Sprintf("%s:%d", host, p.FTP), !proxied)
	}
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
	front.wantSpread(t)
	relayTools(t, front.addr())
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
	reached [relayReplicas]atomic.Int64
}

func newFront(t *testing.T, p harness.Ports, proxied bool) *front {
	t.Helper()
	f := &front{ports: p, proxied: proxied}
	all := []int{p.FTP}
	for i := range relayReplicas {
		all = append(all, p.First+i)
	}
	for _, port := range all {
		each(t, fmt.Sprintf("127.0.0.1:%d", port), func(conn net.Conn) { f.pass(conn, port) })
	}
	return f
}

func (f *front) addr() string { return fmt.Sprintf("127.0.0.1:%d", f.ports.FTP) }

func (f *front) pass(from net.Conn, port int) {
	defer from.Close()
	n := int(f.turn.Add(1)) % relayReplicas
	d := net.Dialer{Timeout: 5 * time.Second}
	if !f.proxied {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)} // where nobody's word is taken from
	}
	to, err := d.Dial("tcp", net.JoinHostPort(relayHost(n), strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer to.Close()
	f.reached[n].Add(1)
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

func (f *front) wantSpread(t *testing.T) {
	t.Helper()
	for i := range f.reached {
		if n := f.reached[i].Load(); n < relayClients*relayTransfers/relayReplicas/2 {
			t.Errorf("replica %d got %d connections", i, n)
		}
	}
}
