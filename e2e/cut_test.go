package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// TestCuts cuts uploads at random points, in every way in which a client can die, between uploads
// that end well. A file is always the last one that ended well, whole, or not there.
//
// E2E_CUTS is how many (1,000), E2E_SEED repeats a run.
func TestCuts(t *testing.T) {
	t.Parallel() // there is more waiting than work
	f := startFolder(t)
	f.more = ", fsync: never"
	cutUploads(t, f, number(t, "E2E_CUTS", 1000), 2<<20)
}

// TestCutsBucket does it into buckets, where nothing is to be kept. A third of the uploads are large enough
// to go there in parts.
func TestCutsBucket(t *testing.T) {
	t.Parallel()
	for name, start := range buckets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			cutUploads(t, b.through(b.endpoint(), ", resumable: {enabled: false}"), number(t, "E2E_CUTS", 1000)/5, 16<<20)
		})
	}
}

// cutUploads cuts uploads of up to size bytes to a gateway.
func cutUploads(t *testing.T, to store, cuts, size int) {
	t.Helper()
	seed := uint64(number(t, "E2E_SEED", int(time.Now().UnixNano())))
	t.Logf("%d cuts with E2E_SEED=%d", cuts, seed)
	s := startForCuts(t, t.TempDir(), to.backend(), ports(t))
	content := harness.Pattern(2 * size)
	var wg sync.WaitGroup
	const workers = 8 // who sends in clear waits for the server, which waits for whether its client has died
	all := make([]*cutter, workers)
	for i := range workers {
		all[i] = &cutter{
			rng: rand.New(rand.NewPCG(seed, uint64(i))), addr: s.addr, store: to,
			id: i, mode: []ftp.Mode{ftp.Explicit, ftp.Clear}[i%2], content: content, size: size,
			want: map[string][]byte{}, ways: map[string]int{},
		}
		wg.Go(func() {
			if err := all[i].run(cuts / workers); err != nil {
				t.Errorf("worker %d, %s: %v", i, all[i].mode, err)
			}
		})
	}
	wg.Wait()
	if err := s.server.Stop(); err != nil {
		t.Error("stop:", err)
	}
	for _, c := range all {
		t.Logf("%s: %v", c.mode, c.ways)
		if err := c.checkAll(); err != nil {
			t.Error("after the end:", err)
		}
	}
	to.wantEmpty(t)
}

func number(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(name, err)
	}
	return n
}

func ports(t *testing.T) harness.Ports {
	t.Helper()
	p, err := harness.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type cutServer struct {
	server    *harness.Server
	dir, addr string
	options   harness.Options
}

// startForCuts starts a gateway that takes TLS and clear text.
func startForCuts(t *testing.T, dir, backend string, ports harness.Ports) cutServer {
	t.Helper()
	config := fmt.Sprintf(`listen:  {ftp: "127.0.0.1:%d", ftps: ""}
passive: {ports: "%s"}
tls:     {mode: optional, cert_file: server.pem, key_file: server.key}
memory_budget: %d
shutdown_grace: 2s
backends:
  disk: %s
users_file: users.yaml
`, ports.FTP, ports.Passive(), memory, backend)
	return startGateway(t, dir, config, ports)
}

// startGateway starts one with a configuration of its own, in dir, until the test ends.
func startGateway(t *testing.T, dir, config string, ports harness.Ports) cutServer {
	t.Helper()
	return startAt(t, dir, config, fmt.Sprintf("127.0.0.1:%d", ports.FTP), true)
}

// startAt is startGateway for one that listens on addr, and greets who comes without a word.
func startAt(t *testing.T, dir, config, addr string, greets bool) cutServer {
	t.Helper()
	return startWith(t, dir, config, harness.Options{
		Bin: filepath.Join(shared.bin, "sluice"), Dir: dir, Args: []string{"serve", "--config", "sluice.yaml"},
		Log: filepath.Join(dir, "sluice.log"), Addr: addr, Silent: !greets,
	})
}

// prepareDir puts into dir what a gateway with config needs, and leaves alone what is there.
func prepareDir(t *testing.T, dir, config string) {
	t.Helper()
	err := errors.Join(
		writeMissing(dir, map[string]string{"sluice.yaml": config, "users.yaml": defaults["users.yaml"]}),
		expandFiles(dir, map[string]string{"HASH": shared.hash}),
		os.MkdirAll(filepath.Join(dir, "data"), 0o700),
	)
	if _, missing := os.Stat(filepath.Join(dir, "server.pem")); missing != nil { // else it is a second start
		err = errors.Join(err, os.CopyFS(dir, os.DirFS(shared.certs)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startWith starts a gateway in dir until the test ends.
func startWith(t *testing.T, dir, config string, o harness.Options) cutServer {
	t.Helper()
	prepareDir(t, dir, config)
	server, err := harness.Start(o)
	if err != nil {
		text, _ := os.ReadFile(o.Log)
		t.Fatalf("%v\n%s", err, text)
	}
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(o.Log); err == nil && t.Failed() {
			t.Log(harness.Tail(string(text), 40))
		}
	})
	return cutServer{server, dir, o.Addr, o}
}

// cutter is one client that dies again and again. Its files are its own.
type cutter struct {
	rng     *rand.Rand
	addr    string
	store   store
	id      int
	mode    ftp.Mode
	content []byte
	size    int // of the largest upload, a power of two
	client  *ftp.Client
	want    map[string][]byte // what each name has to hold
	ways    map[string]int
}

func (c *cutter) run(cuts int) error {
	defer func() {
		if c.client != nil {
			_ = c.client.Close()
		}
	}()
	for i := range cuts {
		if err := c.login(); err != nil {
			return err
		}
		if err := c.cut(); err != nil {
			return fmt.Errorf("cut %d: %w", i, err)
		}
		if err := c.checkAll(); err != nil {
			return fmt.Errorf("after cut %d: %w", i, err)
		}
		if err := c.clean(); err != nil {
			return fmt.Errorf("clean upload %d: %w", i, err)
		}
	}
	return nil
}

// login makes a session unless the last one lives.
func (c *cutter) login() error {
	if c.client != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := ftp.Dial(ctx, c.addr)
	if err != nil {
		return err
	}
	c.client = client
	return client.Login(c.mode, "acme", password)
}

// pick returns a name and a content for it: small ones and large ones, names old and new.
func (c *cutter) pick() (string, []byte) {
	most := c.size
	if c.rng.IntN(2) == 0 {
		most = 1 << (1 + c.rng.IntN(bits.Len(uint(c.size))-1))
	}
	size := 1 + c.rng.IntN(most)
	from := c.rng.IntN(len(c.content) - size)
	return fmt.Sprintf("cut%d-%d", c.id, c.rng.IntN(8)), c.content[from : from+size]
}

// cut begins an upload and dies in it.
func (c *cutter) cut() error {
	name, content := c.pick()
	d, err := c.client.Open("STOR " + name)
	if err != nil {
		return err
	}
	if _, err := d.Write(content[:c.rng.IntN(len(content))]); err != nil {
		return err
	}
	ways := []string{"rst", "abor", "kill", "kill control first"}
	if c.mode != ftp.Clear {
		ways = append(ways, "fin") // in clear that is how an upload ends
	}
	way := ways[c.rng.IntN(len(ways))]
	c.ways[way]++
	if err := c.die(way, d); err != nil {
		return fmt.Errorf("%s, %s of %d bytes: %w", way, name, len(content), err)
	}
	return nil
}

func (c *cutter) die(way string, d *ftp.Data) error {
	switch way {
	case "fin":
		return errors.Join(d.FIN(), c.refused())
	case "rst":
		return errors.Join(d.Reset(), c.refused())
	case "abor":
		err := errors.Join(c.client.Send("ABOR\r\n"), c.refused())
		r, err2 := c.client.Reply()
		if err2 == nil && r.Code != 226 && r.Code != 225 {
			err2 = fmt.Errorf("reply to ABOR: %v", r)
		}
		return errors.Join(err, err2, ignoreClosed(d.FIN()))
	case "kill control first":
		err := errors.Join(c.client.FIN(), d.FIN())
		c.client = nil
		return err
	}
	err := errors.Join(d.FIN(), c.client.FIN())
	c.client = nil
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// refused wants an error as the reply to the upload.
func (c *cutter) refused() error {
	r, err := c.client.Reply()
	if err == nil && r.Code < 400 {
		err = fmt.Errorf("a cut upload was answered with %v", r)
	}
	return err
}

// clean uploads a file whole. Once the server said 226 it is there.
func (c *cutter) clean() error {
	if err := c.login(); err != nil {
		return err
	}
	name, content := c.pick()
	if err := c.client.Store(name, bytes.NewReader(content)); err != nil {
		return err
	}
	c.want[name] = content
	return c.check(name)
}

func (c *cutter) checkAll() error {
	for i := range 8 {
		if err := c.check(fmt.Sprintf("cut%d-%d", c.id, i)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cutter) check(name string) error {
	got, err := c.store.read("acme/" + name)
	want, ok := c.want[name]
	switch {
	case errors.Is(err, fs.ErrNotExist) && !ok:
		return nil
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%s: %d bytes of an upload that was cut are published", name, len(got))
	case !bytes.Equal(got, want):
		return fmt.Errorf("%s: %d bytes that are not the %d of the last whole upload", name, len(got), len(want))
	}
	return nil
}
