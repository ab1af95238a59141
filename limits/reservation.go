package limits

import "math"

// Reservation is the room that a running upload has taken. Uploads that run at the same time see
// each other's, so that together they never go over a quota.
type Reservation struct {
	usage *Usage
	touch *Touch
	most  Max
	// replaces is the size of the object that will be replaced, below 0 for none.
	replaces int64
	reserved amount
	ended    bool
}

// Begin begins the upload of the file that t touches, which will replace an object of so many bytes, or
// with -1 none. A new file
// is reserved at once; it fails with ErrQuotaFiles if that is one too many. Bytes are asked for with
// Grow. Those of the object that is replaced count until Commit, because it is there until then: a
// full quota has no room to replace anything.
//
// most is the quota, as it is now, for the whole upload. The caller ends it with Commit or Cancel, which
// end t, too; if it fails, t goes on.
func (t *Touch) Begin(most Max, replaces int64) (*Reservation, error) {
	u := t.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	r := &Reservation{usage: u, touch: t, most: most, replaces: replaces}
	if r.replaces < 0 {
		if most.Files > 0 && u.used.plus(u.reserved).files >= most.Files {
			return nil, ErrQuotaFiles
		}
		r.reserved.files = 1
		u.reserved.files++
	}
	return r, nil
}

// Grow reserves n more bytes, before they are accepted. It fails with ErrQuota, and reserves
// nothing, if what is stored and all that is reserved would be more than the quota.
func (r *Reservation) Grow(n int64) error {
	u := r.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if r.ended {
		return ErrEnded
	}
	if n <= 0 {
		return nil
	}
	most := int64(math.MaxInt64)
	if r.most.Bytes > 0 {
		most = r.most.Bytes
	}
	if n > most-u.used.plus(u.reserved).bytes {
		return ErrQuota
	}
	u.reserved.bytes += n
	r.reserved.bytes += n
	return nil
}

// Commit ends the upload: the object is there, with size bytes. Usage grows by those, whatever was
// reserved, less what was replaced; the number of files grows by one if nothing was. Where something
// else changed the file meanwhile, nobody knows what was replaced, and nothing is taken off. After Commit
// or Cancel it does nothing.
func (r *Reservation) Commit(size int64) {
	r.end(func(u *Usage) {
		stored, replaced := amount{max(size, 0), 1}, amount{}
		if r.replaces >= 0 && !r.touch.crowded {
			replaced = amount{r.replaces, 1}
		}
		if r.touch.crowded {
			u.doubt()
		}
		u.store(stored, replaced)
	})
}

// Cancel ends the upload: nothing was stored. After Commit or Cancel it does nothing.
func (r *Reservation) Cancel() { r.end(func(*Usage) {}) }

func (r *Reservation) end(note func(*Usage)) {
	u := r.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if r.ended {
		return
	}
	r.ended = true
	u.reserved.bytes -= r.reserved.bytes
	u.reserved.files -= r.reserved.files
	note(u)
	r.touch.end()
}
