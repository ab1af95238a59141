package s3

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/pages"
)

// Bounds of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	smallestPart = 5 * mib
	maxParts     = 10_000
)

const (
	// minPart is the size of the first parts where memory allows. Larger ones cost as much a byte,
	// and wait longer before they leave.
	minPart = 8 * mib
	// maxPart bounds what one part holds of the budget; an object grows to 910 GiB with it.
	maxPart = 128 * mib
	// uniformPart is every part's size where all have to be of one; 10,000 of them are 156 GiB.
	uniformPart = 16 * mib
	// growth: a part is this much smaller than what went before, so that an upload whose end nobody
	// knows does not run out of parts.
	growth = 1000
	// maxInFlight and firstInFlight are how many parts of one upload are on their way at once.
	maxInFlight   = 16
	firstInFlight = 2
)

// lastAnswers is how long what is on its way may take when nobody wants it any more.
const lastAnswers = 10 * time.Second

// partAfter is the size of the part that follows so many bytes.
func (a *Adapter) partAfter(sent int64) int64 {
	if a.Profile.UniformParts {
		return a.partSize
	}
	size := (sent/growth + mib - 1) / mib * mib
	return max(a.partSize, min(size, maxPart, a.Memory.Parts()/4/pages.Size*pages.Size))
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
	record   *record
	begun    error
	hasBegun bool
	results  chan sent

	checksums bool
	lease     *leaseKeeper // nil unless the upload is kept when it breaks off
	parts     []keptPart   // that the store has; copied ones without a CRC
	begins    int32        // the number of the first part that this process sends
	started   int32
	inFlight  int
	limit     int
	broken    error // what the first part that failed said
}

// sent is what became of a part.
type sent struct {
	parts []keptPart
	err   error
}

func newMultipart(u *upload) *multipart {
	m := &multipart{
		upload: u, ready: make(chan struct{}), results: make(chan sent, maxInFlight),
		limit: firstInFlight, begins: int32(len(u.copied)) + 1, started: int32(len(u.copied)),
		// Some servers cannot copy into an upload that was begun with checksums.
		checksums: u.adapter.Profile.Checksums && len(u.copied) == 0,
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
		m.record, m.begun = m.adapter.startUpload(ctx, m.upload)
		if m.begun == nil && m.record.kept != nil {
			m.keepLease()
		}
	}()
	if len(m.copied) > 0 {
		m.inFlight++ // for all of them
		go func() {
			<-m.ready
			s := sent{err: m.begun}
			if s.err == nil {
				s.parts, s.err = m.present.copyParts(m.ctx, m.record, m.copied)
			}
			m.results <- s
		}()
	}
}

// run sends first and all that follows, unless it has ended, and publishes it, unless err. What cannot
// be published is kept if it is to be, and the object then has the size of that.
func (m *multipart) run(first *part, ended bool, err error) (backends.Object, error) {
	m.begin()
	if err == nil {
		err = m.admit()
	}
	unsent := first
	if err == nil {
		unsent = nil
		if first.size > 0 {
			m.send(first)
		} else {
			first.release()
		}
		if !ended {
			unsent, err = m.rest()
		}
	}
	if unsent != nil {
		defer unsent.release()
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
	m.lease.stop()
	switch {
	case err != nil && m.keeps(err):
		obj.Size, err = m.park(unsent, err)
	case m.lease.lost():
		err = fault(backends.Fenced, err)
	default:
		m.adapter.endUpload(m.upload.ctx, m.record, err == nil)
	}
	return obj, err
}

// rest reads the parts that follow the first and has them sent. After an error it returns what was
// read and not sent.
func (m *multipart) rest() (unsent *part, err error) {
	for ended := false; !ended; {
		size := m.adapter.partAfter(m.size)
		p, err := m.next(size)
		if err != nil {
			return nil, err
		}
		ended, err = m.fill(p, size)
		switch {
		case err != nil:
			return p, err
		case p.size == 0:
			p.release()
		default:
			m.send(p)
		}
	}
	return nil, nil //nolint:nilnil // everything was sent
}

// next waits until there is memory for another part. Who has parts on their way never waits for
// memory, but for one of these: others may be waiting for just that.
func (m *multipart) next(size int64) (*part, error) {
	for {
		for m.inFlight > 0 && len(m.results) > 0 {
			m.collect(<-m.results)
		}
		if m.broken != nil {
			return nil, m.broken
		}
		if m.inFlight == 0 {
			lease, err := m.adapter.Memory.Reserve(m.upload.ctx, size)
			if err != nil {
				return nil, cancelled(m.upload.ctx, err)
			}
			return &part{lease: lease}, nil
		}
		if m.inFlight < m.limit {
			if lease := m.adapter.Memory.TryReserve(size); lease != nil {
				return &part{lease: lease}, nil
			}
		} else {
			m.limit = min(m.limit+1, maxInFlight) // the store is what the upload waits for
		}
		m.collect(<-m.results)
	}
}

// send has a part sent in the background; its memory is free as soon as the store has it.
func (m *multipart) send(p *part) {
	m.started++
	m.inFlight++
	number := m.started
	go func() {
		part, err := m.sendPart(m.ctx, number, p)
		s := sent{parts: []keptPart{part}, err: err}
		p.release() // before anyone who hears of it asks for more
		m.results <- s
	}()
}

func (m *multipart) sendPart(ctx context.Context, number int32, p *part) (keptPart, error) {
	if number > maxParts {
		return keptPart{}, fault(backends.TooLarge, errParts)
	}
	select {
	case <-m.ready:
	case <-ctx.Done():
		return keptPart{}, backends.Alive(ctx)
	}
	if m.begun != nil {
		return keptPart{}, m.begun
	}
	a := m.adapter
	r := request{
		full: a.full(m.key), header: make(http.Header), body: []*part{p}, hash: unsigned,
		query: url.Values{"partNumber": {strconv.Itoa(int(number))}, "uploadId": {m.record.UploadID}},
	}
	switch {
	case m.checksums:
		r.header.Set(headerCRC, header(p.crc))
	case a.Profile.Checksums:
		r.hash = hashOf(p) // instead
	}
	sent := keptPart{Number: number, Size: p.size, CRC: p.crc}
	err := retry(ctx, sending(p.size), func(ctx context.Context) (err error) {
		sent.ETag, err = a.hot.write(ctx, r)
		return err
	})
	return sent, err
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
	if err := m.record.renew(m.upload.ctx, m.adapter); err != nil {
		m.adapter.Log.Warn("the record of an upload was not renewed", "key", m.key, "err", err)
	}
}

// sorted puts the parts into the order of the object.
func (m *multipart) sorted() []keptPart {
	slices.SortFunc(m.parts, func(a, b keptPart) int { return cmp.Compare(a.Number, b.Number) })
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
	parts := m.sorted()
	in := a.newComplete(m.record, parts, m.size)
	if m.checksums {
		var crc uint32
		for i, p := range parts {
			in.MultipartUpload.Parts[i].ChecksumCRC32 = aws.String(header(p.CRC))
			crc = appendCRC(crc, p.CRC, p.Size)
		}
		in.ChecksumCRC32, in.ChecksumType = aws.String(header(crc)), types.ChecksumTypeFullObject
	}
	if m.options.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	in.IfMatch = optional(m.options.IfVersion)
	etag, err := m.publish(finishing, func(ctx context.Context) (string, error) { return a.completeUpload(ctx, in) })
	if err != nil {
		return backends.Object{}, err
	}
	return m.object(etag), nil
}

// newComplete asks for the object of so many bytes that parts, in their order, are.
func (a *Adapter) newComplete(r *record, parts []keptPart, size int64) *s3.CompleteMultipartUploadInput {
	completed := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		completed[i] = types.CompletedPart{PartNumber: &p.Number, ETag: &p.ETag}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &a.Bucket, Key: &r.Key, UploadId: &r.UploadID,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: completed}, RequestPayer: a.payer(),
	}
	if a.Profile.ObjectSize {
		in.MpuObjectSize = &size
	}
	return in
}

// completeUpload sends it, and returns the ETag of what is there then.
func (a *Adapter) completeUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (string, error) {
	out, err := a.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return "", err
	}
	return version(out.ETag)
}
