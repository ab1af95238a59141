package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// driver is the tree of a logged-in session as the library asks for it. Each method is resolve and
// one call of the adapter; the reason of a failure goes to the command in flight, because the
// library would send its text to the client.
type driver struct {
	session  *Session
	afero.Fs // nil: the methods that the library has no command left for
}

// Stat serves CWD, CDUP, SIZE, MDTM and RNFR.
func (d *driver) Stat(name string) (info os.FileInfo, err error) {
	s := d.session
	defer s.recoverCommand(&err)
	var t target
	switch s.client.GetLastCommand() {
	case "CWD", "CDUP":
		t, err = s.resolve(name, 0)
	case "RNFR":
		t, err = s.resolve(name, auth.Rename)
	default:
		t, err = s.see(name)
	}
	if err != nil {
		return nil, s.control.fail(err)
	}
	stat := s.stat
	if s.client.GetLastCommand() == "SIZE" {
		stat = s.describe
	}
	obj, err := stat(t)
	if err != nil {
		return nil, s.control.fail(err)
	}
	return fileInfo{name: path.Base(t.path), Object: obj}, nil
}

// Mkdir serves MKD.
func (d *driver) Mkdir(name string, _ os.FileMode) (err error) {
	defer d.session.recoverCommand(&err)
	t, err := d.session.resolve(name, auth.Mkdir)
	if err == nil {
		err = t.adapter.Mkdir(d.session.work(), t.key)
	}
	return d.session.control.fail(err)
}

// Remove serves DELE.
func (d *driver) Remove(name string) (err error) {
	defer d.session.recoverCommand(&err)
	t, err := d.session.resolveFile(name, auth.Delete)
	if err != nil {
		return d.session.control.fail(err)
	}
	c := d.session.beginChange(t)
	defer c.end()
	err = t.adapter.Remove(d.session.work(), t.key)
	switch {
	case err == nil:
		c.removed()
		if d.session.forget(t) {
			c.dropped()
		}
	case backends.KindOf(err) == backends.NotExist && t.adapter != nil:
		if err = d.session.drop(t, err); err == nil {
			c.dropped()
		}
	}
	return d.session.control.fail(err)
}

// RemoveDir serves RMD.
func (d *driver) RemoveDir(name string) (err error) {
	defer d.session.recoverCommand(&err)
	t, err := d.session.resolve(name, auth.Delete)
	if err == nil {
		err = t.adapter.Rmdir(d.session.work(), t.key)
	}
	return d.session.control.fail(err)
}

var errAcross = errors.New("source and target are in different backends")

// Rename serves RNTO.
func (d *driver) Rename(from, to string) (err error) {
	s := d.session
	defer s.recoverCommand(&err)
	src, err := s.resolve(from, auth.Rename)
	if err != nil {
		return s.control.fail(err)
	}
	dst, err := s.resolve(to, auth.Rename|auth.Write)
	if err == nil && src.adapter != dst.adapter {
		err = &backends.Error{Op: "rename", Key: to, Kind: backends.InvalidName, Err: errAcross}
	}
	if err == nil {
		err = s.mayName(src, dst)
	}
	if err == nil {
		err = s.mayFill(dst)
	}
	if err == nil {
		o := backends.RenameOptions{IfAbsent: !dst.Permissions.Has(auth.Overwrite)}
		c := s.beginChange(dst, src)
		defer c.end()
		if err = src.adapter.Rename(s.work(), src.key, dst.key, o); err == nil && src.key != dst.key {
			c.moved()
		}
	}
	return s.control.fail(err)
}

// mayName refuses to rename files that are not allowed, or to names that are not. Folders may have any.
func (s *Session) mayName(src, dst target) error {
	err := errors.Join(src.judge(false), dst.judge(false))
	if err == nil {
		return nil
	}
	if obj, statErr := s.stat(src); statErr != nil {
		return statErr
	} else if obj.Dir {
		return nil // resolve has held it to the rest
	}
	return err
}

// Chtimes serves MFMT.
func (d *driver) Chtimes(name string, _, mtime time.Time) (err error) {
	defer d.session.recoverCommand(&err)
	t, err := d.session.resolveFile(name, auth.Write)
	if err == nil {
		err = t.adapter.SetModTime(d.session.work(), t.key, mtime)
	}
	return d.session.control.fail(err)
}

// GetHandle serves all transfers, on a goroutine of their own. What is transferred and how was decided
// when the command came; the library's arguments tell nothing.
func (d *driver) GetHandle(string, int, int64) (ftpserver.FileTransfer, error) {
	t := d.session.control.transferInFlight()
	if t == nil {
		return nil, errors.New("gateway: no transfer in flight")
	}
	return t.open()
}

// recoverCommand turns a panic into an error; the library would tell the client about it.
func (s *Session) recoverCommand(err *error) {
	if p := recover(); p != nil {
		s.panicked(s.client.GetLastCommand(), p)
		*err = s.control.fail(fmt.Errorf("gateway: panic: %v", p))
	}
}

// mayFill refuses to put something into a folder that does not exist to a user who may not make
// folders. The adapters would make it, as flat stores do; who may is spared the call.
func (s *Session) mayFill(t target) error {
	dir := path.Dir(t.path)
	if t.Permissions.Has(auth.Mkdir) || s.holdsMount(dir) {
		return nil
	}
	parent, err := s.resolve(dir, 0)
	if err != nil {
		return err
	}
	obj, err := s.stat(parent)
	if err == nil && !obj.Dir {
		err = &backends.Error{Op: "stat", Key: parent.key, Kind: backends.NotDir}
	}
	return err
}

// fileInfo is an object as the library wants it.
type fileInfo struct {
	name string
	backends.Object
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.Object.Size }
func (i fileInfo) ModTime() time.Time { return i.Object.ModTime }
func (i fileInfo) IsDir() bool        { return i.Dir }
func (i fileInfo) Sys() any           { return nil }

func (i fileInfo) Mode() fs.FileMode {
	if i.Dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
