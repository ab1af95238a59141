package gateway

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// mount is a part of the session's tree with the adapter behind it.
type mount struct {
	auth.Mount
	adapter backends.CloudStorageAdapter
}

// target is what a path stands for: a key in an adapter. Only resolve makes one.
type target struct {
	mount
	path string // clean and absolute, as the client sees it
	key  string
	// virtual: a folder that only exists because mounts are below it.
	virtual bool
}

var (
	errMountPoint = errors.New("mounts are below it")
	errFolder     = errors.New("a folder with permissions of its own is below it")
)

// mountsOf binds a user's mounts to the adapters, the longest path first.
func (s *Server) mountsOf(u *auth.User) ([]mount, error) {
	var mounts []mount
	for _, m := range u.Mounts {
		adapter, ok := s.opts.Backends[m.Backend]
		if !ok {
			return nil, errors.New("gateway: user " + u.Name + ": no backend " + m.Backend)
		}
		mounts = append(mounts, mount{Mount: m, adapter: adapter})
	}
	slices.SortStableFunc(mounts, func(a, b mount) int { return len(b.Path) - len(a.Path) })
	return mounts, nil
}

// resolve is the only way from a path to an adapter. It refuses with Permission what the user may
// not do there, and with InvalidName what cannot be a key. need may be 0 for what anyone who is
// logged in may know: whether a folder exists.
func (s *Session) resolve(p string, need auth.Permissions) (target, error) {
	p = path.Clean("/" + p)
	for _, m := range s.mounts {
		rel, inside := auth.Below(m.Path, p)
		if !inside {
			continue
		}
		t := target{mount: m, path: p}
		key, err := backends.CleanKey(path.Join(m.Prefix, rel))
		if err != nil {
			return target{}, err
		}
		t.key = key
		t.Permissions = m.At(p)
		if err := t.judge(true); err != nil && (need != 0 || backends.KindOf(err) == backends.NotExist) {
			return target{}, err
		}
		if !t.Permissions.Has(need) {
			return target{}, denied(p, nil)
		}
		// A folder that is moved or removed takes those in it out of their permissions.
		if need&(auth.Delete|auth.Rename) != 0 && m.HoldsFolder(p) {
			return target{}, denied(p, errFolder)
		}
		if need&(auth.Write|auth.Overwrite|auth.Append|auth.Delete|auth.Rename|auth.Mkdir) != 0 && s.holdsMount(p) {
			return target{}, denied(p, errMountPoint)
		}
		return t, nil
	}
	if !s.holdsMount(p) {
		return target{}, &backends.Error{Op: "resolve", Key: p, Kind: backends.NotExist}
	}
	if need&^auth.List != 0 {
		return target{}, denied(p, errMountPoint)
	}
	return target{path: p, virtual: true}, nil
}

// see resolves a path whose name, size and times are asked for: who may list or read may.
func (s *Session) see(p string) (target, error) {
	t, err := s.resolve(p, 0)
	if err == nil && !t.virtual && t.Permissions&(auth.List|auth.Read) == 0 {
		return target{}, denied(p, nil)
	}
	return t, err
}

func denied(p string, cause error) error {
	return &backends.Error{Op: "resolve", Key: p, Kind: backends.Permission, Err: cause}
}

// holdsMount reports whether p is a mount or has one below it; such a folder always exists and
// cannot be changed by a client.
func (s *Session) holdsMount(p string) bool {
	return slices.ContainsFunc(s.mounts, func(m mount) bool {
		_, inside := auth.Below(p, m.Path)
		return inside
	})
}

// mountsIn returns the names of the folders directly below dir that mounts put there, in order.
func (s *Session) mountsIn(dir string) []string {
	var names []string
	for _, m := range s.mounts {
		if rel, inside := auth.Below(dir, m.Path); inside && rel != "" {
			name, _, _ := strings.Cut(rel, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// stat describes what a target stands for. Mount points are folders, whether or not the store
// knows of them yet.
func (s *Session) stat(t target) (backends.Object, error) {
	if t.virtual || s.holdsMount(t.path) {
		return backends.Object{Key: t.key, Dir: true}, nil
	}
	return t.adapter.Stat(s.work(), t.key)
}

// abs makes a path of a command's argument absolute.
func (s *Session) abs(arg string) string {
	if path.IsAbs(arg) {
		return path.Clean(arg)
	}
	return path.Join(s.client.Path(), arg)
}
