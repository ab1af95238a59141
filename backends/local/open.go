package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Open opens the folder cfg.Root as a store and removes what a killed process left in .sluice/tmp.
// It writes to the folder once, so that a read-only one is reported now and not at the first upload.
func Open(cfg Config) (*Adapter, error) {
	a, err := cfg.adapter()
	if err != nil {
		return nil, err
	}
	if name, err := a.prepare(); err != nil {
		_ = a.closeFiles()
		return nil, openError(cfg.Root, name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	if every := cmp.Or(cfg.SweepEvery, defaultSweepEvery); every > 0 {
		a.done.Go(func() { backends.Every(ctx, every, func(ctx context.Context) { a.sweepAndTell(ctx, cfg.Log) }) })
	}
	return a, nil
}

// Check returns the error that Open would, as far as that can be known without changing anything: it
// makes, removes and locks nothing. A full disk is one of the things that only Open finds out.
func Check(cfg Config) error {
	a, err := cfg.adapter()
	if err != nil {
		return err
	}
	defer func() { _ = a.closeFiles() }()
	if name, err := a.inspect(); err != nil {
		return openError(cfg.Root, name, err)
	}
	return nil
}

// adapter does the part of Open that changes nothing.
func (cfg Config) adapter() (*Adapter, error) {
	a := &Adapter{
		secure: (*os.File).Sync, boot: bootID(), resumes: !cfg.NoResume,
		keepAtLeast: cmp.Or(cfg.KeepAtLeast, defaultKeepAtLeast), keepFor: cmp.Or(cfg.KeepFor, defaultKeepFor), tellKept: cfg.Kept,
	}
	a.locks.seed = maphash.MakeSeed()
	switch cfg.Fsync {
	case "", FsyncAlways:
		a.sync, a.settle, a.checkpoint = (*os.File).Sync, (*os.File).Sync, checkpoint
	case FsyncNever:
		a.sync, a.settle = func(*os.File) error { return nil }, flush
	default:
		return nil, fmt.Errorf("local: fsync is %q: use %q or %q", cfg.Fsync, FsyncAlways, FsyncNever)
	}
	size := cfg.BufferSize
	if size < 0 {
		return nil, fmt.Errorf("local: buffer size is %d bytes: use 0 for the default or more", size)
	}
	if size == 0 {
		size = defaultBuffer
	}
	a.buffers.New = func() any { b := make([]byte, size); return &b }

	if cfg.Root == "" {
		return nil, errors.New("local: no root: name the folder that holds the files")
	}
	root, err := os.OpenRoot(cfg.Root)
	if err != nil {
		return nil, openError(cfg.Root, "", err)
	}
	a.root = root
	return a, nil
}

// prepare makes the private folder, clears it of leftovers and proves that it can be written to. It
// returns the folder that an error is about.
func (a *Adapter) prepare() (string, error) {
	for i, name := range privateFolders {
		if err := a.root.Mkdir(name, privateMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		f, err := a.openOwn(name)
		if err != nil {
			return name, err
		}
		a.hidden[i] = f.id
		if err := shut(f); err != nil {
			_ = f.Close()
			return name, err
		}
		switch name {
		case tmpFolder:
			a.tmp = f
		case keptFolder:
			a.kept = f
		default:
			_ = f.Close()
		}
	}
	if err := a.openLock(); err != nil {
		return keptFolder, err
	}
	top, err := a.openFolder("")
	if err != nil {
		return "", err
	}
	a.top = top.id
	_ = top.Close()
	if a.cleaned, err = a.clean(); err != nil {
		return tmpFolder, err
	}
	t, err := a.create()
	if err != nil {
		return tmpFolder, err
	}
	t.discard()
	return "", nil
}

// openLock opens the lock of all processes that work on the folder.
func (a *Adapter) openLock() error {
	fd, err := openAt(a.kept, lockName, unix.O_RDWR|unix.O_CREAT, privateMode&fileMode)
	if err != nil {
		return err
	}
	a.keptLock = os.NewFile(uintptr(fd), lockName)
	return nil
}

// inspect asks whether prepare will succeed: whether the private folders are in order or, as far as
// they are missing, can be made.
func (a *Adapter) inspect() (string, error) {
	for _, name := range privateFolders {
		f, err := a.openOwn(name)
		if errors.Is(err, fs.ErrNotExist) {
			name, _ = split(name)
			f, err = a.openFolder(name)
			if name != "" && errors.Is(err, fs.ErrNotExist) {
				return "", nil // all are missing, and the root has been asked
			}
		}
		if err != nil {
			return name, err
		}
		err = mayUse(f)
		_ = f.Close()
		if err != nil {
			return name, err
		}
	}
	return "", nil
}

// mayUse: files can be made in f, which is the root or a private folder.
func mayUse(f *folder) error {
	if f.key != "" {
		if err := mayShut(f); err != nil {
			return err
		}
	}
	err := access(f, unix.W_OK|unix.X_OK)
	if errors.Is(err, unix.EACCES) && f.key != "" && !isShut(f) {
		return nil // It is ours, and prepare changes its mode.
	}
	return err
}

// openOwn opens one of the private folders, which may not be a link.
func (a *Adapter) openOwn(name string) (*folder, error) {
	fi, err := a.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, unix.ENOTDIR
	}
	return a.openFolder(name)
}

// shut lets nobody else into f: what is in it has the mode of an object already.
func shut(f *folder) error {
	if isShut(f) {
		return nil
	}
	return f.Chmod(privateMode)
}

func isShut(f *folder) bool {
	st, err := fstat(f.File)
	return err == nil && st.Mode&0o777 == privateMode
}

func mayShut(f *folder) error {
	st, err := fstat(f.File)
	if err != nil || isShut(f) || os.Geteuid() == 0 || int(st.Uid) == os.Geteuid() {
		return err
	}
	return unix.EPERM
}

// openError tells the operator which folder is wrong, of the root and those in it, and what would
// mend it.
func openError(root, name string, err error) error {
	path := root
	if name != "" {
		path = filepath.Join(root, name)
	}
	var e *backends.Error
	if errors.As(err, &e) && e.Err != nil {
		err = e.Err
	}
	var mend string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		mend = ": it does not exist: create it or correct root"
	case errors.Is(err, unix.ENOTDIR) && name != "":
		mend = ": it is not a folder: remove it"
	case isNotDirectory(root):
		mend = ": it is not a folder: correct root"
	case errors.Is(err, unix.EROFS):
		mend = ": its file system is mounted read-only: mount it for writing"
	case errors.Is(err, fs.ErrPermission):
		path, mend = refusal(path)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		mend = ": its file system is full: free some space"
	default:
		mend = ": it cannot be used"
	}
	return fmt.Errorf("local: folder %q%s: %w", path, mend, err)
}

// refusal finds the folder whose rights are at fault when path was refused, and says how to mend
// them: what cannot be seen is either behind the folder above or was to be made in it.
func refusal(path string) (culprit, mend string) {
	var st unix.Stat_t
	for unix.Stat(path, &st) != nil && filepath.Dir(path) != path {
		path = filepath.Dir(path)
	}
	user := os.Geteuid()
	if int(st.Uid) != user {
		return path, fmt.Sprintf(" belongs to user %d, this process is user %d: "+
			"change its owner (chown -R %d) or its mode (chmod)", st.Uid, user, user)
	}
	return path, fmt.Sprintf(": user %d may not read or not write it: "+
		"change its mode (chmod u+rwx) or what else protects it", user)
}

func isNotDirectory(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && !fi.IsDir()
}
