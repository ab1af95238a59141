// Package harness builds the sluice binary, runs it as a child process and makes what it needs:
// ports, certificates, password hashes.
package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Build compiles the gateway into dir and returns the path of the binary.
func Build(ctx context.Context, root, dir string, race bool) (string, error) {
	bin := filepath.Join(dir, "sluice")
	args := []string{"build", "-o", bin}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/sluice")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("harness: go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return bin, nil
}

// Hash returns a hash of password for the users file.
func Hash(ctx context.Context, bin, password string) (string, error) {
	cmd := exec.CommandContext(ctx, bin, "user", "hash")
	cmd.Stdin = strings.NewReader(password + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("harness: sluice user hash: %w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// Server is a running gateway.
type Server struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and err is set
	err  error
}

// Options say how to start one.
type Options struct {
	Bin  string
	Dir  string   // working folder
	Args []string // after the name of the binary
	Env  []string
	// Files are open in the process from descriptor 3 on.
	Files []*os.File
	Log   string // the file that takes what it prints
	// Addr is waited for; Implicit says that it greets under TLS.
	Addr     string
	Implicit bool
	// Silent: it waits for a PROXY header; that it listens is enough.
	Silent bool
}

// ErrExited means that the process ended before it listened.
var ErrExited = errors.New("harness: sluice ended before it listened")

// Start runs the binary and returns when it greets, or with the reason why it does not.
func Start(o Options) (*Server, error) {
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), o.Bin, o.Args...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = o.Dir, o.Env, o.Files
	cmd.Stdout, cmd.Stderr = log, log
	if err := errors.Join(cmd.Start(), log.Close()); err != nil {
		return nil, err
	}
	s := &Server{cmd: cmd, done: make(chan struct{})}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := s.await(o, 30*time.Second); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

// await dials until the server says 220.
func (s *Server) await(o Options, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := greets(ctx, o)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("%w: %w", ErrExited, s.err)
		case <-ctx.Done():
			return fmt.Errorf("harness: no greeting on %s: %w", o.Addr, err)
		case <-tick.C:
		}
	}
}

func greets(ctx context.Context, o Options) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if o.Silent {
		return nil
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if o.Implicit {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	buf := make([]byte, 4)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(buf[:n]), "220") {
		return fmt.Errorf("harness: greeting %q", buf[:n])
	}
	return nil
}

// PID is the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Terminate sends SIGTERM and does not wait.
func (s *Server) Terminate() error { return s.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits for the process to end and returns nil if it ended with exit code 0.
func (s *Server) Wait(limit time.Duration) error {
	select {
	case <-s.done:
		return s.err
	case <-time.After(limit):
		return errors.Join(fmt.Errorf("harness: still running after %v", limit), s.Kill())
	}
}

// Stop ends the process by SIGTERM.
func (s *Server) Stop() error {
	if err := s.Terminate(); err != nil {
		return err
	}
	return s.Wait(30 * time.Second)
}

// Kill ends the process by SIGKILL and waits for it.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return nil
}
