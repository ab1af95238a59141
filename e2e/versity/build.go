package versity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The first build on a machine takes a minute of two cores, all others a second.
const (
	downloadLimit = 3 * time.Minute
	buildLimit    = 8 * time.Minute
)

// errUnavailable means that the sources are neither in the module cache nor to be had.
var errUnavailable = errors.New("versity: the module github.com/versity/versitygw cannot be downloaded")

// binary is the path of versitygw, built on the first call.
var binary = sync.OnceValues(build)

// build lets the go command keep the program in its cache, where the next test process finds it.
func build() (string, error) {
	dir, err := moduleDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Finding all packages takes all sources, so what fails after this is the build.
	if _, err := command(dir, downloadLimit, "list", "-deps", "tool"); err != nil {
		return "", fmt.Errorf("%w: %w", errUnavailable, err)
	}
	return command(dir, buildLimit, "tool", "-n", "versitygw") // -n builds and names it, no more
}

// moduleDir finds the module of the server from any package of ours, where tests run.
func moduleDir() (string, error) {
	mod, err := command(".", time.Minute, "env", "GOMOD")
	return filepath.Join(filepath.Dir(mod), "versitygw"), err
}

// lock waits for other test processes that build. Without it they would all compile the same, and
// one could still write the program when another runs it, which is ETXTBSY. It locks the folder
// because the go command locks go.mod.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("versity: lock %s: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

func command(dir string, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // a compiler that outlives its go command keeps the pipe
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), errors.Join(err, ctx.Err()), &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}
