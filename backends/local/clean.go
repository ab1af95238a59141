package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Sweep removes what killed processes left behind and what was kept for too long, and returns how many
// files that were. Whatever a process holds is left alone; any number may do it at once.
func (a *Adapter) Sweep(ctx context.Context) (int, error) {
	n, err := a.clean()
	m, keptErr := a.sweepKept(ctx)
	return n + m, translate("sweep", "", errors.Join(err, keptErr))
}

func (a *Adapter) sweepAndTell(ctx context.Context, log *slog.Logger) {
	n, err := a.Sweep(ctx)
	if log == nil || ctx.Err() != nil {
		return
	}
	if n > 0 {
		log.Info("removed what was left behind or kept for too long", "files", n)
	}
	if err != nil {
		log.Warn("what was left behind was not removed", "err", err)
	}
}

// clean removes the temporary files that nobody holds: their process was killed. The system drops a
// process's locks when it ends, so there is no age to guess.
func (a *Adapter) clean() (int, error) {
	n := 0
	err := a.eachName(tmpFolder, func(name string) error {
		if a.cleanOne(name) {
			n++
		}
		return nil
	})
	return n, err
}

// eachName calls do for all that is in one of the private folders.
func (a *Adapter) eachName(folder string, do func(name string) error) error {
	f, err := a.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1024)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (a *Adapter) cleanOne(name string) bool {
	// For writing: NFS gives an exclusive lock only to who could write.
	fd, err := openAt(a.tmp, name, unix.O_RDWR, 0)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	st, err := fstat(f)
	if err != nil || kindOf(&st) != unix.S_IFREG || flock(f) != nil {
		return false
	}
	return unix.Unlinkat(a.tmp.fd(), name, 0) == nil
}

// sweepKept removes what has been kept for too long by the file system's clock, contents that no
// record names, and records without a content.
func (a *Adapter) sweepKept(ctx context.Context) (n int, err error) {
	now, err := a.now()
	if err != nil {
		return 0, err
	}
	var kept backends.Kept
	err = a.eachName(keptFolder, func(name string) error {
		owner, _, ok := strings.Cut(name, ".")
		if !ok {
			return ctx.Err() // the lock
		}
		return a.exclusively(ctx, func() error {
			gone, err := a.sweepName(name, owner, now)
			if gone {
				n++
			} else if st, err := statAt(a.kept.fd(), name); err == nil && name == owner+recordName {
				kept.Add(time.Unix(st.Mtim.Unix()))
			}
			return err
		})
	})
	if err == nil && a.tellKept != nil {
		a.tellKept(kept)
	}
	return n, err
}

// sweepName removes one file of a slot, or both, unless they are to stay. The caller holds kept/lock.
func (a *Adapter) sweepName(name, slot string, now time.Time) (gone bool, err error) {
	if name != slot+recordName {
		return a.sweepContent(name, slot)
	}
	st, err := statAt(a.kept.fd(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	k, err := a.find(slot)
	switch {
	case backends.KindOf(err) == backends.Busy:
		return false, nil
	case err != nil:
		return false, err
	case k == nil:
		return true, a.unlinkKept(name)
	}
	defer k.release()
	if now.Sub(time.Unix(st.Mtim.Unix())) <= a.keepFor {
		return false, nil
	}
	return true, a.drop(k)
}

func (a *Adapter) sweepContent(name, slot string) (gone bool, err error) {
	r, err := a.load(slot)
	if err != nil || r != nil && r.Data == name {
		return false, err
	}
	t, err := a.hold(name)
	if backends.KindOf(err) == backends.Busy {
		return false, nil
	}
	if t == nil || err != nil {
		return false, err
	}
	defer t.discard()
	return true, nil
}

// now is the time by the clock of the file system, which the times of its files are from.
func (a *Adapter) now() (time.Time, error) {
	t, err := a.create()
	if err != nil {
		return time.Time{}, err
	}
	defer t.discard()
	st, err := fstat(t.File)
	return time.Unix(st.Mtim.Unix()), err
}
