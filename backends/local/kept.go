package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// An upload that is kept when it breaks off is two files in .sluice/kept: its content, locked while a
// process writes it, and a record that names the content. The record is replaced in one step, so what it
// says is the state. Whoever changes one, or asks whether a content is locked, holds kept/lock, the
// lock of all processes on the folder, for those few calls of the system.
type record struct {
	Key   string `json:"key"`
	Owner string `json:"owner"`
	// Data is the name of the content.
	Data string `json:"data"`
	// Durable bytes of it are on the disk whatever happens. On the machine that wrote it, as long as it
	// has not been started again, all that is in it counts.
	Durable int64  `json:"durable"`
	Boot    string `json:"boot,omitempty"`
	// Present is the version of the object at Key when the record was written; "" is none.
	Present string `json:"present,omitempty"`
	// Nonce is what nobody has who does not know this record.
	Nonce string `json:"nonce"`
}

const (
	keptFolder = backends.Private + "/kept"
	lockName   = "lock"
	recordName = ".json"
	// maxRecord is more than the largest: two names of 1 KiB, each byte of which is escaped.
	maxRecord = 16 << 10
	// patience is how long a process may hold kept/lock; what is done meanwhile takes milliseconds.
	patience = 10 * time.Second
)

var (
	errNoKept = errors.New("the folder " + keptFolder + " is gone: restart to have it made again")
	errLocked = errors.New("another process holds " + keptFolder + "/" + lockName + " for too long: end it")
	errGone   = errors.New("what was kept has been continued or dropped meanwhile")
)

// Pending implements backends.CloudStorageAdapter.
func (a *Adapter) Pending(ctx context.Context, key, owner string) (backends.Pending, error) {
	p, err := a.pending(ctx, key, owner)
	return p, translate("pending", key, err)
}

func (a *Adapter) pending(ctx context.Context, key, owner string) (p backends.Pending, err error) {
	err = a.withKept(ctx, key, owner, func(k *kept) error {
		if present := a.present(key); k == nil || k.size == 0 || present != "" && present != k.Present {
			return fault(backends.NotExist, nil)
		}
		st, err := fstat(k.content.File)
		p = backends.Pending{Size: k.size, ModTime: time.Unix(st.Mtim.Unix()).UTC(), Version: k.Nonce}
		return err
	})
	return p, err
}

// Discard implements backends.CloudStorageAdapter.
func (a *Adapter) Discard(ctx context.Context, key, owner string) error {
	return translate("discard", key, a.discardKept(ctx, key, owner))
}

func (a *Adapter) discardKept(ctx context.Context, key, owner string) error {
	return a.withKept(ctx, key, owner, func(k *kept) error {
		if k == nil {
			return nil
		}
		if err := a.drop(k); err != nil {
			return err
		}
		return a.syncFolder(a.kept)
	})
}

// kept is a record with its content, which nobody else writes.
type kept struct {
	*record
	slot    string
	content *temporary
	// size is how many bytes of the content count.
	size int64
}

func (k *kept) release() {
	if k.content != nil {
		_ = k.content.Close()
	}
}

// withKept calls do with what is kept of owner's upload to key, or nil, while that is locked. Where
// there never was anything it costs one call of the system.
func (a *Adapter) withKept(ctx context.Context, key, owner string, do func(*kept) error) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	if !a.resumes {
		return fault(backends.Unsupported, nil)
	}
	name := backends.Slot(key, owner)
	if r, err := a.load(name); err != nil {
		return err
	} else if r == nil {
		return do(nil)
	}
	return a.exclusively(ctx, func() error {
		k, err := a.find(name)
		if err != nil {
			return err
		}
		if k == nil {
			return do(nil)
		}
		defer k.release()
		return do(k)
	})
}

// find opens what is kept in a slot; nil is nothing, and Busy that a process writes it. The caller
// holds kept/lock.
func (a *Adapter) find(name string) (*kept, error) {
	r, err := a.load(name)
	if r == nil || err != nil {
		return nil, err
	}
	content, err := a.hold(r.Data)
	if content == nil || err != nil {
		return nil, err
	}
	st, err := fstat(content.File)
	if err != nil {
		_ = content.Close()
		return nil, err
	}
	size := min(st.Size, r.Durable)
	if r.Boot != "" && r.Boot == a.boot {
		size = st.Size
	}
	return &kept{record: r, slot: name, content: content, size: size}, nil
}

// load reads the record of a slot; nil is none, or one that a power cut has left without its content.
func (a *Adapter) load(name string) (*record, error) {
	fd, err := openAt(a.kept, name+recordName, unix.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is no error here
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return nil, err
	}
	r := &record{}
	if json.Unmarshal(text, r) != nil || !strings.HasPrefix(r.Data, name+".") || strings.Contains(r.Data, "/") {
		return nil, nil //nolint:nilnil // as above
	}
	return r, nil
}

// hold opens and locks a content; nil is none, and Busy that a process has it.
func (a *Adapter) hold(data string) (*temporary, error) {
	fd, err := openAt(a.kept, data, unix.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is no error here
	}
	if err != nil {
		return nil, err
	}
	t := &temporary{File: os.NewFile(uintptr(fd), data), name: data, home: a.kept}
	if err := flock(t.File); err != nil {
		_ = t.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fault(backends.Busy, nil)
		}
		return nil, err
	}
	return t, nil
}

// save replaces the record of a slot. A durable one outlives a power cut, and replaces one that does.
func (a *Adapter) save(name string, r *record, durable bool) error {
	r.Nonce = rand.Text()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	t, err := a.create()
	if err != nil {
		return err
	}
	defer t.discard()
	if _, err := t.Write(text); err != nil {
		return err
	}
	if durable {
		if err := a.secure(t.File); err != nil {
			return err
		}
	}
	if err := rename(t.home, t.name, a.kept, name+recordName); err != nil {
		return whenGone(err)
	}
	t.gone = true
	if durable {
		return syncNames(a.kept, a.secure)
	}
	return nil
}

// drop removes what is kept. The record goes first: a content without one is nothing to go on from.
func (a *Adapter) drop(k *kept) error {
	if err := a.unlinkKept(k.slot + recordName); err != nil {
		return err
	}
	return a.unlinkKept(k.Data)
}

func (a *Adapter) unlinkKept(name string) error {
	err := eintr(func() error { return unix.Unlinkat(a.kept.fd(), name, 0) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// present is the version of the object at key, or "" if there is none.
func (a *Adapter) present(key string) string {
	f, name, err := a.parent(key)
	if err != nil {
		return ""
	}
	defer f.Close()
	st, err := a.look(f, name)
	if err != nil {
		return ""
	}
	return version(&st)
}

// exclusively calls do while no other goroutine and no other process that works on the folder does.
func (a *Adapter) exclusively(waiting context.Context, do func() error) error {
	a.keptMu.Lock()
	defer a.keptMu.Unlock()
	ctx, cancel := context.WithTimeout(waiting, patience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := flock(a.keptLock)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			if err := backends.Alive(waiting); err != nil {
				return err
			}
			return fault(backends.Unavailable, errLocked)
		}
	}
	defer func() { _ = unix.Flock(int(a.keptLock.Fd()), unix.LOCK_UN) }()
	return do()
}

// whenGone says what is wrong if kept itself is missing.
func whenGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault(backends.Misconfigured, errNoKept)
	}
	return err
}
