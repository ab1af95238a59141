package gateway_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends/backendtest"
	"github.com/sluice-ftp/sluice/gateway"
)

// A command that takes longer than a client may idle keeps its reply and its session: the library's
// deadline would have cut both.
func TestSlowCommand(t *testing.T) {
	t.Parallel()
	const idle = 30 * time.Millisecond
	f := start(t, func(o *gateway.Options) {
		o.Limits.IdleTimeout = idle
		slow := backendtest.Faulty(o.Backends["disk"])
		slow.SetHook(func(ctx context.Context, op, _ string) error {
			if op == "stat" || op == "list" {
				late := time.NewTimer(3 * idle)
				defer late.Stop()
				<-late.C
			}
			return nil
		})
		o.Backends["disk"] = slow
	})
	f.put("file", "content")
	c := f.login()
	c.cmd(213, "SIZE file")
	c.cmd(250, "MLST file")
	equal(t, "NLST", c.download("NLST file"), "file\r\n")
	c.cmd(200, "NOOP")
}

// A transfer holds half a MiB at most, on both ways, however large the file. The figure holds the
// client's side as well: it lives in this process.
func TestTransferMemory(t *testing.T) { //nolint:paralleltest // it reads the heap of the process
	const n, most = 40, 512 << 10
	f := start(t)
	f.put("big", strings.Repeat("x", 32<<20))
	var uploads, downloads []*client
	for range n {
		uploads, downloads = append(uploads, f.loginTLS()), append(downloads, f.loginTLS())
	}
	before := heap()
	block := strings.Repeat("x", 1<<20)
	for _, c := range uploads {
		conn := c.open("STOR up")
		if _, err := io.WriteString(conn, block); err != nil {
			t.Fatal(err)
		}
	}
	if used := (heap() - before) / n; used > most {
		t.Errorf("an upload holds %d KiB", used>>10)
	}
	before = heap()
	for _, c := range downloads {
		conn := c.open("RETR big")
		if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if used := (heap() - before) / n; used > most {
		t.Errorf("a download holds %d KiB", used>>10)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
