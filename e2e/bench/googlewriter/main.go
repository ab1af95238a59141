// Command googlewriter uploads the same bytes to the same bucket by the adapter and by the Writer of Google's
// own client, in turn, and prints what each gets. It is a program of its own because that client is large.
//
//	go run ./bench/googlewriter [-size 536870912] [-rounds 5]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/backends/pages"
	"github.com/sluice-ftp/sluice/e2e/gcsbucket"
	"github.com/sluice-ftp/sluice/e2e/harness"
)

// The store is a moment away and takes from each connection as much as the source gives: then who is quick
// is who does not let one wait for the other.
const (
	latency = 40 * time.Millisecond
	rate    = 200_000_000 // bytes a second
	budget  = 256 << 20   // of the adapter's memory
	object  = "upload"
)

func main() {
	serve := flag.Bool("serve", false, "be the bucket")
	once := flag.String("upload", "", "upload once in this `way` and print the figures")
	to := flag.String("to", "", "the bucket's `URL`")
	size := flag.Int("size", 512<<20, "bytes of an upload")
	rounds := flag.Int("rounds", 5, "how often each way has its turn")
	flag.Parse()
	var err error
	switch {
	case *serve:
		o := gcsbucket.Options()
		o.Latency, o.Rate, o.Discard = latency, rate, true
		err = gcsbucket.Serve(o)
	case *once != "":
		err = uploadOnce(*once, *to, *size)
	default:
		err = compare(*size, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// uploader is one way to get size bytes into a bucket. It returns how many are there.
type uploader func(ctx context.Context, to string) (func(r io.Reader) (int64, error), error)

type way struct {
	name string
	open uploader
}

// ways begin with the two whose ratio counts.
var ways = []way{
	{"adapter", adapter},
	{"Writer, its default of 16 MiB", writer(0)},
	{"Writer, chunks of 8 MiB", writer(8 << 20)},
	{"Writer, chunks of 32 MiB", writer(32 << 20)},
}

func adapter(ctx context.Context, to string) (func(io.Reader) (int64, error), error) {
	memory, err := pages.New(budget)
	if err != nil {
		return nil, err
	}
	a, err := gcs.Open(ctx, gcs.Config{
		Config: bucket.Config{Memory: memory, SweepEvery: -1},
		Bucket: gcsbucket.Name, Endpoint: to, AllowHTTP: true, Anonymous: true,
		SessionKey: bytes.Repeat([]byte{7}, gcs.KeySize),
	})
	if err != nil {
		return nil, err
	}
	return func(r io.Reader) (int64, error) {
		// As the gateway calls it for a partner whose uploads can go on.
		obj, err := a.Put(ctx, object, r, backends.PutOptions{Resumable: true, Owner: "acme"})
		return obj.Size, errors.Join(err, a.Close())
	}, nil
}

// writer is one with chunks of that size; 0 is what it does by itself.
func writer(chunk int) uploader {
	return func(ctx context.Context, to string) (func(io.Reader) (int64, error), error) {
		client, err := storage.NewClient(ctx, option.WithEndpoint(to+"/storage/v1/"), option.WithoutAuthentication())
		if err != nil {
			return nil, err
		}
		return func(r io.Reader) (int64, error) {
			w := client.Bucket(gcsbucket.Name).Object(object).NewWriter(ctx)
			if chunk > 0 {
				w.ChunkSize = chunk
			}
			_, err := io.Copy(struct{ io.Writer }{w}, r)
			if err := errors.Join(err, w.Close()); err != nil {
				return 0, err
			}
			return w.Attrs().Size, client.Close()
		}, nil
	}
}

// figures are those of one upload.
type figures struct {
	Took, CPU float64 // seconds
}

// uploadOnce is an upload in a process of its own, which is why its processor time is known.
func uploadOnce(name, to string, size int) error {
	i := slices.IndexFunc(ways, func(w way) bool { return w.name == name })
	if i < 0 {
		return fmt.Errorf("there is no way %q", name)
	}
	upload, err := ways[i].open(context.Background(), to)
	if err != nil {
		return err
	}
	before, begun := cpu(), time.Now()
	there, err := upload(&source{left: size, block: harness.Pattern(1 << 20)})
	f := figures{Took: time.Since(begun).Seconds(), CPU: cpu() - before}
	if err != nil {
		return err
	}
	if there != int64(size) {
		return fmt.Errorf("%s: %d bytes of %d are there", name, there, size)
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// cpu is what this process has used, finer than /proc tells it.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// source gives left bytes at the rate. Like a socket it holds a little for who comes late, and no more: who
// does not read holds up who sends.
type source struct {
	left  int
	block []byte
	due   time.Time
}

const held = 4 << 20 // what a socket may take in

func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(len(p), 64<<10, s.left)]
	at := s.left % len(s.block)
	n := copy(p, s.block[at:])
	s.left -= n
	if oldest := time.Now().Add(-lasting(held)); s.due.Before(oldest) {
		s.due = oldest
	}
	s.due = s.due.Add(lasting(n))
	if wait := time.Until(s.due); wait > time.Millisecond { // a timer is no finer
		<-time.After(wait)
	}
	return n, nil
}

func lasting(bytes int) time.Duration {
	return time.Duration(float64(bytes) / rate * float64(time.Second))
}

func compare(size, rounds int) (err error) {
	to, stop, err := gcsbucket.Run("-serve")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	all := make([][]figures, len(ways))
	for range rounds {
		for i, w := range ways {
			f, err := child(w.name, to, size)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			all[i] = append(all[i], f)
		}
	}
	fmt.Printf("one upload of %d MiB, %d rounds in turn; %d MB/s from the source and on a connection, %v away\n",
		size>>20, rounds, rate/1_000_000, latency)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for i, used := range ways {
		var rates, costs, ratios []float64
		for round, f := range all[i] {
			rates = append(rates, float64(size)/1e6/f.Took)
			costs = append(costs, f.CPU/(float64(size)/(1<<30)))
			ratios = append(ratios, all[1][round].Took/f.Took)
		}
		fmt.Fprintf(w, "%s\t%s MB/s\t%s CPU-s/GiB\t%s times the default Writer\n", used.name,
			harness.Spread("%.0f", rates), harness.Spread("%.2f", costs), harness.Spread("%.2f", ratios))
	}
	return w.Flush()
}

func child(name, to string, size int) (f figures, err error) {
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	cmd := exec.CommandContext(context.Background(), self, "-upload", name, "-to", to, "-size", fmt.Sprint(size))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(out, &f)
}
