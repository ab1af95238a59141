package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// replicas are gateways in front of one store.
type replicas struct {
	store   store
	servers []cutServer
}

// onAll runs test with two gateways in front of each kind of store, all at once.
func onAll(t *testing.T, test func(t *testing.T, r replicas)) {
	t.Helper()
	t.Parallel()
	for name, start := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := replicas{store: start(t)}
			for range 2 {
				r.servers = append(r.servers, startForCuts(t, t.TempDir(), r.store.backend(), ports(t)))
			}
			test(t, r)
		})
	}
}

// wantObject looks for an object with a content.
func (r *replicas) wantObject(t *testing.T, name string, content []byte) {
	t.Helper()
	if got, err := r.store.read("acme/" + name); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(content), err)
	}
}

func (r *replicas) login(t *testing.T, i int, user string) *ftp.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := ftp.Dial(ctx, r.servers[i%len(r.servers)].addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(ftp.Explicit, user, password); err != nil {
		t.Fatal(err)
	}
	return c
}

// goOn sends content from where the server says that it has to go on, to its end or to before cut.
func goOn(t *testing.T, c *ftp.Client, name string, content []byte, cut int) (from int64) {
	t.Helper()
	r, err := c.Cmd("SIZE " + name)
	if err != nil {
		t.Fatal(err)
	}
	if r.Code == 213 {
		if _, err := fmt.Sscan(r.Text, &from); err != nil {
			t.Fatal(err)
		}
	}
	if from > 0 {
		if err := c.Expect(350, fmt.Sprintf("REST %d", from)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := c.Open("STOR " + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(content[from:cut]); err != nil {
		t.Fatal(err)
	}
	if cut == len(content) {
		err = errors.Join(d.Finish(), c.Done("STOR "+name))
	} else {
		err = d.FIN()
	}
	if err != nil {
		t.Fatal(err)
	}
	return from
}

// An upload is cut again and again, and each time the other replica goes on with it.
func TestResume(t *testing.T) { onAll(t, testResume) }

func testResume(t *testing.T, r replicas) {
	seed := uint64(number(t, "E2E_SEED", int(time.Now().UnixNano())))
	t.Logf("E2E_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	content := harness.Pattern(200<<20 + 7)
	var have int64
	for i := range 10 {
		c := r.login(t, i, "acme")
		cut := int(have) + 9<<20 + rng.IntN(10<<20) // and something is left for the last
		if from := goOn(t, c, "big.bin", content, cut); from != have {
			t.Fatalf("cut %d: to go on from %d, want %d", i, from, have)
		}
		reply, err := c.Reply()
		have = int64(cut)
		if err != nil || reply.Code != 426 || !strings.Contains(reply.Text, fmt.Sprintf("%d bytes are kept", have)) {
			t.Fatalf("cut %d at %d: %v %v", i, cut, reply, err)
		}
		if _, err := r.store.read("acme/big.bin"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("cut %d: the file is there: %v", i, err)
		}
	}
	for user, want := range map[string]int{"acme": 213, "reader": 550} {
		if err := r.login(t, 0, user).Expect(want, "SIZE big.bin"); err != nil {
			t.Error(user, err)
		}
	}
	c := r.login(t, 0, "acme")
	for command, want := range map[string]int{"RNFR big.bin": 550, "RETR big.bin": 550, "REST 999999999": 350} {
		if strings.HasPrefix(command, "RETR") {
			if _, err := c.Passive(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Expect(want, command); err != nil {
			t.Error(err)
		}
	}
	goOn(t, r.login(t, 1, "acme"), "big.bin", content, len(content))
	r.wantObject(t, "big.bin", content)
	r.store.wantEmpty(t)
}

// Two replicas behind a plain balancer are restarted in turn while partners upload and try again.
func TestRollingRestart(t *testing.T) { onAll(t, testRollingRestart) }

func testRollingRestart(t *testing.T, r replicas) {
	const uploads, partners = 50, 5
	b := balance(t, r.servers[0].addr, r.servers[1].addr)
	content := harness.Pattern(24 << 20)
	sizeOf := func(i int) int { return 1<<20 + i*(len(content)-1<<20)/uploads }
	var resumed atomic.Int64
	jobs, done := make(chan int, uploads), make(chan error, uploads)
	for i := range uploads {
		jobs <- i
	}
	close(jobs)
	for range partners {
		go func() {
			for i := range jobs {
				done <- persist(t.Context(), b, fmt.Sprintf("file%d", i), content[:sizeOf(i)], &resumed)
			}
		}()
	}
	restarts := 0
	for i := range uploads {
		if err := <-done; err != nil {
			t.Error(err)
		}
		if i%3 != 0 {
			continue
		}
		s := &r.servers[restarts%2]
		if err := s.server.Stop(); err != nil {
			t.Error(err)
		}
		var err error
		if s.server, err = harness.Start(s.options); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.server.Kill() })
		restarts++
	}
	t.Logf("%d restarts, %d uploads went on", restarts, resumed.Load())
	if resumed.Load() == 0 {
		t.Error("no upload met a restart")
	}
	for i := range uploads {
		r.wantObject(t, fmt.Sprintf("file%d", i), content[:sizeOf(i)])
	}
	for _, s := range r.servers {
		if err := s.server.Stop(); err != nil {
			t.Error(err)
		}
	}
	r.store.wantEmpty(t)
}

// persist uploads like a partner that tries again until it is done. A refusal for good is an error.
func persist(ctx context.Context, addr, name string, content []byte, resumed *atomic.Int64) error {
	var last error
	for range 200 {
		err := attempt(ctx, addr, name, content, resumed)
		var refused *ftp.ReplyError
		if err == nil {
			return nil
		}
		if last = fmt.Errorf("%s: %w", name, err); errors.As(err, &refused) && refused.Reply.Code >= 500 {
			return last
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond): // as a partner does
		}
	}
	return last
}

func attempt(ctx context.Context, addr, name string, content []byte, resumed *atomic.Int64) error {
	c, err := ftp.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(ftp.Explicit, "acme", password); err != nil {
		return err
	}
	from := 0
	r, err := c.Cmd("SIZE " + name)
	if err == nil && r.Code == 213 {
		_, err = fmt.Sscan(r.Text, &from)
	}
	if err == nil && from > 0 {
		resumed.Add(1)
		err = c.Expect(350, fmt.Sprintf("REST %d", from))
	}
	if err != nil {
		return err
	}
	return c.Store(name, slow{bytes.NewReader(content[from:])})
}

// slow is a line of 8 MB a second.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	<-time.After(4 * time.Millisecond)
	return s.Reader.Read(p[:min(len(p), 32<<10)])
}

// balance passes connections on to whoever takes them, in turn.
func balance(t *testing.T, addrs ...string) string {
	t.Helper()
	var turn atomic.Int64
	return each(t, "127.0.0.1:0", func(c net.Conn) {
		n := int(turn.Add(1))
		pass(c, addrs[n%len(addrs)], addrs[(n+1)%len(addrs)])
	}).Addr().String()
}

// each listens on addr until the test ends, and hands each connection to a goroutine of its own.
func each(t *testing.T, addr string, take func(net.Conn)) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go take(c)
		}
	}()
	return l
}

func pass(c net.Conn, addrs ...string) {
	defer c.Close()
	for _, addr := range addrs {
		s, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			continue
		}
		defer s.Close()
		go func() {
			_, _ = io.Copy(s, c)
			_ = s.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(c, s)
		return
	}
}

// What is kept can be dropped: DELE takes it too, also where it is all that there is.
func TestDropped(t *testing.T) { onAll(t, testDropped) }

func testDropped(t *testing.T, r replicas) {
	content := harness.Pattern(12 << 20)
	c := r.login(t, 0, "acme")
	goOn(t, c, "a.bin", content, len(content)-1)
	if err := c.Done("STOR"); err == nil {
		t.Error("a cut upload was answered with 226")
	}
	for _, step := range []struct {
		want    int
		command string
	}{
		{213, "SIZE a.bin"}, {250, "DELE a.bin"}, {550, "SIZE a.bin"}, {550, "DELE a.bin"},
	} {
		if err := c.Expect(step.want, step.command); err != nil {
			t.Error(err)
		}
	}
	r.store.wantEmpty(t)
}

// A replica that is told to end keeps what is on its way, and the client goes on at another.
func TestResumeAfterSIGTERM(t *testing.T) { onAll(t, testResumeAfterSIGTERM) }

func testResumeAfterSIGTERM(t *testing.T, r replicas) {
	content := harness.Pattern(40 << 20)
	c := r.login(t, 0, "acme")
	d, err := c.Open("STOR big.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(content[:20<<20]); err != nil {
		t.Fatal(err)
	}
	if err := r.servers[0].server.Terminate(); err != nil {
		t.Fatal(err)
	}
	reply, err := c.Reply()
	if err != nil || reply.Code != 426 || !strings.Contains(reply.Text, "bytes are kept") {
		t.Errorf("%v %v", reply, err)
	}
	if err := r.servers[0].server.Wait(20 * time.Second); err != nil {
		t.Error(err)
	}
	_ = d.FIN()
	if from := goOn(t, r.login(t, 1, "acme"), "big.bin", content, len(content)); from < 8<<20 {
		t.Errorf("%d bytes were kept", from)
	}
	r.wantObject(t, "big.bin", content)
	r.store.wantEmpty(t)
}

// A replica is killed in the middle of an upload. The client goes on at the other: at once on a folder,
// whose locks a process drops when it ends; in a bucket when the dead one's lease is over.
func TestResumeAfterKill(t *testing.T) { onAll(t, testResumeAfterKill) }

func testResumeAfterKill(t *testing.T, r replicas) {
	const size, cut = 72 << 20, 56 << 20
	content := harness.Pattern(size)
	c := r.login(t, 0, "acme")
	d, err := c.Open("STOR big.bin")
	if err != nil {
		t.Fatal(err)
	}
	// For longer than the five seconds that may pass before a part that has arrived is on record.
	if _, err := io.Copy(d, slow{bytes.NewReader(content[:cut])}); err != nil {
		t.Fatal(err)
	}
	var kept int64
	eventually(t, 30*time.Second, func() bool {
		reply, err := c.Cmd("STAT")
		if err != nil {
			t.Fatal(err)
		}
		kept = r.store.kept(t, "acme/big.bin", cut)
		return strings.Contains(reply.Text, fmt.Sprintf("STOR: %d bytes", cut)) && kept > 0
	})
	if err := r.servers[0].server.Kill(); err != nil {
		t.Fatal(err)
	}
	other := r.login(t, 1, "acme")
	var reply ftp.Reply
	eventually(t, 90*time.Second, func() bool {
		if reply, err = other.Cmd("SIZE big.bin"); err != nil {
			t.Fatal(err)
		}
		return reply.Code == 213
	})
	from := goOn(t, other, "big.bin", content, size)
	t.Logf("of %d bytes %d were kept", cut, from)
	if from < kept {
		t.Errorf("want %d at least", kept)
	}
	r.wantObject(t, "big.bin", content)
	r.store.wantEmpty(t)
}

func eventually(t *testing.T, limit time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %v", limit)
		}
	}
}
