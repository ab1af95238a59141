// Package local stores objects as plain files below one folder of a POSIX file system.
//
// A key is a path below that folder, confined by os.Root: no link leads out of it. New content is
// written to a temporary file in .sluice/tmp and moved over its name when it is whole. Whatever else
// works on the folder (cron jobs, an NFS client, a second gateway) sees ordinary files.
package local

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Fsync says when a change is on the disk and not just in the system's memory.
type Fsync string

// The choices; "" is FsyncAlways.
const (
	// FsyncAlways: before a method returns nil. A power cut loses nothing that was answered.
	FsyncAlways Fsync = "always"
	// FsyncNever: when the system likes. Faster for small files; a power cut may lose the last
	// half minute, and an object published in it may come back empty. What a network file system
	// finds out when a file is closed still keeps it from being published.
	FsyncNever Fsync = "never"
)

// Config says where the objects are and how they are written.
type Config struct {
	// Root is the folder. It has to exist and to be one file system.
	Root string
	// Fsync trades durability for speed.
	Fsync Fsync
	// BufferSize is the size in bytes of one transfer's buffer; 0 is 256 KiB.
	BufferSize int

	// NoResume: uploads that break off are not kept.
	NoResume bool
	// KeepAtLeast is how many bytes of an upload that breaks off are worth to be kept, if it is
	// resumable; 0 is 8 MiB.
	KeepAtLeast int64
	// KeepFor is how long it is kept; 0 is 24 hours.
	KeepFor time.Duration
	// SweepEvery is how often is looked for what was kept longer than that, and for what other
	// processes left behind; 0 is one hour, negative never.
	SweepEvery time.Duration
	// Kept, if there is one, is told by each sweep what it has found.
	Kept func(backends.Kept)
	// Log is told what happens without anyone asking.
	Log *slog.Logger
}

const (
	defaultBuffer      = 256 << 10
	defaultKeepAtLeast = 8 << 20
	defaultKeepFor     = 24 * time.Hour
	defaultSweepEvery  = time.Hour

	fileMode    = 0o666 // less the umask, as the next
	folderMode  = 0o777
	privateMode = 0o700
)

const tmpFolder = backends.Private + "/tmp"

// privateFolders are those that Open makes.
var privateFolders = [...]string{backends.Private, tmpFolder, keptFolder}

// Adapter is a folder as a store.
type Adapter struct {
	root *os.Root
	// tmp is .sluice/tmp, opened once: every Put makes a file in it and moves it out again. kept is
	// .sluice/kept.
	tmp, kept *folder
	// top and hidden recognise the root and the private folders whatever links led to them.
	top    inode
	hidden [3]inode

	// sync makes a file or a folder durable, or does nothing.
	sync func(*os.File) error
	// settle is what a file has to pass before it gets its name: sync, or flush.
	settle func(*os.File) error
	// secure is fsync, whatever was configured: what is kept and its record outlive a power cut.
	secure  func(*os.File) error
	buffers sync.Pool
	locks   stripes
	cleaned int

	resumes     bool
	keepAtLeast int64
	// checkpoint is after how many bytes an upload is made durable; 0 is never.
	checkpoint int64
	keepFor    time.Duration
	tellKept   func(backends.Kept)
	// boot is another one after each start of the machine; "" is not known.
	boot     string
	keptMu   sync.Mutex
	keptLock *os.File

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ backends.CloudStorageAdapter = (*Adapter)(nil)

// Cleaned returns how many leftovers of killed processes Open removed.
func (a *Adapter) Cleaned() int { return a.cleaned }

// Capabilities implements backends.CloudStorageAdapter. Listings are not ordered: to sort a folder
// of a million entries is to hold a million entries.
func (a *Adapter) Capabilities() backends.Capabilities {
	return backends.Capabilities{Offset: true, IfAbsent: true, ModTime: true, Space: true, Resume: a.resumes, KeepAtLeast: a.keepAtLeast}
}

// Close implements backends.CloudStorageAdapter.
func (a *Adapter) Close() error {
	a.stop()
	a.done.Wait()
	return translate("close", "", a.closeFiles())
}

func (a *Adapter) closeFiles() error {
	errs := []error{a.root.Close()}
	for _, f := range []*folder{a.tmp, a.kept} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if a.keptLock != nil {
		errs = append(errs, a.keptLock.Close())
	}
	return errors.Join(errs...)
}

// buffer lends a transfer's buffer; the function gives it back.
func (a *Adapter) buffer() ([]byte, func()) {
	b := a.buffers.Get().(*[]byte)
	return *b, func() { a.buffers.Put(b) }
}

// check refuses what cannot be a key here. An element over 255 bytes is found out now and not after
// the upload, when its parents have been made.
func check(key string) error {
	if err := backends.CheckKey(key); err != nil {
		return err
	}
	for start, i := 0, 0; i <= len(key); i++ {
		if i == len(key) || key[i] == '/' {
			if i-start > unix.NAME_MAX {
				return fault(backends.InvalidName, unix.ENAMETOOLONG)
			}
			start = i + 1
		}
	}
	return nil
}

// split returns the folder that holds key, and key's name in it. The root is "." in itself.
func split(key string) (dir, name string) {
	if key == "" {
		return "", "."
	}
	dir, name = path.Split(key)
	return trimSlash(dir), name
}

func trimSlash(dir string) string {
	if dir == "" {
		return ""
	}
	return dir[:len(dir)-1]
}

// join is path.Join for what is clean already. An empty name leaves the slash.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
