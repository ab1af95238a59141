package backendtest

import (
	"errors"
	"io"

	"github.com/sluice-ftp/sluice/backends"
)

const (
	owner    = "acme"
	stranger = "someone else"
)

// keeping are the options of an upload that is kept when it breaks off.
func keeping() backends.PutOptions { return backends.PutOptions{Resumable: true, Owner: owner} }

// goingOn are those of one that goes on from p, with what begins at offset.
func goingOn(p backends.Pending, offset int64) backends.PutOptions {
	o := keeping()
	o.Continue, o.Offset = p.Version, offset
	return o
}

// breakOff uploads data and breaks off behind n bytes; it returns what is kept.
func (f *fixture) breakOff(key string, data []byte, n int64) backends.Pending {
	f.Helper()
	r := io.MultiReader(plain(data[:n]), failing{errPulled})
	obj, err := f.Adapter.Put(f.ctx, key, r, keeping())
	if !errors.Is(err, errPulled) || obj.Size != n {
		f.Fatalf("put returned %+v and %v, want %d bytes kept", obj, err, n)
	}
	return f.wantPending(key, n)
}

func (f *fixture) wantPending(key string, n int64) backends.Pending {
	f.Helper()
	p, err := f.Adapter.Pending(f.ctx, key, owner)
	if err != nil || p.Size != n || p.Version == "" || p.ModTime.IsZero() {
		f.Fatalf("%+v, %v, want %d bytes pending", p, err, n)
	}
	return p
}

func (f *fixture) wantNotPending(key, owner string) {
	f.Helper()
	_, err := f.Adapter.Pending(f.ctx, key, owner)
	f.wantKind("pending for "+owner, err, backends.NotExist)
}

func testResume(f *fixture) {
	if !f.caps.Resume {
		_, err := f.Adapter.Put(f.ctx, "o", plain(nil), keeping())
		f.wantKind("a resumable upload", err, backends.Unsupported)
		_, err = f.Adapter.Pending(f.ctx, "o", owner)
		f.wantKind("pending", err, backends.Unsupported)
		f.wantKind("discard", f.Adapter.Discard(f.ctx, "o", owner), backends.Unsupported)
		f.wantAbsent("o")
		return
	}
	data := content(5*f.PartSize+5, 1)
	for _, n := range []int64{3 * f.PartSize, 3*f.PartSize + 2, 4*f.PartSize + f.PartSize/2} {
		p := f.breakOff("dir/o", data, n)
		f.wantAbsent("dir/o")
		f.wantNotPending("dir/o", stranger)
		f.wantNotPending("dir/other", owner)
		obj, err := f.Adapter.Put(f.ctx, "dir/o", plain(data[n:]), goingOn(p, n))
		if err != nil || obj.Size != int64(len(data)) {
			f.Fatalf("going on from %d: %+v, %v", n, obj, err)
		}
		f.wantContent("dir/o", data)
		f.wantNotPending("dir/o", owner)
		if err := f.Adapter.Remove(f.ctx, "dir/o"); err != nil {
			f.Fatal(err)
		}
	}
	f.wantNames("dir")
}

func testResumeRefused(f *fixture) {
	f.need(f.caps.Resume, "Resume")
	data := content(4*f.PartSize, 1)
	n := 3*f.PartSize + 100
	p := f.breakOff("o", data, n)

	theirs := goingOn(p, n)
	theirs.Owner = stranger
	_, err := f.Adapter.Put(f.ctx, "o", unreadable{f}, theirs)
	f.wantKind("somebody else's", err, backends.Busy)
	if err := f.Adapter.Discard(f.ctx, "o", stranger); err != nil {
		f.Errorf("nothing to discard: %v", err)
	}
	_, err = f.Adapter.Put(f.ctx, "o", unreadable{f}, goingOn(p, n+1))
	f.wantKind("behind what is kept", err, backends.BadOffset)
	stale := p
	stale.Version = "no version of anything"
	_, err = f.Adapter.Put(f.ctx, "o", unreadable{f}, goingOn(stale, n))
	f.wantKind("another version", err, backends.Busy)

	other := content(4*f.PartSize, 2)
	_, err = f.Adapter.Put(f.ctx, "o", plain(other), goingOn(p, 0))
	f.wantKind("another file", err, backends.Conflict)
	if !errors.Is(err, backends.ErrDiffers) {
		f.Errorf("another file: %v", err)
	}
	p = f.wantPending("o", n)
	_, err = f.Adapter.Put(f.ctx, "o", plain(data[:n-1]), goingOn(p, 0))
	f.wantKind("a shorter file", err, backends.Conflict)
	if !errors.Is(err, backends.ErrDiffers) {
		f.Errorf("a shorter file: %v", err)
	}
	bounded := goingOn(f.wantPending("o", n), n)
	bounded.MaxSize = n - 1
	_, err = f.Adapter.Put(f.ctx, "o", unreadable{f}, bounded)
	f.wantKind("more than there may be", err, backends.TooLarge)
	f.wantAbsent("o")
	bounded = goingOn(f.wantPending("o", n), 0)
	bounded.MaxSize = int64(len(data))
	if _, err := f.Adapter.Put(f.ctx, "o", plain(data), bounded); err != nil {
		f.Errorf("all of it again: %v", err)
	}
	f.wantContent("o", data)
}

func testResumeDropped(f *fixture) {
	f.need(f.caps.Resume, "Resume")
	data := content(4*f.PartSize, 1)
	f.breakOff("discarded", data, 3*f.PartSize)
	if err := f.Adapter.Discard(f.ctx, "discarded", owner); err != nil {
		f.Error(err)
	}
	f.wantNotPending("discarded", owner)
	f.wantAbsent("discarded")

	f.breakOff("afresh", data, 3*f.PartSize)
	if _, err := f.Adapter.Put(f.ctx, "afresh", plain(data[1:]), keeping()); err != nil {
		f.Error(err)
	}
	f.wantContent("afresh", data[1:])
	f.wantNotPending("afresh", owner)
}

func testResumeRace(f *fixture) {
	f.need(f.caps.Resume, "Resume")
	data := content(4*f.PartSize, 1)
	n := 3 * f.PartSize
	p := f.breakOff("o", data, n)
	f.race(backends.Busy, func(int) error {
		_, err := f.Adapter.Put(f.ctx, "o", plain(data[n:]), goingOn(p, n))
		return err
	}, func(int) { f.wantContent("o", data) })
}
