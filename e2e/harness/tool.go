package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The largest takes six minutes of two cores on a machine that has never built it, and then a second.
const (
	downloadLimit = 5 * time.Minute
	buildLimit    = 15 * time.Minute
)

// ErrUnavailable means that the sources of a tool are neither in the module cache nor to be had.
var ErrUnavailable = errors.New("harness: the sources cannot be downloaded")

// Tool builds a program that a module in a folder of e2e names as its tool, and returns its path. The go
// command keeps it in its cache, where the next test process finds it.
func Tool(ctx context.Context, module, name string) (string, error) {
	dir, err := ModuleDir(ctx, module)
	if err != nil {
		return "", err
	}
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Finding all packages takes all sources, so what fails after this is the build.
	if _, err := Go(ctx, dir, downloadLimit, "list", "-deps", "tool"); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return Go(ctx, dir, buildLimit, "tool", "-n", name) // -n builds and names it, no more
}

// Command builds the command of a module in a folder of e2e, and keeps it by what it is made of, outside the
// repository.
func Command(ctx context.Context, module, ldflags string) (string, error) {
	dir, err := ModuleDir(ctx, module)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.New()
	fmt.Fprintln(key, ldflags)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(key, "%d %s", len(text), text)
	}
	bin := filepath.Join(cache, "sluice-e2e", fmt.Sprintf("%s-%x", module, key.Sum(nil)[:8]))
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if _, err := Go(ctx, dir, downloadLimit, "list", "-deps", "."); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	part := bin + ".part" // a build that is ended leaves no program
	if _, err := Go(ctx, dir, buildLimit, "build", "-trimpath", "-ldflags="+ldflags, "-o", part, "."); err != nil {
		return "", err
	}
	return bin, os.Rename(part, bin)
}

// ModuleDir finds the module in a folder of e2e from any package there, where tests run.
func ModuleDir(ctx context.Context, module string) (string, error) {
	mod, err := Go(ctx, ".", time.Minute, "env", "GOMOD")
	return filepath.Join(filepath.Dir(mod), module), err
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
		return nil, errors.Join(fmt.Errorf("harness: lock %s: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

// Go runs the go command in dir, and returns what it prints. What it builds needs no C compiler.
func Go(ctx context.Context, dir string, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	cmd.WaitDelay = time.Second // a compiler that outlives its go command keeps the pipe
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), errors.Join(err, ctx.Err()), &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}
