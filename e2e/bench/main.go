// Command bench measures a sluice process from the outside: its CPU seconds, its resident memory
// and what a client gets. It prints one table.
//
//	go run ./bench [-quick] [-only STOR] [-store gcsfake] [-rounds 5]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluice-ftp/sluice/e2e/ftp"
	"github.com/sluice-ftp/sluice/e2e/gcsbucket"
	"github.com/sluice-ftp/sluice/e2e/harness"
	"github.com/sluice-ftp/sluice/e2e/versity"
)

// The password and its hash: bcrypt at the least cost, because the 19 MiB that argon2id takes for a
// moment would hide in the figures for memory.
const (
	password = "bench-pass-1"
	hash     = "$2a$04$OwGWahTikNYxxlfu5VG9Ru5QZ7BwNiVBS4.qrd.4dybtJLkbrqj1O"
)

func main() {
	quick := flag.Bool("quick", false, "a tenth of everything, to see that it runs")
	only := flag.String("only", "", "rows whose name contains this")
	store := flag.String("store", "", "rows whose store contains this")
	rounds := flag.Int("rounds", 5, "how often transfers are measured")
	size := flag.Int("size", 256<<20, "bytes of a large file")
	profile := flag.String("profile", "", "write profiles of the gateway's processor time during transfers to this `folder`")
	root := flag.String("root", "..", "where the module is")
	floor := flag.String("floor", "", "be the server of the floor's rows, in this `folder`")
	serve := flag.Bool("gcsfake", false, "be the bucket of the rows for "+google)
	flag.Parse()
	var err error
	switch {
	case *floor != "":
		err = floorServer(*floor)
	case *serve:
		o := gcsbucket.Options()
		o.Discard = true // what is read is zeros
		err = gcsbucket.Serve(o)
	default:
		b := bench{scale: 1, size: *size, rounds: *rounds, profiles: *profile}
		if *quick {
			b.scale, b.size, b.rounds = 10, *size/10, 1
		}
		err = b.run(*root, *only, *store)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bench is one server and what is known about it.
type bench struct {
	dir, bin string
	server   *harness.Server
	addr     string
	http     string // a URL
	scale    int    // divides counts and sizes
	size     int    // of a large file
	rounds   int    // of transfers
	profiles string // the folder for profiles, if any are wanted
	took     int    // how many there are
}

// row is one measurement, with a kind of store: what fsync does on the local disk, or a server.
type row struct {
	name  string
	store string
	do    func(*bench) (string, error)
}

const (
	never  = "fsync never"
	always = "fsync always"
	bucket = "versitygw" // an S3 server that others wrote, on the same machine
	google = "gcsfake"   // Google's API, in memory: it keeps no content
)

var rows = []row{
	{"crypto/tls to a file, alone", never, func(b *bench) (string, error) { return b.floor("STOR", toFile) }},
	{"STOR, 1 session", never, func(b *bench) (string, error) { return b.throughput("STOR", 1) }},
	{"STOR, 8 sessions", never, func(b *bench) (string, error) { return b.throughput("STOR", 8) }},
	{"STOR, 1 session", always, func(b *bench) (string, error) { return b.throughput("STOR", 1) }},
	{"crypto/tls from a file, alone", never, func(b *bench) (string, error) { return b.floor("RETR", toFile) }},
	{"RETR, 1 session", never, func(b *bench) (string, error) { return b.throughput("RETR", 1) }},
	{"RETR, 8 sessions", never, func(b *bench) (string, error) { return b.throughput("RETR", 8) }},
	{"STOR of 4 KiB, 16 sessions", never, (*bench).small},
	{"STOR of 4 KiB, 16 sessions", always, (*bench).small},
	{"1,000 idle TLS sessions", never, func(b *bench) (string, error) { return b.idle(1000) }},
	{"10,000 idle TLS sessions", never, func(b *bench) (string, error) { return b.idle(10000) }},
	{"LIST of 1,000,000", never, func(b *bench) (string, error) { return b.list("LIST") }},
	{"MLSD of 1,000,000", never, func(b *bench) (string, error) { return b.list("MLSD") }},
	{"crypto/tls to a socket, alone", bucket, func(b *bench) (string, error) { return b.floor("STOR", toSocket) }},
	{"STOR, 1 session", bucket, func(b *bench) (string, error) { return b.throughput("STOR", 1) }},
	{"STOR, 8 sessions", bucket, func(b *bench) (string, error) { return b.throughput("STOR", 8) }},
	{"crypto/tls from a socket, alone", bucket, func(b *bench) (string, error) { return b.floor("RETR", toSocket) }},
	{"RETR, 1 session", bucket, func(b *bench) (string, error) { return b.throughput("RETR", 1) }},
	{"RETR, 8 sessions", bucket, func(b *bench) (string, error) { return b.throughput("RETR", 8) }},
	{"STOR of 4 KiB, 16 sessions", bucket, (*bench).small},
	{"crypto/tls to a socket, alone", google, func(b *bench) (string, error) { return b.floor("STOR", toSocket) }},
	{"STOR, 1 session", google, func(b *bench) (string, error) { return b.throughput("STOR", 1) }},
	{"STOR, 8 sessions", google, func(b *bench) (string, error) { return b.throughput("STOR", 8) }},
	{"crypto/tls from a socket, alone", google, func(b *bench) (string, error) { return b.floor("RETR", toSocket) }},
	{"RETR, 1 session", google, func(b *bench) (string, error) { return b.throughput("RETR", 1) }},
	{"RETR, 8 sessions", google, func(b *bench) (string, error) { return b.throughput("RETR", 8) }},
	{"STOR of 4 KiB, 16 sessions", google, (*bench).small},
}

func (b *bench) run(root, only, store string) (err error) {
	if b.dir, err = os.MkdirTemp("", "sluice-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	ctx := context.Background()
	if b.bin, err = harness.Build(ctx, root, b.dir, false); err != nil {
		return err
	}
	if err := harness.Certificates(b.dir); err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d processors, explicit FTPS, load on the same machine\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if !strings.Contains(r.name, only) || !strings.Contains(r.store, store) {
			continue
		}
		figures, err := b.measure(r)
		if err != nil {
			figures = "failed: " + err.Error()
		}
		_, err = fmt.Fprintf(w, "%s\t%s\t%s\n", r.name, r.store, figures)
		if err := errors.Join(err, w.Flush()); err != nil {
			return err
		}
	}
	if strings.Contains(besideWriter, only) && strings.Contains(google, store) {
		return b.besideWriter(ctx, root)
	}
	return nil
}

// besideWriter is a program of its own.
const besideWriter = "uploads beside Google's Writer"

func (b *bench) besideWriter(ctx context.Context, root string) error {
	fmt.Println()
	size := 512 << 20 / b.scale
	cmd := exec.CommandContext(ctx, "go", "run", "./bench/googlewriter", fmt.Sprint("-size=", size), fmt.Sprint("-rounds=", b.rounds))
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join(root, "e2e"), os.Stdout, os.Stderr
	return cmd.Run()
}

// measure gives every row a process of its own, so that none pays for another's memory.
func (b *bench) measure(r row) (figures string, err error) {
	backend := fmt.Sprintf("{type: local, root: ./data, fsync: %s}", strings.TrimPrefix(r.store, "fsync "))
	switch r.store {
	case google:
		endpoint, stop, err := gcsbucket.Run("-gcsfake")
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, stop()) }()
		backend = gcsbucket.Backend(endpoint, "")
	case bucket:
		store, stop, err := versity.Open(filepath.Join(b.dir, "versity"), versity.Options{})
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, stop(), os.RemoveAll(filepath.Join(b.dir, "versity"))) }()
		backend = store.Backend("")
	}
	if err := b.start(backend); err != nil {
		return "", err
	}
	// The first login costs the time of a password hash; later ones do not.
	c, err := b.login()
	if err == nil {
		err = c.Quit()
	}
	if err == nil {
		figures, err = r.do(b)
	}
	return figures, errors.Join(err, b.server.Stop())
}

func (b *bench) start(backend string) error {
	ports, err := harness.FreePorts()
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`listen:  {ftp: "127.0.0.1:%d", ftps: "", http: "127.0.0.1:%d"}
passive: {ports: "%s"}
tls:     {mode: required, cert_file: server.pem, key_file: server.key}
http:    {pprof: %t}
log:     {level: warn}
backends:
  store: %s
users_file: users.yaml
`, ports.FTP, ports.FTPS, ports.Passive(), b.profiles != "", backend)
	users := fmt.Sprintf(`users:
  - name: bench
    password_hash: %q
    mounts: [{path: /, backend: store, permissions: [list, read, write, overwrite, delete]}]
`, hash)
	err = errors.Join(
		os.WriteFile(filepath.Join(b.dir, "sluice.yaml"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(b.dir, "users.yaml"), []byte(users), 0o600),
		os.MkdirAll(filepath.Join(b.dir, "data"), 0o700),
	)
	if err != nil {
		return err
	}
	b.addr, b.http = fmt.Sprintf("127.0.0.1:%d", ports.FTP), fmt.Sprintf("http://127.0.0.1:%d", ports.FTPS)
	b.server, err = harness.Start(harness.Options{
		Bin: b.bin, Dir: b.dir, Args: []string{"serve", "--config", "sluice.yaml"},
		Log: filepath.Join(b.dir, "log"), Addr: b.addr,
	})
	return err
}

func (b *bench) cpu() float64 { return harness.CPUSeconds(b.server.PID()) }

func (b *bench) memory() int { return harness.Memory(b.server.PID()) }

func (b *bench) login() (*ftp.Client, error) {
	c, err := ftp.Dial(context.Background(), b.addr)
	if err != nil {
		return nil, err
	}
	return c, c.Login(ftp.Explicit, "bench", password)
}

// each calls do for n operations spread over so many sessions, all logged in before the clock runs.
func (b *bench) each(sessions, n int, do func(c *ftp.Client, i int) error) (took time.Duration, cpu float64, err error) {
	clients := make([]*ftp.Client, sessions)
	for i := range clients {
		if clients[i], err = b.login(); err != nil {
			return 0, 0, err
		}
	}
	jobs, errs := make(chan int, n), make(chan error, sessions)
	for i := range n {
		jobs <- i
	}
	close(jobs)
	before, start := b.cpu(), time.Now()
	for _, c := range clients {
		go func() {
			for i := range jobs {
				if err := do(c, i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range clients {
		err = errors.Join(err, <-errs)
	}
	took, cpu = time.Since(start), b.cpu()-before
	for _, c := range clients {
		err = errors.Join(err, c.Quit())
	}
	return took, cpu, err
}

// throughput moves 8 files, several times over; the median counts.
func (b *bench) throughput(verb string, sessions int) (string, error) {
	const files = 8
	content := harness.Pattern(1 << 20)
	do := func(c *ftp.Client, i int) error {
		name := fmt.Sprintf("big%d", i)
		if verb == "RETR" {
			return c.Retrieve("RETR "+name, io.Discard)
		}
		return c.Store(name, repeat(content, b.size))
	}
	if verb == "RETR" {
		store := func(c *ftp.Client, i int) error { return c.Store(fmt.Sprintf("big%d", i), repeat(content, b.size)) }
		if _, _, err := b.each(1, files, store); err != nil {
			return "", err
		}
	}
	var rates, costs []float64
	profiled := b.profile(fmt.Sprintf("%s-%d", verb, sessions))
	peak, stop := harness.WatchMemory(b.server.PID())
	for range b.rounds {
		took, cpu, err := b.each(sessions, files, do)
		if err != nil {
			stop()
			return "", err
		}
		bytes := float64(b.size * files)
		rates, costs = append(rates, bytes/1e6/took.Seconds()), append(costs, cpu/(bytes/(1<<30)))
	}
	stop()
	return fmt.Sprintf("%s MB/s\t%s CPU-s/GiB\tmemory +%d kB",
		harness.Spread("%.0f", rates), harness.Spread("%.2f", costs), *peak), profiled()
}

func repeat(block []byte, size int) io.Reader {
	readers := []io.Reader{}
	for ; size > 0; size -= len(block) {
		readers = append(readers, bytes.NewReader(block[:min(size, len(block))]))
	}
	return io.MultiReader(readers...)
}

// small uploads files that one request holds. Each round has names of its own: nothing is replaced.
func (b *bench) small() (string, error) {
	n, content := 10000/b.scale/b.rounds, harness.Pattern(4096)
	var rates, costs []float64
	for round := range b.rounds {
		took, cpu, err := b.each(16, n, func(c *ftp.Client, i int) error {
			return c.Store(fmt.Sprintf("small%d-%d", round, i), bytes.NewReader(content))
		})
		if err != nil {
			return "", err
		}
		rates, costs = append(rates, float64(n)/took.Seconds()), append(costs, cpu*1000/float64(n))
	}
	return fmt.Sprintf("%s files/s\t%s CPU-ms a file", harness.Spread("%.0f", rates), harness.Spread("%.2f", costs)), nil
}

func (b *bench) list(verb string) (string, error) {
	dir := filepath.Join(b.dir, "data", "many")
	if err := fill(dir, 1000000/b.scale); err != nil {
		return "", err
	}
	c, err := b.login()
	if err != nil {
		return "", err
	}
	peak, stop := harness.WatchMemory(b.server.PID())
	f := &firstByte{start: time.Now()}
	cpu := b.cpu()
	err = c.Retrieve(verb+" /many", f)
	took := time.Since(f.start)
	stop()
	cpu = b.cpu() - cpu
	return fmt.Sprintf("first byte %d ms\tall %d MB in %.1f s, %.1f CPU-s\tmemory +%d kB",
		f.first.Milliseconds(), f.n/1e6, took.Seconds(), cpu, *peak), errors.Join(err, c.Quit())
}

func fill(dir string, n int) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%07d.csv", i)), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

type firstByte struct {
	start time.Time
	first time.Duration
	n     int
}

func (f *firstByte) Write(p []byte) (int, error) {
	if f.n == 0 {
		f.first = time.Since(f.start)
	}
	f.n += len(p)
	return len(p), nil
}
