package bucket

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// firstInFlight is how many parts of one upload are on their way at once as long as the store keeps up.
const firstInFlight = 2

// lastAnswers is how long what is on its way may take when nobody wants it any more.
const lastAnswers = 10 * time.Second

// PartAfter is the size of the part that follows so many bytes.
func (a *Adapter) PartAfter(sent int64) int64 {
	t := a.store.Traits()
	if t.Uniform {
		return t.PartSize
	}
	size := (sent/t.Growth + mib - 1) / mib * mib
	return max(t.PartSize, min(size, t.MaxPart, a.Memory.Parts()/4/pages.Size*pages.Size))
}

// Amid is how much of so many bytes can be a part that has others behind it.
func (t Traits) Amid(size int64) int64 {
	if size < t.Smallest || t.Uniform && size != t.PartSize {
		return 0
	}
	return size - size%max(t.Granule, 1)
}

// multipart is an upload in parts. Only the goroutine that reads the content touches it; the ones
// that send give back what they did over results.
type multipart struct {
	*upload
	// ctx is the parts'. When the upload is given up, the ones on their way may arrive first: stores
	// lose track of parts that come while an upload is aborted, and keep them.
	ctx    context.Context //nolint:containedctx // ends before the upload does
	cancel context.CancelFunc

	// ready is closed when the upload in the store has begun, or failed to: then record and begun
	// are there.
	ready    chan struct{}
	record   *Record
	begun    error
	hasBegun bool
	results  chan sent

	traits   Traits
	target   *NewObject
	lease    *leaseKeeper // nil unless the upload is kept when it breaks off
	parts    []Piece      // that the store has; copied ones without a CRC
	begins   int32        // the number of the first part that this process sends
	started  int32
	offset   int64 // behind what was given to be sent
	inFlight int
	limit    int
	grown    int64 // what a part may have, where that depends on who is the slow one
	broken   error // what the first part that failed said

	// before is closed when the part sent last has arrived, or will not: behind is nil then or why.
	// last is the last part, if that is sent together with the end.
	before chan struct{}
	behind *error
	last   *Part
}

// sent is what became of a part.
type sent struct {
	parts []Piece
	err   error
}

func newMultipart(u *upload) *multipart {
	traits := u.adapter.store.Traits()
	m := &multipart{
		upload: u, ready: make(chan struct{}), results: make(chan sent, traits.InFlight),
		limit: firstInFlight, begins: int32(len(u.copied)) + 1, started: int32(len(u.copied)),
		traits: traits, target: u.newObject(), grown: traits.PartSize,
	}
	if n := len(u.copied); n > 0 {
		m.offset = u.copied[n-1].End
	}
	m.ctx, m.cancel = outliving(u.ctx, lastAnswers)
	return m
}

// begin begins the upload in the store, in the background.
func (m *multipart) begin() {
	if !m.hasBegun {
		m.beginIn(m.upload.ctx)
	}
}

func (m *multipart) beginIn(ctx context.Context) {
	m.hasBegun = true
	go func() {
		defer close(m.ready)
		m.record, m.begun = m.adapter.startUpload(ctx, m)
		if m.begun == nil && m.record.Kept != nil {
			m.keepLease()
		}
	}()
	if len(m.copied) > 0 {
		m.inFlight++ // for all of them
		go func() {
			<-m.ready
			s := sent{err: m.begun}
			if s.err == nil {
				c := &Copying{From: m.present, To: m.name}
				s.parts, s.err = m.adapter.copyPieces(m.ctx, c, m.record, m.copied)
			}
			m.results <- s
		}()
	}
}

// run sends first and all that follows, unless it has ended, and publishes it, unless err. What cannot
// be published is kept if it is to be, and the object then has the size of that.
func (m *multipart) run(first *Part, ended bool, err error) (backends.Object, error) {
	m.begin()
	if err == nil {
		err = m.admit()
	}
	unsent := first
	if err == nil {
		unsent = nil
		m.pass(first, ended)
		if !ended {
			unsent, err = m.rest()
		}
	}
	for _, p := range []*Part{unsent, m.last} {
		if p != nil {
			defer p.release()
		}
	}
	if err != nil {
		defer time.AfterFunc(lastAnswers, m.cancel).Stop()
	}
	<-m.ready
	for m.inFlight > 0 {
		m.collect(<-m.results)
	}
	if err == nil {
		err = m.broken
	}
	var obj backends.Object
	if err == nil {
		obj, err = m.complete()
	}
	if unsent == nil {
		unsent = m.last
	}
	m.lease.stop()
	switch {
	case err != nil && m.keeps(err):
		obj.Size, err = m.park(unsent, err)
	case m.lease.lost():
		err = Fault(backends.Fenced, err)
	default:
		m.adapter.endUpload(m.upload.ctx, m.record, err == nil)
	}
	return obj, err
}

// rest reads the parts that follow the first and has them sent. After an error it returns what was
// read and not sent.
func (m *multipart) rest() (unsent *Part, err error) {
	for ended := false; !ended; {
		size := m.nextSize()
		p, err := m.next(size)
		if err != nil {
			return nil, err
		}
		ended, err = m.fill(p, min(size, p.bytes()))
		if err != nil {
			return p, err
		}
		m.pass(p, ended)
	}
	return nil, nil //nolint:nilnil // everything was sent
}

// nextSize is that of the next part. Where parts are in a row large ones are for who is faster than the
// store: a slow one would only fill them for long.
func (m *multipart) nextSize() int64 {
	size := m.adapter.PartAfter(m.size)
	if m.traits.Serial {
		m.grown = min(m.grown, m.traits.MaxPart)
		size = min(size, m.grown)
	}
	return size
}

// tryReserve returns memory for a part of that size, or nil. Where parts are large only because it is
// faster, a small one will do.
func (m *multipart) tryReserve(size int64) *pages.Lease {
	lease := m.adapter.Memory.TryReserve(size)
	if lease == nil && m.traits.Serial {
		lease = m.adapter.Memory.TryReserve(m.traits.PartSize)
	}
	return lease
}

// reserve waits for it.
func (m *multipart) reserve(size int64) (*pages.Lease, error) {
	if lease := m.tryReserve(size); lease != nil {
		return lease, nil
	}
	if m.traits.Serial {
		size = m.traits.PartSize
	}
	return m.adapter.Memory.Reserve(m.upload.ctx, size)
}

// pass has a part sent, or keeps the last one for the end.
func (m *multipart) pass(p *Part, ended bool) {
	switch {
	case ended && m.traits.Serial:
		m.last = p
	case p.size == 0:
		p.release()
	default:
		m.send(p)
	}
}

// next waits until there is memory for another part. Who has parts on their way never waits for
// memory, but for one of these: others may be waiting for just that.
func (m *multipart) next(size int64) (*Part, error) {
	table := m.adapter.table()
	for {
		for m.inFlight > 0 && len(m.results) > 0 {
			m.collect(<-m.results)
		}
		if m.broken != nil {
			return nil, m.broken
		}
		if m.inFlight == 0 {
			lease, err := m.reserve(size)
			if err != nil {
				return nil, cancelled(m.upload.ctx, err)
			}
			return &Part{lease: lease, table: table}, nil
		}
		if m.inFlight < m.limit {
			if lease := m.tryReserve(size); lease != nil {
				return &Part{lease: lease, table: table}, nil
			}
		} else {
			// The store is what the upload waits for.
			m.limit = min(m.limit+1, m.traits.InFlight)
			m.grown *= 2
		}
		m.collect(<-m.results)
	}
}

// send has a part sent in the background; its memory is free as soon as the store has it.
func (m *multipart) send(p *Part) {
	s := m.sending(p)
	m.inFlight++
	before, behind := m.before, m.behind
	arrived, failed := make(chan struct{}), new(error)
	if m.traits.Serial {
		m.before, m.behind = arrived, failed
	}
	go func() {
		defer close(arrived)
		var piece Piece
		err := waitFor(before, behind)
		if err == nil {
			piece, err = m.sendPart(m.ctx, s)
		}
		if err == nil && m.traits.Serial {
			m.lease.arrived(piece)
		}
		*failed = err
		p.release() // before anyone who hears of it asks for more
		m.results <- sent{parts: []Piece{piece}, err: err}
	}()
}

// waitFor returns what came of what has to be there before.
func waitFor(before chan struct{}, behind *error) error {
	if before == nil {
		return nil
	}
	<-before
	return *behind
}

// sending gives the next part its number.
func (m *multipart) sending(p *Part) *Sending {
	m.started++
	s := &Sending{Upload: m.target, Number: m.started, Offset: m.offset, Part: p}
	m.offset += p.size
	return s
}

func (m *multipart) sendPart(ctx context.Context, s *Sending) (piece Piece, err error) {
	if most := m.traits.MaxParts; most > 0 && s.Number > most {
		return piece, Fault(backends.TooLarge, ErrParts)
	}
	select {
	case <-m.ready:
	case <-ctx.Done():
		return piece, backends.Alive(ctx)
	}
	if m.begun != nil {
		return piece, m.begun
	}
	if m.fenced.Load() { // since the part was begun to be filled
		return piece, Fault(backends.Fenced, nil)
	}
	s.ID = m.record.UploadID
	err = m.adapter.Retry(ctx, Uploading(s.Part.size), func(ctx context.Context) error {
		piece, err = m.adapter.store.Send(ctx, s)
		s.Again = true
		return err
	})
	return piece, err
}

// copyPieces makes pieces of an object the first parts of an upload, several at once.
func (a *Adapter) copyPieces(ctx context.Context, c *Copying, r *Record, pieces []Span) ([]Piece, error) {
	if len(pieces) > int(a.store.Traits().MaxParts) {
		return nil, Fault(backends.TooLarge, ErrParts)
	}
	parts := make([]Piece, len(pieces))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(copiers)
	for i, piece := range pieces {
		g.Go(func() error {
			return a.Retry(ctx, Duplicating, func(ctx context.Context) (err error) {
				parts[i], err = a.store.CopyPiece(ctx, c, r.UploadID, int32(i)+1, piece)
				return err
			})
		})
	}
	return parts, g.Wait()
}

// collect takes note of what became of a part.
func (m *multipart) collect(s sent) {
	m.inFlight--
	if s.err != nil {
		if m.broken == nil {
			m.broken = s.err
		}
		return
	}
	m.parts = append(m.parts, s.parts...)
	if m.traits.Serial {
		m.parts = m.adapter.merged(m.parts)
	}
	if err := m.record.renew(m.upload.ctx, m.adapter); err != nil {
		m.adapter.Log.Warn("the record of an upload was not renewed", "key", m.key, "err", err)
	}
}

// sorted puts the parts into the order of the object.
func (m *multipart) sorted() []Piece {
	slices.SortFunc(m.parts, func(a, b Piece) int { return cmp.Compare(a.Number, b.Number) })
	return m.parts
}

// complete publishes the object.
func (m *multipart) complete() (backends.Object, error) {
	if err := backends.Alive(m.upload.ctx); err != nil {
		return backends.Object{}, err
	}
	a := m.adapter
	if err := m.lease.confirm(m.upload.ctx); err != nil {
		return backends.Object{}, err
	}
	c := &Completion{
		Upload: m.target, ID: m.record.UploadID, Pieces: m.sorted(), Size: m.size, Checked: len(m.copied) == 0, Last: m.last,
	}
	for _, p := range c.Pieces {
		c.CRC = AppendCRC(m.traits.Polynomial, c.CRC, p.CRC, p.Size)
	}
	patience := Finishing
	if m.last != nil {
		c.CRC = AppendCRC(m.traits.Polynomial, c.CRC, m.last.crc, m.last.size)
		patience.Attempt += Uploading(m.last.size).Attempt
	}
	version, err := m.publish(patience, func(ctx context.Context) (string, error) {
		version, err := a.store.Complete(ctx, c)
		c.Again = true
		return version, err
	})
	if err != nil {
		return backends.Object{}, err
	}
	return m.object(version), nil
}

// maxPieces is how many pieces are told apart of an upload whose parts are in a row anyway.
const maxPieces = 1024

// merged makes two neighbours one if there are too many.
func (a *Adapter) merged(pieces []Piece) []Piece {
	if len(pieces) < maxPieces {
		return pieces
	}
	polynomial := a.store.Traits().Polynomial
	fewer := pieces[:0]
	for len(pieces) > 1 {
		first, second := pieces[0], pieces[1]
		first.CRC = AppendCRC(polynomial, first.CRC, second.CRC, second.Size)
		first.Size += second.Size
		fewer, pieces = append(fewer, first), pieces[2:]
	}
	return append(fewer, pieces...)
}
