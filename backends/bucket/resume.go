package bucket

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// parking is how long what an upload leaves may take to be kept. Nobody waits for it but the end of
// the session, or of the process.
const parking = 20 * time.Second

var errGone = errors.New("what was kept has been continued or dropped meanwhile")

// Pending implements backends.CloudStorageAdapter.
func (a *Adapter) Pending(ctx context.Context, key, owner string) (backends.Pending, error) {
	r, err := a.pending(ctx, key, owner)
	if err != nil {
		return backends.Pending{}, a.Translate("pending", key, err)
	}
	return backends.Pending{Size: r.durable() + r.Tail, ModTime: r.when, Version: r.version}, nil
}

func (a *Adapter) pending(ctx context.Context, key, owner string) (*Record, error) {
	if err := a.begin(ctx, key); err != nil {
		return nil, err
	}
	if !a.Capabilities().Resume {
		return nil, Fault(backends.Unsupported, nil)
	}
	r, err := a.ownRecord(ctx, key, owner, nil)
	switch {
	case err != nil:
		return nil, err
	case r.live():
		return nil, Fault(backends.Busy, nil)
	case r.Parked && !a.store.Traits().Expires: // nobody but us ends it
	default:
		if err := a.recover(ctx, r); a.gone(err) {
			return nil, Fault(backends.NotExist, err) // it was published or ended, and its record stayed
		} else if err != nil {
			return nil, err
		}
	}
	if len(r.Parts) == 0 {
		return nil, Fault(backends.NotExist, nil) // nothing had arrived when it was killed
	}
	info, err := a.head(ctx, a.full(key))
	if a.missing(err) {
		return r, nil
	}
	if err == nil && !info.Written.Before(r.when) {
		err = Fault(backends.NotExist, nil)
	}
	return r, err
}

// recover finds what of an upload has arrived whose process ended without parking it.
func (a *Adapter) recover(ctx context.Context, r *Record) error {
	known, next := slices.Clip(r.Parts), r.Next
	return a.Retry(ctx, Recovering, func(ctx context.Context) error {
		r.Parts, r.Next = known, next
		return a.store.Recover(ctx, r)
	})
}

// ownRecord reads the record of what owner uploads to key.
func (a *Adapter) ownRecord(ctx context.Context, key, owner string, tail *Part) (*Record, error) {
	r, err := a.loadRecord(ctx, a.slot(key, owner), tail)
	if err != nil {
		return nil, err
	}
	if r.Kept == nil || r.Owner != owner || r.Key != a.full(key) || r.Dead || r.UploadID == "" {
		return nil, Fault(backends.NotExist, nil)
	}
	return r, nil
}

// Discard implements backends.CloudStorageAdapter.
func (a *Adapter) Discard(ctx context.Context, key, owner string) error {
	return a.Translate("discard", key, a.discard(ctx, key, owner))
}

func (a *Adapter) discard(ctx context.Context, key, owner string) error {
	if err := a.begin(ctx, key); err != nil {
		return err
	}
	if !a.Capabilities().Resume {
		return Fault(backends.Unsupported, nil)
	}
	r, err := a.ownRecord(ctx, key, owner, nil)
	switch {
	case a.missing(err):
		return nil
	case err != nil:
		return err
	case r.live():
		return Fault(backends.Busy, nil)
	}
	return r.end(ctx, a)
}

// end ends what a record tells of, unless someone goes on with it meanwhile: Busy.
func (r *Record) end(ctx context.Context, a *Adapter) error {
	r.Dead = true
	r.Parts, r.Tail = nil, 0
	if err := r.write(ctx, a, nil); err != nil {
		return busy(err)
	}
	if err := r.endBefore(ctx, a); err != nil {
		return err
	}
	if r.UploadID != "" {
		if err := a.abort(ctx, r.Key, r.UploadID); err != nil {
			return err
		}
	}
	return r.remove(ctx, a)
}

// resume takes over what was kept. It returns the upload, and in a part what the store has no part
// of; the client goes on behind both.
func (u *upload) resume() (m *multipart, behind *Part, err error) {
	a, o := u.adapter, &u.options
	room, err := a.Memory.Reserve(u.ctx, a.store.Traits().PartSize)
	if err != nil {
		return nil, nil, backends.Alive(u.ctx)
	}
	tail := &Part{lease: room, table: a.table()}
	defer func() {
		if m == nil {
			tail.release()
		}
	}()
	r, err := a.ownRecord(u.ctx, u.key, o.Owner, tail)
	switch {
	case a.missing(err):
		return nil, nil, Fault(backends.Busy, errGone)
	case err != nil:
		return nil, nil, err
	case r.version != o.Continue: // as it is while another process renews its lease
		return nil, nil, Fault(backends.Busy, errGone)
	case a.store.Traits().BeginConditional && (r.IfAbsent != o.IfAbsent || r.IfVersion != o.IfVersion):
		// It would be published under other conditions than are wanted now: it cannot be gone on with.
		return nil, nil, firstOf(r.end(background(u.ctx), a), Fault(backends.Busy, errGone))
	}
	if !r.Parked {
		tail.size, tail.crc = 0, 0
		if err := a.recover(u.ctx, r); err != nil {
			return nil, nil, err
		}
	}
	if r.unproven(o.Offset) {
		tail.size, tail.crc = 0, 0
	}
	have := r.durable() + tail.size
	switch {
	case o.Offset > have:
		return nil, nil, Fault(backends.BadOffset, nil)
	case o.MaxSize > 0 && have > o.MaxSize:
		return nil, nil, Fault(backends.TooLarge, nil)
	}
	r.Parked, r.Tail, r.TailCRC = false, 0, 0
	if err := r.write(u.ctx, a, nil); err != nil {
		return nil, nil, busy(err)
	}
	u.token, u.size = r.Token, have
	m = newMultipart(u) // which is told the token
	m.hasBegun, m.record = true, r
	m.parts, m.begins, m.started = append(m.parts, r.Parts...), r.Next, r.Next-1
	for _, p := range r.Parts {
		m.offset += p.Size
	}
	m.keepLease()
	close(m.ready)
	return m, tail, m.compare(tail)
}

// compare reads what the client sends again, from the offset on, and holds it against what is kept:
// whole parts by their checksum, the tail by its bytes.
func (m *multipart) compare(tail *Part) error {
	table := m.adapter.table()
	page := m.adapter.buffers.Get().(*pages.Page)
	defer m.adapter.buffers.Put(page)
	begin, offset := int64(0), m.options.Offset
	for _, p := range m.sorted() {
		end := begin + p.Size
		whole := offset <= begin
		var crc uint32
		for offset < end {
			b := page[:min(end-offset, pages.Size)]
			if err := m.again(b); err != nil {
				return err
			}
			crc = crc32.Update(crc, table, b)
			offset += int64(len(b))
		}
		if whole && crc != p.CRC {
			return Fault(backends.Conflict, backends.ErrDiffers)
		}
		begin = end
	}
	for offset < begin+tail.size {
		kept := tail.At(offset-begin, tail.size)
		b := page[:len(kept)]
		if err := m.again(b); err != nil {
			return err
		}
		if string(b) != string(kept) {
			return Fault(backends.Conflict, backends.ErrDiffers)
		}
		offset += int64(len(b))
	}
	return nil
}

// again fills b with what the client sends again.
func (m *multipart) again(b []byte) error {
	if err := m.alive(); err != nil {
		return err
	}
	_, err := io.ReadFull(m.r, b)
	switch {
	case err == io.EOF, err == io.ErrUnexpectedEOF: // the reader's end, and not what wraps one
		return Fault(backends.Conflict, backends.ErrDiffers)
	case err != nil:
		return backends.ReadError(m.upload.ctx, err)
	}
	return nil
}

// keeps: what has arrived is kept after err. Of parts in a row none can be sent anew, so what is corrupt
// stays so.
func (m *multipart) keeps(err error) bool {
	if m.traits.Serial && m.adapter.kind(err) == backends.Corrupt {
		return false
	}
	return m.options.Resumable && m.begun == nil && !m.lease.lost() && m.adapter.worthKeeping(err)
}

// worthKeeping: a client that tries again after err has a chance.
func (a *Adapter) worthKeeping(err error) bool {
	if errors.Is(err, backends.ErrDiffers) {
		return true
	}
	switch a.kind(err) {
	case backends.Internal, backends.Unavailable, backends.Corrupt:
		return true
	}
	return false
}

// park keeps what has arrived for the owner and returns how much that is, with the reason why the
// upload broke off. unsent, if there is any, follows what was sent.
func (m *multipart) park(unsent *Part, cause error) (int64, error) {
	a, r := m.adapter, m.record
	ctx, cancel := context.WithTimeout(background(m.upload.ctx), parking)
	defer cancel()
	var gap bool
	r.Parts, gap = m.withoutGap()
	var tail *Part
	if unsent != nil && unsent.size > 0 && !gap {
		whole := m.traits.Amid(unsent.size)
		tail = unsent.slice(whole, unsent.size)
		if whole > 0 {
			p, err := m.sendPart(ctx, m.sending(unsent.slice(0, whole)))
			if err == nil {
				r.Parts = append(r.Parts, p)
			} else {
				tail = nil
			}
		}
		if tail != nil {
			r.Tail, r.TailCRC = tail.size, tail.crc
		}
	}
	kept := r.durable() + r.Tail
	if len(r.Parts) == 0 || kept < a.KeepAtLeast {
		a.endUpload(m.upload.ctx, r, false)
		return 0, cause
	}
	r.Parked, r.Next = true, m.started+1
	switch err := r.write(ctx, a, tail); {
	case backends.KindOf(err) == backends.Conflict:
		return 0, Fault(backends.Fenced, cause)
	case err != nil:
		// What the store has can be continued all the same, when the lease is over.
		a.Log.Warn("an upload that broke off was not parked", "key", m.key, "err", err)
		return 0, cause
	}
	return kept, cause
}

// withoutGap returns the parts up to the first that is missing.
func (m *multipart) withoutGap() (parts []Piece, gap bool) {
	if m.traits.Serial {
		var arrived int64
		for _, p := range m.parts {
			arrived += p.Size
		}
		return m.parts, arrived != m.offset
	}
	next := m.begins
	for _, p := range m.sorted() {
		if p.Number >= m.begins {
			if p.Number != next {
				return parts, true
			}
			next++
		}
		parts = append(parts, p)
	}
	return parts, next != m.started+1
}
