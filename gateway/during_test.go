package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/gateway"
)

// NOOP and STAT are answered while a transfer runs; what else comes waits for its end.
func TestCommandsDuringATransfer(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.loginTLS()
	conn := c.open("STOR file")
	if _, err := io.WriteString(conn, "12345"); err != nil {
		t.Fatal(err)
	}
	c.cmd(200, "NOOP")
	for !strings.Contains(c.cmd(211, "STAT"), "STOR: 5 bytes") {
		c.cmd(200, "NOOP") // the bytes are still on their way
	}
	c.send("PWD")
	c.send("SIZE file")
	c.send("NOOP") // in order behind the others
	finish(t, conn)
	c.want(226)
	c.want(257)
	c.want(213)
	c.want(200)
	if text := c.cmd(211, "STAT"); !strings.Contains(text, "No transfer") {
		t.Error(text)
	}
}

// A flood of unknown commands during a transfer: in the library they raced with its replies, and
// muted the session.
func TestUnknownCommandsDuringATransfer(t *testing.T) {
	t.Parallel()
	f := start(t)
	for range 20 {
		c := f.login()
		conn := c.open("STOR x")
		if _, err := io.WriteString(c.conn, strings.Repeat("XYZ\r\n", 60)); err != nil {
			t.Fatal(err)
		}
		finish(t, conn)
		c.want(226)
		for range 60 {
			c.want(500)
		}
		c.cmd(200, "NOOP")
	}
}

// What may wait behind a transfer is bounded.
func TestTooManyCommandsDuringATransfer(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("x", "old")
	c := f.login()
	conn := c.open("STOR x")
	if _, err := io.WriteString(c.conn, strings.Repeat("PWD\r\n", 100)); err != nil {
		t.Fatal(err)
	}
	c.want(421)
	_ = conn.Close()
	f.waitForSessions()
	equal(t, "file", f.read("x"), "old")
}

func TestQuitDuringATransfer(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.loginTLS()
	conn := c.open("STOR file")
	c.send("QUIT")
	if _, err := io.WriteString(conn, "content"); err != nil {
		t.Fatal(err)
	}
	finish(t, conn)
	c.want(226)
	c.want(221)
	equal(t, "file", f.read("file"), "content")
}

// A client that says QUIT and closes its side still has its upload ended properly under TLS, where
// the end of the data is beyond doubt; in clear it could be its death.
func TestQuitAndGone(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, secure := range []bool{true, false} {
		c := f.login()
		want := "<none>"
		if secure {
			_ = c.raw.Close()
			c = f.loginTLS()
			want = "content"
		}
		conn := c.open("STOR file")
		c.send("QUIT")
		if err := c.raw.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		f.settle(c)
		if _, err := io.WriteString(conn, "content"); err != nil {
			t.Fatal(err)
		}
		finish(t, conn)
		f.waitForSessions()
		equal(t, fmt.Sprint("file, TLS ", secure), f.read("file"), want)
		if secure {
			f.remove("file")
		}
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("big", strings.Repeat("x", 8<<20))
	f.put("file", "old")
	c := f.loginTLS()

	t.Run("upload", func(t *testing.T) {
		c.t = t
		conn := c.open("STOR file")
		if _, err := io.WriteString(conn, "new"); err != nil {
			t.Fatal(err)
		}
		c.cmd(426, "ABOR")
		c.want(226)
		equal(t, "file", f.read("file"), "old")
	})
	t.Run("with telnet bytes, behind other commands", func(t *testing.T) {
		c.t = t
		_ = c.open("STOR file")
		c.send("PWD")
		if _, err := io.WriteString(c.conn, "\xff\xf4\xff\xf2ABOR\r\n"); err != nil {
			t.Fatal(err)
		}
		c.want(426)
		c.want(226)
		c.want(257)
	})
	t.Run("download", func(t *testing.T) {
		c.t = t
		_ = c.open("RETR big") // and reads nothing of it
		c.cmd(426, "ABOR")
		c.want(226)
	})
	t.Run("before the data connection", func(t *testing.T) {
		c.t = t
		_ = c.passive()
		c.send("STOR file")
		c.cmd(426, "ABOR")
		c.want(226)
		equal(t, "file", f.read("file"), "old")
		c.cmd(425, "STOR file") // the port went with it
	})
	t.Run("nothing", func(t *testing.T) {
		c.t = t
		c.cmd(226, "ABOR")
	})
	t.Run("after the end", func(t *testing.T) {
		c.t = t
		code, text := c.upload("STOR file", "new")
		equal(t, text, code, 226)
		c.cmd(226, "ABOR")
		equal(t, "file", f.read("file"), "new")
	})
	c.t = t
	c.cmd(200, "NOOP")
	equal(t, "leftovers", len(f.leftovers()), 0)
}

// Each ABOR has a reply.
func TestTwoAborts(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.login()
	_ = c.open("STOR file")
	if _, err := io.WriteString(c.conn, "ABOR\r\nABOR\r\nSYST\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{426, 226, 226, 215} {
		c.want(code)
	}
}

// The control connection is lost while TLS records go out: whoever writes last must not write into
// what the next transfer uses.
func TestControlLostDuringDownload(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("big", strings.Repeat("x", 16<<20))
	for range 5 {
		c, other := f.loginTLS(), f.loginTLS()
		conn := c.open("RETR big")
		if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		c.close()
		equal(t, "another download", len(other.download("RETR big")), 16<<20)
		_ = conn.Close()
		other.close()
	}
	f.waitForSessions()
}

// After a transfer that was refused its data connection is gone: the client may have closed it, and
// its end would be taken for that of the next file.
func TestStaleDataConnection(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("good", "precious")
	c := f.login()
	conn := c.data()
	c.cmd(550, "RETR missing")
	_ = conn.Close()
	c.cmd(425, "STOR good")
	equal(t, "file", f.read("good"), "precious")
}

// The same for what is refused before it is looked at.
func TestRefusedLinesTakeTheirTransferAlong(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, bad := range []string{"STOR", "STOR a\x00b", "STOR " + strings.Repeat("x", 5000)} {
		f.put("good", "precious")
		c := f.login()
		conn := c.data()
		c.cmd(350, "REST 4")
		c.send(bad)
		c.reply()
		_ = conn.Close()
		c.cmd(425, "STOR good")
		equal(t, "file", f.read("good"), "precious")
		c.cmd(350, "REST 4")
		c.send(bad)
		c.reply()
		code, text := c.upload("STOR good", "new")
		equal(t, text, code, 226)
		equal(t, "file", f.read("good"), "new")
		c.close()
	}
}

// A client that connects after its time is too late: its end is not that of the next file.
func TestLateDataConnection(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the time of a data connection to pass")
	}
	f := start(t)
	f.put("good", "precious")
	c := f.login()
	if err := c.raw.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		t.Fatal(err)
	}
	addr := c.passive()
	c.cmd(425, "STOR other") // after 30 seconds
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
	c.cmd(425, "STOR good")
	equal(t, "file", f.read("good"), "precious")
}

// A download that is given up does not look whole to a client that goes by its data connection.
func TestCutOffDownloads(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) {
		o.Limits.DataStallTimeout = 300 * time.Millisecond
		o.Tuning.SendBuffer = 8192
	})
	f.put("big", strings.Repeat("x", 32<<20))
	for i := range 2000 {
		f.put(fmt.Sprintf("many/%s%d", strings.Repeat("n", 200), i), "")
	}
	for _, cmd := range []string{"RETR big", "MLSD many"} {
		c := f.login()
		conn := c.data()
		if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		c.cmd(150, cmd)
		c.want(426)
		if n, err := io.Copy(io.Discard, conn); err == nil {
			t.Errorf("%s: an orderly end after %d bytes", cmd, n)
		}
		c.close()
	}
	f = start(t)
	f.put("big", strings.Repeat("x", 32<<20))
	c := f.login()
	conn := c.open("RETR big")
	if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if n, err := io.Copy(io.Discard, conn); err == nil {
		t.Errorf("an orderly end after %d bytes", n)
	}
}

// slow is an adapter whose Put and Open wait for leave, or for their context.
type slow struct {
	backends.CloudStorageAdapter
	entered chan string
	leave   chan struct{}
}

func (s *slow) wait(ctx context.Context, op string) error {
	s.entered <- op
	select {
	case <-s.leave:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *slow) Open(ctx context.Context, key string, o backends.OpenOptions) (backends.Reader, error) {
	if err := s.wait(ctx, "open"); err != nil {
		return nil, err
	}
	return s.CloudStorageAdapter.Open(ctx, key, o)
}

// Put waits when the object is published, as a store that is slow to commit does.
func (s *slow) Put(ctx context.Context, key string, r io.Reader, o backends.PutOptions) (backends.Object, error) {
	obj, err := s.CloudStorageAdapter.Put(ctx, key, r, o)
	if err == nil {
		s.entered <- "put"
		<-s.leave
	}
	return obj, err
}

func startSlow(t *testing.T) (*fixture, *slow) {
	s := &slow{entered: make(chan string, 10), leave: make(chan struct{})}
	f := start(t, func(o *gateway.Options) {
		s.CloudStorageAdapter = o.Backends["disk"]
		o.Backends["disk"] = s
	})
	return f, s
}

// An ABOR that comes when the object is published already does not undo it, and is not lied to.
func TestAbortTooLate(t *testing.T) {
	t.Parallel()
	f, s := startSlow(t)
	c := f.login()
	conn := c.open("STOR file")
	if _, err := io.WriteString(conn, "content"); err != nil {
		t.Fatal(err)
	}
	finish(t, conn)
	<-s.entered
	c.send("ABOR")
	c.cmd(200, "NOOP") // ABOR has been seen
	close(s.leave)
	c.want(226) // of the upload
	c.want(226) // of ABOR
	equal(t, "file", f.read("file"), "content")
}

// A checksum of a large file can be aborted, and the session is not deaf meanwhile.
func TestAbortHash(t *testing.T) {
	t.Parallel()
	f, s := startSlow(t)
	f.put("file", "content")
	c := f.login()
	c.send("XSHA256 file")
	<-s.entered
	c.cmd(200, "NOOP")
	c.cmd(426, "ABOR")
	c.want(226)
	c.send("HASH file")
	<-s.entered
	_ = c.raw.Close() // and ends with its session
	f.waitForSessions()
}

// The reply to an upload waits until it is durable.
func TestReplyWaitsForDurability(t *testing.T) {
	t.Parallel()
	f, s := startSlow(t)
	c := f.login()
	conn := c.open("STOR file")
	finish(t, conn)
	<-s.entered
	c.cmd(200, "NOOP") // would come behind a 226 that was sent too early
	close(s.leave)
	c.want(226)
}

func TestStalledData(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Limits.DataStallTimeout = 50 * time.Millisecond })
	f.put("big", strings.Repeat("x", 16<<20))
	f.put("file", "old")
	c := f.login()
	_ = c.open("STOR file")
	if text := c.want(426); !strings.Contains(text, "still") {
		t.Error(text)
	}
	_ = c.open("RETR big")
	c.want(426)
	equal(t, "file", f.read("file"), "old")
	c.cmd(200, "NOOP")
}

// The control connection is lost during an upload: nothing is published, and the adapter's goroutine
// ends with it.
func TestControlLostDuringUpload(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.put("file", "old")
	for _, login := range []func() *client{f.login, func() *client { return f.loginTLS() }} {
		c := login()
		conn := c.open("STOR file")
		if _, err := io.WriteString(conn, "new"); err != nil {
			t.Fatal(err)
		}
		_ = c.raw.Close()
		f.waitForSessions()
		equal(t, "file", f.read("file"), "old")
	}
	equal(t, "leftovers", len(f.leftovers()), 0)
}

// A panic below costs its command and nothing else.
type panicking struct{ backends.CloudStorageAdapter }

func (panicking) Put(context.Context, string, io.Reader, backends.PutOptions) (backends.Object, error) {
	panic("put")
}

func (panicking) Open(context.Context, string, backends.OpenOptions) (backends.Reader, error) {
	panic("open")
}
func (panicking) Remove(context.Context, string) error                  { panic("remove") }
func (panicking) Stat(context.Context, string) (backends.Object, error) { panic("stat") }

func TestPanics(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *gateway.Options) { o.Backends["disk"] = panicking{o.Backends["disk"]} })
	c := f.login()
	conn := c.open("STOR x")
	c.want(451)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the data connection stays open")
	}
	_ = c.passive()
	c.cmd(451, "RETR x")
	c.cmd(451, "DELE x")
	c.cmd(451, "MLST x")
	c.cmd(451, "SIZE x")
	c.cmd(451, "HASH x")
	c.cmd(200, "NOOP")
}
