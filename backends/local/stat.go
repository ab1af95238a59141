package local

import (
	"context"
	"math"
	"math/bits"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-ftp/sluice/backends"
)

// Stat implements backends.CloudStorageAdapter.
func (a *Adapter) Stat(ctx context.Context, key string) (backends.Object, error) {
	st, err := a.stat(ctx, key)
	if err != nil {
		return backends.Object{}, translate("stat", key, err)
	}
	return object(key, &st), nil
}

func (a *Adapter) stat(ctx context.Context, key string) (unix.Stat_t, error) {
	if err := begin(ctx, key); err != nil {
		return unix.Stat_t{}, err
	}
	f, name, err := a.parent(key)
	if err != nil {
		return unix.Stat_t{}, err
	}
	defer f.Close()
	return a.look(f, name)
}

// SetModTime implements backends.CloudStorageAdapter.
func (a *Adapter) SetModTime(ctx context.Context, key string, t time.Time) error {
	return translate("setmodtime", key, a.setModTime(ctx, key, t))
}

func (a *Adapter) setModTime(ctx context.Context, key string, t time.Time) error {
	if err := begin(ctx, key); err != nil {
		return err
	}
	f, st, err := a.openObject(key)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := setTimes(f, t); err != nil {
		_ = futimes(f, st.Mtim) // It may have become another time.
		return err
	}
	return a.sync(f)
}

// setTimes refuses a time that the file system turns into another, such as the last that it has room
// for. A second more or less is FAT's, which has even ones only. It goes by the descriptor: no link
// can be swapped in.
func setTimes(f *os.File, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return fault(backends.InvalidName, errTime)
	}
	if err := eintr(func() error { return futimes(f, ts) }); err != nil {
		return err
	}
	st, err := fstat(f)
	if err != nil {
		return err
	}
	sec, _ := st.Mtim.Unix()
	if d := sec - t.Unix(); d < -1 || d > 1 {
		return fault(backends.InvalidName, errTime)
	}
	return nil
}

// Available implements backends.CloudStorageAdapter: what an ordinary user may still write.
func (a *Adapter) Available(ctx context.Context, dir string) (int64, error) {
	n, err := a.available(ctx, dir)
	return n, translate("available", dir, err)
}

func (a *Adapter) available(ctx context.Context, dir string) (int64, error) {
	if err := begin(ctx, dir); err != nil {
		return 0, err
	}
	f, err := a.openFolder(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := eintr(func() error { return unix.Fstatfs(f.fd(), &st) }); err != nil {
		return 0, err
	}
	return freeBytes(&st), nil
}

// product is that of two sizes, or the largest there is: some network file systems say of their room
// that it is without end.
func product(a, b uint64) int64 {
	hi, lo := bits.Mul64(a, b)
	if hi > 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// begin is how every method begins.
func begin(ctx context.Context, key string) error {
	if err := check(key); err != nil {
		return err
	}
	return backends.Alive(ctx)
}

func object(key string, st *unix.Stat_t) backends.Object {
	o := backends.Object{Key: key, ModTime: time.Unix(st.Mtim.Unix()).UTC()}
	if isDir(st) {
		o.Dir = true
		return o
	}
	o.Size, o.Version = st.Size, version(st)
	return o
}

// version changes whenever the content may have: another file, another size, another time. It also
// changes when a file is only renamed or touched. An inode's number is used again, so that an
// object overwritten twice within one tick of the clock (4 ms or less) could look as it did before.
func version(st *unix.Stat_t) string {
	var room [112]byte
	b := strconv.AppendUint(room[:0], uint64(st.Dev), 36)
	for _, n := range [...]uint64{
		st.Ino, uint64(st.Size),
		uint64(st.Mtim.Sec), uint64(st.Mtim.Nsec), uint64(st.Ctim.Sec), uint64(st.Ctim.Nsec),
	} {
		b = append(b, '-')
		b = strconv.AppendUint(b, n, 36)
	}
	return string(b)
}
