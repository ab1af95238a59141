package gcsbucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/sluice-ftp/sluice/backends/gcsfake"
)

// Serve is a bucket in a process of its own, so that figures of processor time are not its. It prints its
// URL, and ends with what it reads.
func Serve(o gcsfake.Options) error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // as gcsfake has it
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	bucket := gcsfake.New(o)
	server := &http.Server{Handler: bucket, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if _, err := fmt.Printf("http://%s\n", l.Addr()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	err = errors.Join(err, server.Close())
	bucket.Close()
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Run starts this program once more, with arguments that make it call Serve.
func Run(args ...string) (endpoint string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(context.Background(), self, args...)
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error { return errors.Join(hold.Close(), cmd.Wait()) }
	if _, err := fmt.Fscanln(out, &endpoint); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return endpoint, stop, nil
}
