package backendtest

import (
	"context"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

func (m *memory) Copy(ctx context.Context, from, to string, o backends.CopyOptions) (backends.Object, error) {
	n, err := m.source(ctx, from, to)
	if err != nil {
		return backends.Object{}, err
	}
	fresh := &node{data: n.data, mod: n.mod}
	return m.publish(ctx, "copy", to, fresh, backends.PutOptions{IfAbsent: o.IfAbsent})
}

func (m *memory) source(ctx context.Context, from, to string) (*node, error) {
	unlock, err := m.begin(ctx, "copy", from, to)
	if err != nil {
		return nil, err
	}
	defer unlock()
	n, err := m.find("copy", from)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return nil, refuse("copy", from, backends.IsDir)
	}
	return n, nil
}

func (m *memory) Rename(ctx context.Context, from, to string, o backends.RenameOptions) error {
	unlock, err := m.begin(ctx, "rename", from, to)
	if err != nil {
		return err
	}
	defer unlock()
	if from == "" {
		return refuse("rename", from, backends.Permission)
	}
	moved, err := m.find("rename", from)
	if err != nil {
		return err
	}
	if moved.dir && strings.HasPrefix(to, from+"/") {
		return refuse("rename", from, backends.InvalidName)
	}
	there, err := m.find("rename", to)
	switch {
	case err != nil && backends.KindOf(err) != backends.NotExist:
		return err
	case there != nil && (there.dir || o.IfAbsent):
		return refuse("rename", from, backends.Exist)
	case there != nil && moved.dir:
		return refuse("rename", from, backends.NotDir)
	}
	if err := m.parents("rename", to); err != nil {
		return err
	}
	m.move(from, to)
	return nil
}

func (m *memory) move(from, to string) {
	moved := map[string]*node{}
	for key, n := range m.nodes {
		if key == from || strings.HasPrefix(key, from+"/") {
			moved[to+key[len(from):]] = n
			delete(m.nodes, key)
		}
	}
	for key, n := range moved {
		m.nodes[key] = n
	}
}

func (m *memory) Remove(ctx context.Context, key string) error {
	unlock, err := m.begin(ctx, "remove", key)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.find("remove", key)
	if err != nil {
		return err
	}
	if n.dir {
		return refuse("remove", key, backends.IsDir)
	}
	delete(m.nodes, key)
	return nil
}

func (m *memory) Mkdir(ctx context.Context, dir string) error {
	unlock, err := m.begin(ctx, "mkdir", dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.parents("mkdir", dir); err != nil {
		return err
	}
	if m.nodes[dir] != nil {
		return refuse("mkdir", dir, backends.Exist)
	}
	m.nodes[dir] = &node{dir: true}
	return nil
}

func (m *memory) Rmdir(ctx context.Context, dir string) error {
	unlock, err := m.begin(ctx, "rmdir", dir)
	if err != nil {
		return err
	}
	defer unlock()
	if dir == "" {
		return refuse("rmdir", dir, backends.Permission)
	}
	n, err := m.find("rmdir", dir)
	if err != nil {
		return err
	}
	if !n.dir {
		return refuse("rmdir", dir, backends.NotDir)
	}
	for key := range m.nodes {
		if strings.HasPrefix(key, dir+"/") {
			return refuse("rmdir", dir, backends.NotEmpty)
		}
	}
	delete(m.nodes, dir)
	return nil
}

func (m *memory) SetModTime(ctx context.Context, key string, t time.Time) error {
	unlock, err := m.begin(ctx, "setmodtime", key)
	if err != nil {
		return err
	}
	defer unlock()
	n, err := m.find("setmodtime", key)
	if err != nil {
		return err
	}
	if n.dir {
		return refuse("setmodtime", key, backends.IsDir)
	}
	n.mod = t
	return nil
}

func (m *memory) Available(_ context.Context, dir string) (int64, error) {
	return 0, refuse("available", dir, backends.Unsupported)
}
