package image

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ftp/sluice/e2e/harness"
)

// container is a running one.
type container struct {
	store   *store
	id      string
	server  *harness.Server // runc, which ends as the gateway does
	process string          // the gateway's folder in /proc
}

// runOptions say how to run an image.
type runOptions struct {
	Rootfs string // the folder with its files
	Image  config
	Dir    string // for what runc needs, and sluice.log
	Secret string // the folder that is /etc/sluice
	Data   string // the folder that is /data
	Addr   string // is waited for
}

// run runs an image as a pod does whose policy is "restricted": what the image says, without any privilege and
// with nothing to write to but /tmp and a volume. The network is the machine's.
func (s *store) run(ctx context.Context, o runOptions) (*container, error) {
	spec, err := json.Marshal(podSpec(o))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "config.json"), spec, 0o600); err != nil {
		return nil, err
	}
	c := &container{store: s, id: fmt.Sprintf("sluice-e2e-%d", os.Getpid())}
	c.server, err = harness.Start(harness.Options{
		Bin: "runc", Dir: o.Dir, Args: s.runcArgs("run", "--bundle", o.Dir, c.id),
		Log: filepath.Join(o.Dir, "sluice.log"), Addr: o.Addr,
	})
	if err != nil {
		return nil, err // what it left is cleared away with the store
	}
	out, err := s.runc(ctx, "state", c.id)
	if err != nil {
		return nil, err
	}
	var state struct{ Pid int }
	if err := json.Unmarshal([]byte(out), &state); err != nil {
		return nil, fmt.Errorf("image: state of %s: %w", c.id, err)
	}
	c.process = fmt.Sprintf("/proc/%d", state.Pid)
	return c, nil
}

// exec runs a command in it, as a probe does.
func (c *container) exec(ctx context.Context, args ...string) (string, error) {
	return c.store.runc(ctx, slices.Concat([]string{"exec", c.id}, args)...)
}

// signal sends a signal to the gateway.
func (c *container) signal(ctx context.Context, name string) error {
	_, err := c.store.runc(ctx, "kill", c.id, name)
	return err
}

func (s *store) runc(ctx context.Context, args ...string) (string, error) {
	return command(ctx, quick, "runc", s.runcArgs(args...)...)
}

func (s *store) runcArgs(args ...string) []string {
	return append([]string{"--root", filepath.Join(s.dir, "runc")}, args...)
}

// podSpec is the OCI runtime's description of the container.
func podSpec(o runOptions) map[string]any {
	type object = map[string]any
	user := userOf(o.Image)
	var namespaces []object
	for _, kind := range []string{"pid", "mount", "ipc", "uts"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	mount := func(at, kind, source string, options ...string) object {
		return object{"destination": at, "type": kind, "source": source, "options": options}
	}
	return object{
		"ociVersion": "1.0.2",
		"hostname":   "sluice-0",
		"root":       object{"path": o.Rootfs, "readonly": true},
		"process": object{
			"args": slices.Concat(o.Image.Config.Entrypoint, o.Image.Config.Cmd),
			"env":  o.Image.Config.Env, "cwd": "/",
			"user":         object{"uid": user[0], "gid": user[1]},
			"capabilities": object{}, "noNewPrivileges": true,
		},
		"mounts": []object{
			mount("/proc", "proc", "proc"),
			mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=64k"),
			mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
			mount("/tmp", "tmpfs", "tmpfs", "nosuid", "nodev", "mode=1777"),
			mount("/etc/sluice", "bind", o.Secret, "rbind", "ro"),
			mount("/data", "bind", o.Data, "rbind", "rw"),
		},
		"linux": object{
			"namespaces": namespaces,
			"resources":  object{"devices": []object{{"allow": false, "access": "rwm"}}},
		},
	}
}

// userOf is who the image runs as: a user and a group by number, else root.
func userOf(image config) (ids [2]int) {
	user, group, _ := strings.Cut(image.Config.User, ":")
	for i, id := range []string{user, group} {
		ids[i], _ = strconv.Atoi(id) // a kubelet cannot look names up either
	}
	return ids
}
