package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// What the same bytes cost with crypto/tls and a file alone: the machine's own figure for the same
// minute, to hold the gateway's against. A process of its own is the server, as with the gateway.

const floorBuffer = 256 << 10

// floorServer takes one connection; its first byte says whether it sends the file or is sent it.
func floorServer(dir string) error {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, DynamicRecordSizingDisabled: true})
	if err != nil {
		return err
	}
	if _, err := fmt.Println(l.Addr()); err != nil {
		return err
	}
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	what := make([]byte, 1)
	if _, err := io.ReadFull(conn, what); err != nil {
		return err
	}
	name := filepath.Join(dir, "floor")
	if what[0] == 's' {
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		return errors.Join(move(f, conn), f.Close(), conn.Close(), wait())
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(move(conn, f), f.Close(), conn.Close(), wait())
}

// wait keeps the process until its figures were read.
func wait() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// move copies in whole buffers, without the short cuts of io.Copy.
func move(w io.Writer, r io.Reader) error {
	buf := make([]byte, floorBuffer)
	for {
		n, err := io.ReadFull(r, buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// floor measures the server's side of size bytes.
func (b *bench) floor(verb string) (string, error) {
	size := 1 << 30 / b.scale
	if verb == "RETR" {
		if _, err := b.floorOnce("STOR", size); err != nil {
			return "", err
		}
	}
	var costs []float64
	for range 3 {
		cpu, err := b.floorOnce(verb, size)
		if err != nil {
			return "", err
		}
		costs = append(costs, cpu/(float64(size)/(1<<30)))
	}
	return fmt.Sprintf("\t%.2f CPU-s/GiB", median(costs)), nil
}

func (b *bench) floorOnce(verb string, size int) (cpu float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(context.Background(), self, "-floor", b.dir)
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, hold.Close(), cmd.Wait()) }()
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		return 0, err
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	before := harness.CPUSeconds(cmd.Process.Pid)
	if verb == "STOR" {
		_, err = io.Copy(conn, io.MultiReader(strings.NewReader("s"), repeat(harness.Pattern(1<<20), size)))
		err = errors.Join(err, conn.(*tls.Conn).CloseWrite())
	} else {
		_, err = conn.Write([]byte{'r'})
	}
	if err == nil {
		_, err = io.Copy(io.Discard, conn) // until the server is through
	}
	return harness.CPUSeconds(cmd.Process.Pid) - before, errors.Join(err, conn.Close())
}
