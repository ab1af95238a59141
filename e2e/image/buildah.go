// Package image builds the image of the Dockerfile and runs it as Kubernetes would, on a machine that has no
// container engine.
package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// Limits of commands, with room for a slow machine: the longest compile everything or fetch a system.
const (
	quick = 2 * time.Minute
	long  = 10 * time.Minute
)

// Where a build finds the caches of the go command outside, which make it fast and need no network.
const (
	moduleCache = "/cache/mod"
	buildCache  = "/cache/build"
)

// The base image is what the golang image is for the Dockerfile: a Debian with authorities, and Go.
var (
	baseSystem = []string{"--variant=minbase", "--include=ca-certificates"}
	baseConfig = []string{
		"--env", "PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--env", "GOTOOLCHAIN=local",
		"--env", "GOPROXY=off", "--env", "GOMODCACHE=" + moduleCache, "--env", "GOCACHE=" + buildCache,
	}
)

// store is where the base image is kept from run to run, and the rest as long as a run lasts.
type store struct {
	dir  string
	lock *os.File // a run would clear away what another one works with
	base string   // the name of the base image
	env  goEnv
}

// goEnv is what the go command says of itself.
type goEnv struct{ GOROOT, GOVERSION, GOMODCACHE, GOCACHE string }

// openStore waits until no other run uses the store.
func openStore(ctx context.Context) (*store, error) {
	s := &store{}
	out, err := harness.Go(ctx, ".", quick, "env", "-json", "GOROOT", "GOVERSION", "GOMODCACHE", "GOCACHE")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(out), &s.env); err != nil {
		return nil, fmt.Errorf("image: go env: %w", err)
	}
	// Another suite, version of Go or recipe is another base.
	key := sha256.Sum256(fmt.Append(nil, suite(), s.env.GOVERSION, baseSystem, baseConfig))
	s.base = fmt.Sprintf("localhost/sluice-e2e-base:%x", key[:8])
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	s.dir = filepath.Join(cache, "sluice-e2e", "image")
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	if s.lock, err = os.Create(filepath.Join(s.dir, "lock")); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("image: lock %s: %w", s.lock.Name(), err), s.lock.Close())
	}
	if err := s.clear(ctx); err != nil { // a run that was killed has not
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// close leaves nothing but the base.
func (s *store) close() error { return errors.Join(s.clear(context.Background()), s.lock.Close()) }

// clear removes all containers, and all images but the base.
func (s *store) clear(ctx context.Context) error {
	running, err := s.runc(ctx, "list", "--quiet")
	if err != nil {
		return err
	}
	for _, id := range strings.Fields(running) {
		if _, err := s.runc(ctx, "delete", "--force", id); err != nil {
			return err
		}
	}
	if _, err := s.buildah(ctx, quick, "rm", "--all"); err != nil {
		return err
	}
	images, err := s.images(ctx)
	if err != nil {
		return err
	}
	for id, name := range images {
		if name == s.base {
			continue
		}
		if _, err := s.buildah(ctx, quick, "rmi", "--force", id); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.system())
}

// images are the names of all images by their ids.
func (s *store) images(ctx context.Context) (map[string]string, error) {
	out, err := s.buildah(ctx, quick, "images", "--all", "--format", "{{.ID}} {{.Name}}:{{.Tag}}")
	all := map[string]string{}
	for image := range strings.Lines(out) {
		id, name, _ := strings.Cut(image, " ")
		all[id] = strings.TrimSpace(name)
	}
	return all, err
}

// system is the folder that the base image is made in.
func (s *store) system() string { return filepath.Join(s.dir, "system") }

// makeBase makes the base image unless it is there. It gets its name when it is whole.
func (s *store) makeBase(ctx context.Context) error {
	images, err := s.images(ctx)
	if err != nil || slices.Contains(slices.Collect(maps.Values(images)), s.base) {
		return err
	}
	// What it mounts goes with it, should it be killed.
	if _, err := s.command(ctx, long, "unshare", slices.Concat([]string{"--mount", "debootstrap"}, baseSystem, []string{suite(), s.system()})...); err != nil {
		return err
	}
	for _, downloaded := range []string{"var/cache/apt/archives", "var/lib/apt/lists"} {
		if err := os.RemoveAll(filepath.Join(s.system(), downloaded)); err != nil {
			return err
		}
	}
	c, err := s.buildah(ctx, quick, "from", "scratch")
	if err != nil {
		return err
	}
	for _, step := range [][]string{
		{"copy", "--quiet", c, s.system(), "/"},
		{"copy", "--quiet", c, s.env.GOROOT, "/usr/local/go"},
		slices.Concat([]string{"config"}, baseConfig, []string{c}),
		{"commit", "--quiet", "--rm", c, s.base},
	} {
		if _, err := s.buildah(ctx, long, step...); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.system())
}

// suite is the Debian, or what is derived from it, of this machine.
func suite() string {
	text, _ := os.ReadFile("/etc/os-release") // without it, the default
	for line := range strings.Lines(string(text)) {
		if name, is := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); is && name != "" {
			return strings.Trim(name, `"`)
		}
	}
	return "bookworm"
}

// build builds the Dockerfile in the folder root for an architecture and returns the name of the image.
func (s *store) build(ctx context.Context, root, arch string, args map[string]string) (string, error) {
	if _, err := harness.Go(ctx, root, long, "mod", "download"); err != nil {
		return "", err
	}
	name := "localhost/sluice-e2e:" + arch
	do := []string{
		"bud", "--isolation", "chroot", "--pull=never", "--layers=false", "--force-rm", "--platform", "linux/" + arch, "--tag", name,
		"--volume", s.env.GOMODCACHE + ":" + moduleCache + ":ro", "--volume", s.env.GOCACHE + ":" + buildCache,
		"--build-arg", "GO_IMAGE=" + s.base, "--build-arg", "BUILDPLATFORM=linux/" + runtime.GOARCH, // not every version sets it
	}
	for arg, value := range args {
		do = append(do, "--build-arg", arg+"="+value)
	}
	_, err := s.buildah(ctx, long, append(do, "--file", filepath.Join(root, "Dockerfile"), root)...)
	return name, err
}

// config is what an image says of itself.
type config struct {
	Architecture, OS string
	Config           struct {
		User            string
		ExposedPorts    map[string]struct{}
		Env             []string
		Entrypoint, Cmd []string
		Volumes         map[string]struct{}
		WorkingDir      string
		Labels          map[string]string
	}
}

func (s *store) config(ctx context.Context, image string) (config, error) {
	out, err := s.buildah(ctx, quick, "inspect", "--type", "image", image)
	if err != nil {
		return config{}, err
	}
	var all struct{ OCIv1 config }
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return config{}, fmt.Errorf("image: configuration of %s: %w", image, err)
	}
	return all.OCIv1, nil
}

// mount returns the folder with the files of a container of an image.
func (s *store) mount(ctx context.Context, image string) (string, error) {
	c, err := s.buildah(ctx, quick, "from", "--pull=never", image)
	if err != nil {
		return "", err
	}
	return s.buildah(ctx, quick, "mount", c)
}

func (s *store) buildah(ctx context.Context, limit time.Duration, args ...string) (string, error) {
	storage := []string{"--storage-driver", "vfs", "--root", filepath.Join(s.dir, "root"), "--runroot", filepath.Join(s.dir, "run")}
	return s.command(ctx, limit, "buildah", append(storage, args...)...)
}

// command runs one that works in the store. It has the lock too: the next run waits for what outlives this one.
func (s *store) command(ctx context.Context, limit time.Duration, name string, args ...string) (string, error) {
	return commandWith(ctx, limit, []*os.File{s.lock}, name, args...)
}

// command runs one and returns what it printed.
func command(ctx context.Context, limit time.Duration, name string, args ...string) (string, error) {
	return commandWith(ctx, limit, nil, name, args...)
}

func commandWith(ctx context.Context, limit time.Duration, files []*os.File, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // those who can, tidy up
	cmd.WaitDelay = 10 * time.Second
	cmd.ExtraFiles = files
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("image: %s %s: %w\n%s%s", name, strings.Join(args, " "), errors.Join(err, ctx.Err()), &stdout, &stderr)
	}
	return strings.TrimSpace(stdout.String()), nil
}
