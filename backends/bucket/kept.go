package bucket

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// Kept is what the record of an upload says beyond others if the upload is kept for its owner when it
// breaks off. Whoever writes the record owns the upload: each writing is on the condition that nobody
// has written it since, and has a nonce, so that no two are alike.
type Kept struct {
	Owner string `json:"owner,omitempty"`
	// Token is in the metadata of the object to be.
	Token string `json:"token,omitempty"`
	// Parked: no process writes the upload. Otherwise one does, unless the record is older than lease.
	Parked bool `json:"parked,omitempty"`
	// Parts are those that the upload goes on from: all of them if it is parked, else those that
	// were there when its writer took it over.
	Parts []Piece `json:"parts,omitempty"`
	// Next is the first number that the present writer, or the next one, gives a part.
	Next int32 `json:"next,omitempty"`
	// IfAbsent and IfVersion are the conditions that the upload was begun with, where they are given then.
	IfAbsent  bool   `json:"if_absent,omitempty"`
	IfVersion string `json:"if_version,omitempty"`
	// Tail bytes are behind the record itself, TailCRC is their CRC-32.
	Tail    int64  `json:"tail,omitempty"`
	TailCRC uint32 `json:"tail_crc,omitempty"`
	// Before are uploads that this one takes the place of, and that have to be ended.
	Before []string `json:"before,omitempty"`
	// Lost are the times at which uploads were begun whose names nobody heard.
	Lost []time.Time `json:"lost,omitempty"`
	// Dead: there is nothing to go on from any more.
	Dead  bool   `json:"dead,omitempty"`
	Nonce string `json:"nonce,omitempty"`

	version string // the record's; "" if it is not there, or not ours any more
	// hurry: who waits for the record to be written does so at the end of a session.
	hurry bool
}

const (
	// lease is how long a record that is not parked says that a process is alive, renewal how often
	// that process says so.
	lease   = time.Minute
	renewal = 20 * time.Second
	// maxRecord bounds a record without its tail: 10,000 parts.
	maxRecord = 2 * mib
)

var errRecord = errors.New("the record of an upload makes no sense")

// slot is the name of the record of what owner uploads to key.
func (a *Adapter) slot(key, owner string) string {
	return a.private("uploads/" + backends.Slot(key, owner))
}

// live: some process writes the upload, or did until a moment ago.
func (r *Record) live() bool { return !r.Parked && !r.Dead && r.age < lease }

// durable is how many bytes the parts have.
func (k *Kept) durable() (n int64) {
	for _, p := range k.Parts {
		n += p.Size
	}
	return n
}

// unproven drops the first part behind offset with which nothing can be compared, and what follows it, and
// says whether there was one: the client sends all of that again.
func (k *Kept) unproven(offset int64) bool {
	var begin int64
	for i, p := range k.Parts {
		if begin >= offset && p.CRC == 0 {
			k.Parts = k.Parts[:i]
			return true
		}
		begin += p.Size
	}
	return false
}

// swap writes the record if it is still the one that was read or written last.
func (r *Record) swap(ctx context.Context, a *Adapter, tail *Part) error {
	r.Nonce = rand.Text()
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	body := []*Part{BytesPart(append(content, '\n'))}
	if tail != nil {
		body = append(body, tail)
	}
	o := newPrivate(r.name, r.Nonce)
	o.IfVersion, o.IfAbsent = r.version, r.version == ""
	w := &writing{adapter: a, full: r.name, token: r.Nonce, size: NewBody(0, body...).Len(), Patience: Transferring, ifAbsent: o.IfAbsent, ifVersion: o.IfVersion}
	if r.hurry {
		w.Patience = Asking
	}
	w.do = func(ctx context.Context) (string, error) { return a.store.Write(ctx, o, body...) }
	version, err := w.publish(ctx)
	err = a.Translate("put", r.Key, err) // so that it has its kind
	switch {
	case err == nil:
		r.version = version
	case backends.KindOf(err) == backends.Conflict:
		r.version = ""
	}
	return err
}

// supersede takes the place of what was kept before, or is Busy if a process writes it.
func (r *Record) supersede(ctx context.Context, a *Adapter) error {
	old, err := a.loadRecord(ctx, r.name, nil)
	switch {
	case a.missing(err):
		return Fault(backends.Busy, err)
	case err != nil:
		return err
	case old.live():
		return Fault(backends.Busy, nil)
	}
	r.version, r.Before, r.Lost = old.version, old.Before, old.Lost
	switch {
	case old.Dead:
	case old.UploadID != "":
		r.Before = append(r.Before, old.UploadID)
	default:
		r.Lost = append(r.Lost, old.Begun)
	}
	if old.Strays {
		r.Lost = append(r.Lost, old.Begun)
	}
	if err := r.write(ctx, a, nil); err != nil {
		return busy(err)
	}
	return nil
}

// busy is what the loss of a race for a record is called.
func busy(err error) error {
	if kind := backends.KindOf(err); kind == backends.Conflict || kind == backends.Exist {
		return Fault(backends.Busy, err)
	}
	return err
}

// remove deletes the record, unless it leads to uploads that are to be found later.
func (r *Record) remove(ctx context.Context, a *Adapter) error {
	if r.Strays {
		r.Strays, r.Lost = false, append(r.Lost, r.Begun)
	}
	if len(r.Lost) == 0 {
		return a.deleteVersion(ctx, r.name, r.version)
	}
	r.Dead, r.UploadID, r.Parts = true, "", nil
	return r.write(ctx, a, nil)
}

// endBefore ends the uploads that this one took the place of.
func (r *Record) endBefore(ctx context.Context, a *Adapter) error {
	for _, id := range r.Before {
		if err := a.abort(ctx, r.Key, id); err != nil {
			return err
		}
	}
	r.Before = nil
	return nil
}

// loadRecord reads a record, and its tail into a part that has room for it, unless that is nil.
func (a *Adapter) loadRecord(ctx context.Context, name string, tail *Part) (*Record, error) {
	var r *Record
	err := a.Retry(ctx, Asking, func(ctx context.Context) (err error) {
		found, err := a.store.Get(ctx, name, Span{0, -1}, "")
		if err != nil {
			return err
		}
		defer func() { _ = found.Body.Close() }()
		r = &Record{name: name, Kept: &Kept{version: found.Version}}
		if r.when = found.Written; r.when.IsZero() {
			return Fault(backends.Corrupt, errRecord)
		}
		r.age = found.Asked.Sub(r.when)
		return r.read(found.Body, tail)
	})
	if err != nil {
		return nil, err
	}
	if r.Owner == "" {
		r.Kept = nil
	}
	return r, nil
}

func (r *Record) read(body io.Reader, tail *Part) error {
	in := bufio.NewReaderSize(body, 64<<10)
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		if err == nil || err == io.EOF {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(line) > maxRecord {
			return Fault(backends.Corrupt, errRecord)
		}
	}
	if err := json.Unmarshal(line, r); err != nil {
		return Fault(backends.Corrupt, fmt.Errorf("%w: %w", errRecord, err))
	}
	if tail == nil || r.Tail == 0 {
		return nil
	}
	if r.Tail > tail.bytes() {
		return Fault(backends.Corrupt, errRecord)
	}
	for tail.size, tail.crc = 0, 0; tail.size < r.Tail; {
		n, err := in.Read(tail.At(tail.size, r.Tail))
		tail.wrote(n)
		if err != nil && tail.size < r.Tail {
			return fmt.Errorf("%w: %w", errShort, err)
		}
	}
	if tail.crc != r.TailCRC {
		return Fault(backends.Corrupt, errRecord)
	}
	return nil
}
