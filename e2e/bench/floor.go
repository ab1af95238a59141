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
	"time"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// What the same bytes cost with crypto/tls and a file, or a socket in the place of a bucket, alone: the
// machine's own figure for the same minute, to hold the gateway's against. A process of its own is the
// server, as with the gateway.

const floorBuffer = 256 << 10

// toFile and toSocket are where the floor's bytes go to or come from.
const (
	toFile   = ""
	toSocket = "socket"
)

// floorServer takes one connection. Its first line says whether content comes or is wanted, and the
// address of the other side, if that is not a file.
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
	var verb, addr string
	if _, err := fmt.Fscanf(conn, "%s %q\n", &verb, &addr); err != nil {
		return err
	}
	other, err := otherSide(verb, addr, filepath.Join(dir, "floor"))
	if err != nil {
		return err
	}
	if verb == "STOR" {
		err = move(other, conn)
	} else {
		err = move(conn, other)
	}
	return errors.Join(err, other.Close(), conn.Close(), wait())
}

func otherSide(verb, addr, file string) (io.ReadWriteCloser, error) {
	switch {
	case addr != "":
		return new(net.Dialer).DialContext(context.Background(), "tcp", addr)
	case verb == "STOR":
		return os.Create(file)
	}
	return os.Open(file)
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
func (b *bench) floor(verb, to string) (string, error) {
	size := 4 * b.size
	if verb == "RETR" && to == toFile {
		if _, err := b.floorOnce("STOR", to, size); err != nil {
			return "", err
		}
	}
	var costs []float64
	for range b.rounds {
		cpu, err := b.floorOnce(verb, to, size)
		if err != nil {
			return "", err
		}
		costs = append(costs, cpu/(float64(size)/(1<<30)))
	}
	return fmt.Sprintf("\t%s CPU-s/GiB", harness.Spread("%.2f", costs)), nil
}

func (b *bench) floorOnce(verb, to string, size int) (cpu float64, err error) {
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
	peer := ""
	if to == toSocket {
		if peer, err = socketPeer(verb, size); err != nil {
			return 0, err
		}
	}
	before := harness.CPUSeconds(cmd.Process.Pid)
	if _, err = fmt.Fprintf(conn, "%s %q\n", verb, peer); err == nil && verb == "STOR" {
		_, err = io.Copy(conn, repeat(harness.Pattern(1<<20), size))
		err = errors.Join(err, conn.(*tls.Conn).CloseWrite())
	}
	if err == nil {
		_, err = io.Copy(io.Discard, conn) // until the server is through
	}
	return harness.CPUSeconds(cmd.Process.Pid) - before, errors.Join(err, conn.Close())
}

// socketPeer is in the place of a bucket: it takes what comes, or gives size bytes, once. It returns
// where.
func socketPeer(verb string, size int) (addr string, err error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if verb == "STOR" {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, c, make([]byte, floorBuffer))
		} else {
			_, _ = io.Copy(c, repeat(harness.Pattern(1<<20), size)) // what is missing shows in the figure
		}
	}()
	return l.Addr().String(), nil
}
