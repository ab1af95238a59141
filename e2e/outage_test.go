package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// cable leads from a gateway to its store, and can be cut: then nobody answers, and what was under way
// is reset.
type cable struct {
	addr, store string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
}

func layCable(t *testing.T, store string) *cable {
	t.Helper()
	c := &cable{addr: "127.0.0.1:0", store: strings.TrimPrefix(store, "http://"), conns: map[net.Conn]struct{}{}}
	c.mend(t)
	t.Cleanup(c.cut)
	return c
}

func (c *cable) mend(t *testing.T) {
	t.Helper()
	l := each(t, c.addr, c.carry)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listener, c.addr = l, l.Addr().String()
}

func (c *cable) carry(from net.Conn) {
	to, err := net.Dial("tcp", c.store)
	if err != nil {
		_ = from.Close()
		return
	}
	c.mu.Lock()
	c.conns[from], c.conns[to] = struct{}{}, struct{}{}
	c.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
	both.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
	both.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, from)
	delete(c.conns, to)
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.listener.Close()
	for conn := range c.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// ready waits until /readyz says so, or with a word until it says no and why.
func (o observed) ready(t *testing.T, limit time.Duration, why string) {
	t.Helper()
	status, body := 0, ""
	defer func() {
		if t.Failed() {
			t.Logf("/readyz: %d %s", status, body)
		}
	}()
	eventually(t, limit, func() bool {
		status, body = get(t, o.http+"/readyz")
		if why == "" {
			return status == http.StatusOK
		}
		return status == http.StatusServiceUnavailable && strings.Contains(body, why)
	})
}

// The store goes away for half a minute and comes back.
func TestOutage(t *testing.T) {
	t.Parallel() // mostly it waits
	for name, start := range buckets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testOutage(t, start(t))
		})
	}
}

func testOutage(t *testing.T, b bucket) {
	line := layCable(t, b.endpoint())
	o := startObserved(t, "disk: "+b.through("http://"+line.addr, "").backend(), "memory_budget: 32MiB")
	o.ready(t, 15*time.Second, "")

	content := harness.Pattern(48 << 20)
	c := dialGateway(t, o.addr, ftp.Explicit)
	d, err := c.Open("STOR big.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(content[:24<<20]); err != nil {
		t.Fatal(err)
	}
	uploaded := make(chan error, 1)
	cut := time.Now()
	line.cut()
	go func() { // more than the memory holds: it waits for the store
		_, err := d.Write(content[24<<20:])
		uploaded <- errors.Join(err, d.Finish(), c.Done("STOR big.bin"))
	}()
	asked := make(chan error, 1)
	go func() {
		asked <- func() error {
			c, err := ftp.Dial(t.Context(), o.addr)
			if err != nil {
				return err
			}
			defer c.Close()
			c.Timeout = time.Minute
			if err := c.Login(ftp.Explicit, "acme", password); err != nil {
				return err
			}
			return c.Expect(450, "SIZE other.bin") // try again later
		}()
	}()
	o.ready(t, 15*time.Second, "backend disk: ")
	if status, _ := get(t, o.http+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	if err := <-asked; err != nil { // not before half a minute has passed
		t.Error(err)
	}
	select {
	case err := <-uploaded:
		t.Fatalf("the upload ended during the outage: %v", err)
	default:
	}
	t.Logf("mended after %v", time.Since(cut))
	line.mend(t)
	o.ready(t, 30*time.Second, "")
	if err := <-uploaded; err != nil {
		t.Fatal(err)
	}
	got, err := b.read("acme/big.bin")
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := dialGateway(t, o.addr, ftp.Explicit).Store("after.bin", bytes.NewReader(content[:1000])); err != nil {
		t.Error(err)
	}
	s := o.series(t)
	for name, least := range map[string]float64{
		`sluice_faults_total{command="SIZE",fault="server"}`: 1, `sluice_backend_retries_total{backend="disk"}`: 1,
		`sluice_backend_up{backend="disk"}`: 1, `sluice_transfers_total{backend="disk",direction="upload",result="ok"}`: 2,
	} {
		if s[name] < least {
			t.Errorf("%s is %v, want %v at least", name, s[name], least)
		}
	}
	if n := s[`sluice_faults_total{command="STOR",fault="server"}`]; n > 0 {
		t.Errorf("%v uploads failed", n)
	}
}

// Two replicas are restarted in turn behind a balancer that asks them whether they are ready. Partners who
// try nothing twice notice nothing.
func TestRestartBehindReadiness(t *testing.T) {
	t.Parallel()
	const restarts, partners = 4, 4
	data := t.TempDir()
	both := make([]observed, 2)
	for i := range both {
		both[i] = startObserved(t, fmt.Sprintf("disk: {type: local, root: %q, fsync: never}", data), "drain_delay: 1s\nshutdown_grace: 20s")
		both[i].ready(t, 15*time.Second, "")
	}
	front := balanceReady(t, both)
	stop := make(chan struct{})
	var sent atomic.Int64
	var working sync.WaitGroup
	for p := range partners {
		working.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := uploadOnce(t.Context(), front, fmt.Sprintf("file%d-%d", p, n)); err != nil {
					t.Errorf("partner %d, file %d: %v", p, n, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range restarts {
		o := &both[i%2]
		other := both[(i+1)%2]
		other.ready(t, 20*time.Second, "")
		after := sent.Load() + 20 // some on each
		eventually(t, 30*time.Second, func() bool { return sent.Load() >= after || t.Failed() })
		if err := o.server.Terminate(); err != nil {
			t.Fatal(err)
		}
		o.ready(t, 5*time.Second, "not serving") // while it still takes sessions in
		if conn, err := net.Dial("tcp", o.addr); err != nil {
			t.Errorf("the port is closed before anyone can have noticed: %v", err)
		} else {
			_ = conn.Close()
		}
		if err := o.server.Wait(25 * time.Second); err != nil {
			t.Error(err)
		}
		server, err := harness.Start(o.options)
		if err != nil {
			t.Fatal(err)
		}
		o.server = server
		t.Cleanup(func() { _ = server.Kill() })
	}
	close(stop)
	working.Wait()
	t.Logf("%d files over %d restarts", sent.Load(), restarts)
	want := harness.Pattern(uploadSize)
	files, err := os.ReadDir(filepath.Join(data, "acme"))
	if err != nil || int64(len(files)) != sent.Load() {
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if got, err := os.ReadFile(filepath.Join(data, "acme", f.Name())); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", f.Name(), len(got), err)
		}
	}
}

const uploadSize = 300_000

// uploadOnce does not try again.
func uploadOnce(ctx context.Context, addr, name string) error {
	c, err := ftp.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(ftp.Explicit, "acme", password); err != nil {
		return err
	}
	if err := c.Store(name, bytes.NewReader(harness.Pattern(uploadSize))); err != nil {
		return err
	}
	return c.Quit()
}

// balanceReady passes connections on, in turn, to those that have said within the last moment that they
// are ready.
func balanceReady(t *testing.T, all []observed) string {
	t.Helper()
	ready := make([]atomic.Bool, len(all))
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	t.Cleanup(func() { cancel(); asking.Wait() })
	client := http.Client{Timeout: time.Second}
	for i, o := range all {
		ready[i].Store(true)
		asking.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.http+"/readyz", nil)
				if err != nil {
					return
				}
				resp, err := client.Do(req)
				if err == nil {
					_ = resp.Body.Close()
				}
				ready[i].Store(err == nil && resp.StatusCode == http.StatusOK)
			}
		})
	}
	var turn atomic.Int64
	return each(t, "127.0.0.1:0", func(c net.Conn) {
		var addrs []string
		first := int(turn.Add(1))
		for i := range all {
			if n := (first + i) % len(all); ready[n].Load() {
				addrs = append(addrs, all[n].addr)
			}
		}
		pass(c, addrs...)
	}).Addr().String()
}
