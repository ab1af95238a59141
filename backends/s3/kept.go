package s3

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-ftp/sluice/backends"
)

// kept is what the record of an upload says beyond others if the upload is kept for its owner when it
// breaks off. Whoever writes the record owns the upload: each writing is on the condition that nobody
// has written it since, and has a nonce, so that no two are alike.
type kept struct {
	Owner string `json:"owner,omitempty"`
	// Token is in the metadata of the object to be.
	Token string `json:"token,omitempty"`
	// Parked: no process writes the upload. Otherwise one does, unless the record is older than lease.
	Parked bool `json:"parked,omitempty"`
	// Parts are those that the upload goes on from: all of them if it is parked, else those that
	// were there when its writer took it over.
	Parts []keptPart `json:"parts,omitempty"`
	// Next is the first number that the present writer, or the next one, gives a part.
	Next int32 `json:"next,omitempty"`
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

	etag string // the record's; "" if it is not there, or not ours any more
	// hurry: who waits for the record to be written does so at the end of a session.
	hurry bool
}

// keptPart is a part that the store has. A CRC of 0 is not known: some stores list none.
type keptPart struct {
	Number int32  `json:"n"`
	Size   int64  `json:"s"`
	ETag   string `json:"e"`
	CRC    uint32 `json:"c"`
}

const (
	// lease is how long a record that is not parked says that a process is alive, renewal how often
	// that process says so.
	lease   = time.Minute
	renewal = 20 * time.Second
	// stride is left between the numbers of parts of two processes, so that what the first still has
	// on its way does not meet those of the second.
	stride = 64
	// maxRecord bounds a record without its tail: 10,000 parts.
	maxRecord = 2 * mib
)

var errRecord = errors.New("the record of an upload makes no sense")

// slot is the name of the record of what owner uploads to key.
func (a *Adapter) slot(key, owner string) string {
	return a.private("uploads/" + backends.Slot(key, owner))
}

// live: some process writes the upload, or did until a moment ago.
func (r *record) live() bool { return !r.Parked && !r.Dead && r.age < lease }

// durable is how many bytes the parts have.
func (k *kept) durable() (n int64) {
	for _, p := range k.Parts {
		n += p.Size
	}
	return n
}

// unproven drops the first part behind offset with which nothing can be compared, and what follows it, and
// says whether there was one: the client sends all of that again.
func (k *kept) unproven(offset int64) bool {
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
func (r *record) swap(ctx context.Context, a *Adapter, tail *part) error {
	r.Nonce = rand.Text()
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("s3: record: %w", err)
	}
	body := []*part{bytesPart(append(content, '\n'))}
	if tail != nil {
		body = append(body, tail)
	}
	h := a.privateHeader()
	h.Set("X-Amz-Meta-"+metaToken, r.Nonce)
	set(h, "If-Match", r.etag)
	if r.etag == "" {
		h.Set("If-None-Match", "*")
	}
	w := &writing{adapter: a, full: r.name, token: r.Nonce, patience: transferring, ifAbsent: r.etag == "", ifVersion: r.etag}
	if r.hurry {
		w.patience = asking
	}
	w.do = func(ctx context.Context) (string, error) {
		return a.hot.write(ctx, request{full: r.name, header: h, body: body, hash: hashOf(body...)})
	}
	etag, err := w.publish(ctx)
	err = translate("put", r.Key, err) // so that it has its kind
	switch {
	case err == nil:
		r.etag = etag
	case backends.KindOf(err) == backends.Conflict:
		r.etag = ""
	}
	return err
}

// supersede takes the place of what was kept before, or is Busy if a process writes it.
func (r *record) supersede(ctx context.Context, a *Adapter) error {
	old, err := a.loadRecord(ctx, r.name, nil)
	switch {
	case isMissing(err):
		return fault(backends.Busy, err)
	case err != nil:
		return err
	case old.live():
		return fault(backends.Busy, nil)
	}
	r.etag, r.Before, r.Lost = old.etag, old.Before, old.Lost
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
		return fault(backends.Busy, err)
	}
	return err
}

// remove deletes the record, unless it leads to uploads that are to be found later.
func (r *record) remove(ctx context.Context, a *Adapter) error {
	if r.Strays {
		r.Strays, r.Lost = false, append(r.Lost, r.Begun)
	}
	if len(r.Lost) == 0 {
		return a.deleteVersion(ctx, r.name, r.etag)
	}
	r.Dead, r.UploadID, r.Parts = true, "", nil
	return r.write(ctx, a, nil)
}

// endBefore ends the uploads that this one took the place of.
func (r *record) endBefore(ctx context.Context, a *Adapter) error {
	for _, id := range r.Before {
		if err := a.abort(ctx, r.Key, id); err != nil {
			return err
		}
	}
	r.Before = nil
	return nil
}

// loadRecord reads a record, and its tail into a part that has room for it, unless that is nil.
func (a *Adapter) loadRecord(ctx context.Context, name string, tail *part) (*record, error) {
	var r *record
	err := retry(ctx, asking, func(ctx context.Context) (err error) {
		resp, err := a.hot.do(ctx, request{method: http.MethodGet, full: name})
		if err != nil {
			return err
		}
		defer drain(resp)
		r = &record{name: name, kept: &kept{etag: resp.Header.Get("ETag")}}
		if r.when, err = http.ParseTime(resp.Header.Get("Last-Modified")); err != nil {
			return fault(backends.Corrupt, fmt.Errorf("%w: %w", errRecord, err))
		}
		r.age = serverTime(resp).Sub(r.when)
		return r.read(resp.Body, tail)
	})
	if err != nil {
		return nil, err
	}
	if r.Owner == "" {
		r.kept = nil
	}
	return r, nil
}

func (r *record) read(body io.Reader, tail *part) error {
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
			return fault(backends.Corrupt, errRecord)
		}
	}
	if err := json.Unmarshal(line, r); err != nil {
		return fault(backends.Corrupt, fmt.Errorf("%w: %w", errRecord, err))
	}
	if tail == nil || r.Tail == 0 {
		return nil
	}
	if r.Tail > tail.bytes() {
		return fault(backends.Corrupt, errRecord)
	}
	for tail.size, tail.crc = 0, 0; tail.size < r.Tail; {
		n, err := in.Read(tail.at(tail.size, r.Tail))
		tail.wrote(n)
		if err != nil && tail.size < r.Tail {
			return fmt.Errorf("%w: %w", errShort, err)
		}
	}
	if tail.crc != r.TailCRC {
		return fault(backends.Corrupt, errRecord)
	}
	return nil
}

// amid: a part of that size may have others behind it.
func (a *Adapter) amid(size int64) bool {
	if a.Profile.UniformParts {
		return size == a.partSize
	}
	return size >= a.smallest
}

// recover finds the parts that a process left which ended without parking: those that follow the ones
// that it began with, without a gap. NoSuchUpload says that it had published them, or that someone
// has ended the upload.
func (r *record) recover(ctx context.Context, a *Adapter) error {
	next, most := r.Next, r.Next-1
	in := &s3.ListPartsInput{Bucket: &a.Bucket, Key: &r.Key, UploadId: &r.UploadID, RequestPayer: a.payer()}
	for {
		var out *s3.ListPartsOutput
		err := retry(ctx, asking, func(ctx context.Context) (err error) {
			out, err = a.client.ListParts(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		for _, p := range out.Parts {
			number := aws.ToInt32(p.PartNumber)
			most = max(most, number)
			if number != next {
				continue
			}
			found := keptPart{Number: number, Size: aws.ToInt64(p.Size), ETag: aws.ToString(p.ETag)}
			crc, err := parseHeader(aws.ToString(p.ChecksumCRC32))
			if a.Profile.Checksums && err != nil || !a.amid(found.Size) {
				continue // nothing could follow it, or it could not be published
			}
			found.CRC = crc
			r.Parts = append(r.Parts, found)
			next++
		}
		if !aws.ToBool(out.IsTruncated) || out.NextPartNumberMarker == nil {
			break
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	r.Next = most + stride
	return nil
}
