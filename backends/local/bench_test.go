package local_test

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/local"
)

// benchmarkPut stores objects under new keys, or one key again and again: over an old file ext4
// starts to write the new one at once (auto_da_alloc), whatever fsync says.
func benchmarkPut(b *testing.B, size int, fsync local.Fsync, overwrite bool) {
	a := open(b, local.Config{Root: b.TempDir(), Fsync: fsync})
	data := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	used := cpu(b)
	n := 0
	for b.Loop() {
		if !overwrite {
			n++
		}
		r := struct{ io.Reader }{bytes.NewReader(data)}
		if _, err := a.Put(b.Context(), fmt.Sprintf("acme/in/o%d", n), r, putOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-used).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpu is the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func BenchmarkPut4K(b *testing.B) {
	for _, fsync := range []local.Fsync{local.FsyncNever, local.FsyncAlways} {
		b.Run(string(fsync)+"/new", func(b *testing.B) { benchmarkPut(b, 4<<10, fsync, false) })
		b.Run(string(fsync)+"/overwrite", func(b *testing.B) { benchmarkPut(b, 4<<10, fsync, true) })
	}
}

func BenchmarkPut64M(b *testing.B) {
	for _, fsync := range []local.Fsync{local.FsyncNever, local.FsyncAlways} {
		b.Run(string(fsync), func(b *testing.B) { benchmarkPut(b, 64<<20, fsync, true) })
	}
}

func BenchmarkRead64M(b *testing.B) {
	a := open(b, local.Config{Root: b.TempDir(), Fsync: local.FsyncNever})
	put(b, a, "o", string(make([]byte, 64<<20)))
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r, err := a.Open(b.Context(), "o", backends.OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}

func BenchmarkList(b *testing.B) {
	const n = 50_000
	a := open(b, local.Config{Root: b.TempDir(), Fsync: local.FsyncNever})
	for i := range n {
		put(b, a, fmt.Sprintf("dir/invoice-2026-%08d.csv", i), "")
	}
	for _, o := range []backends.ListOptions{{}, {NamesOnly: true}} {
		b.Run(fmt.Sprintf("50k/names=%t", o.NamesOnly), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				seen := 0
				for _, err := range a.List(b.Context(), "dir", o) {
					if err != nil {
						b.Fatal(err)
					}
					seen++
				}
				if seen != n {
					b.Fatal(seen)
				}
			}
		})
	}
}
