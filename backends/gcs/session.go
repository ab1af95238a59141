package gcs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-ftp/sluice/backends"
	"github.com/sluice-ftp/sluice/backends/bucket"
)

// Resumable uploads: https://cloud.google.com/storage/docs/performing-resumable-uploads
//
// A session takes its bytes in a row. What it has of them it says after each request and whenever it is
// asked, and what it has already it passes over. Its object appears with the request that says how
// many there are, if they have the checksum that comes with it and the conditions hold at that moment.

// statusResume is the answer of a session that expects more.
const statusResume = http.StatusPermanentRedirect

// Begin implements bucket.Store.
func (s *store) Begin(ctx context.Context, o *bucket.NewObject) (id string, err error) {
	query := url.Values{"uploadType": {"resumable"}, "fields": {"generation,size,crc32c"}}
	conditions(query, o.IfAbsent, o.IfVersion)
	s.kms(query, "kmsKeyName")
	header, err := s.wire.ask(ctx, request{
		method: http.MethodPost, path: "/upload" + s.objectPath(""), query: query, json: s.resource(o),
	}, nil)
	if err != nil {
		return "", err
	}
	session := header.Get("Location")
	if u, err := url.Parse(session); err != nil || u.Host == "" || u.Scheme != "https" && !s.AllowHTTP {
		return "", bucket.ErrNoUpload
	}
	if s.seal != nil {
		return s.seal.close(session, o.Name), nil
	}
	return session, nil
}

// session is the name of one that Begin returned.
func (s *store) session(id, name string) (string, error) {
	if s.seal == nil {
		if !strings.Contains(id, "://") {
			return "", errSeal // there was a key when it began
		}
		return id, nil
	}
	return s.seal.open(id, name)
}

// state is what a session says.
type state struct {
	has     int64    // the bytes that it has
	made    resource // the object, if it is finished
	isWhole bool
}

// put sends a request to a session.
func (s *store) put(ctx context.Context, session, span string, header http.Header, content *bucket.Body) (state, error) {
	h := header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("Content-Range", span)
	resp, err := s.wire.do(ctx, request{method: http.MethodPut, session: session, header: h, content: content}, statusResume) //nolint:bodyclose // Drain does
	if err != nil {
		return state{}, err
	}
	defer bucket.Drain(resp)
	if resp.StatusCode == statusResume {
		return state{has: persisted(resp.Header.Get("Range"))}, nil
	}
	st := state{isWhole: true}
	if err := read(resp, &st.made); err != nil {
		return state{}, err
	}
	return st, versioned(st.made.Generation)
}

// persisted reads how many bytes a session has.
func persisted(span string) int64 {
	_, last, found := strings.Cut(span, "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !found || err != nil {
		return 0
	}
	return n + 1
}

// ask asks a session what it has.
func (s *store) ask(ctx context.Context, session string) (state, error) {
	return s.put(ctx, session, "bytes */*", nil, nil)
}

// Send implements bucket.Store. What a session says that it has not got is sent again.
func (s *store) Send(ctx context.Context, p *bucket.Sending) (bucket.Piece, error) {
	size := p.Part.Size()
	piece := bucket.Piece{Number: p.Number, Size: size, CRC: p.Part.CRC()}
	session, err := s.session(p.ID, p.Upload.Name)
	if err != nil {
		return piece, err
	}
	at, end := p.Offset, p.Offset+size
	if p.Again {
		st, err := s.ask(ctx, session)
		if err != nil {
			return piece, gone(err)
		}
		if st.isWhole {
			return piece, errFinished
		}
		at = st.has
	}
	for at < end {
		if at < p.Offset {
			return piece, fmt.Errorf("%w: it had %d bytes and has %d", errForgot, p.Offset, at)
		}
		st, err := s.put(ctx, session, fmt.Sprintf("bytes %d-%d/*", at, end-1), nil, bucket.NewBody(at-p.Offset, p.Part))
		switch {
		case err != nil:
			return piece, gone(err)
		case st.isWhole:
			return piece, errFinished
		case st.has <= at:
			return piece, errStuck
		}
		at = st.has
	}
	return piece, nil
}

// Complete implements bucket.Store: the last bytes go with how many there are, and with the checksum
// of all of them.
func (s *store) Complete(ctx context.Context, c *bucket.Completion) (string, error) {
	session, err := s.session(c.ID, c.Upload.Name)
	if err != nil {
		return "", err
	}
	begin := c.Size - c.Last.Size()
	at := begin
	if c.Again {
		st, err := s.ask(ctx, session)
		if err != nil {
			return "", gone(err)
		}
		if st.isWhole {
			return st.made.Generation, isOurs(&st.made, c)
		}
		at = st.has
	}
	header := make(http.Header)
	if c.Checked {
		header.Set("X-Goog-Hash", "crc32c="+bucket.Base64(c.CRC))
	}
	for {
		switch {
		case at < begin:
			return "", fmt.Errorf("%w: it had %d bytes and has %d", errForgot, begin, at)
		case at > c.Size:
			return "", bucket.Fault(backends.Corrupt, errMore)
		}
		span := fmt.Sprintf("bytes %d-%d/%d", at, c.Size-1, c.Size)
		if at == c.Size {
			span = fmt.Sprintf("bytes */%d", c.Size)
		}
		st, err := s.put(ctx, session, span, header, bucket.NewBody(at-begin, c.Last))
		switch {
		case status(err) == http.StatusBadRequest: // whatever is wrong with the whole will be so again
			return "", bucket.Fault(backends.Corrupt, err)
		case err != nil:
			return "", gone(err)
		case st.isWhole:
			return st.made.Generation, isOurs(&st.made, c)
		case st.has <= at:
			return "", errStuck
		}
		at = st.has
	}
}

// isOurs refuses an object that another process has made of the session: a finished one says that it is
// finished to everybody, whatever they send.
func isOurs(made *resource, c *bucket.Completion) error {
	if made.Size != strconv.FormatInt(c.Size, 10) || c.Checked && made.CRC32C != bucket.Base64(c.CRC) {
		return bucket.Fault(backends.Fenced, errOther)
	}
	return nil
}

// Abort implements bucket.Store.
func (s *store) Abort(ctx context.Context, name, id string) error {
	session, err := s.session(id, name)
	if err != nil {
		return nil //nolint:nilerr // of another key: nobody can go on with it, and the store forgets it
	}
	resp, err := s.wire.do(ctx, request{method: http.MethodDelete, session: session}, statusCancelled, http.StatusNotFound, http.StatusGone) //nolint:bodyclose // Drain does
	if err != nil {
		if st, askErr := s.ask(ctx, session); askErr == nil && st.isWhole {
			return nil // it was completed, and cannot be cancelled any more
		}
		return err
	}
	bucket.Drain(resp)
	return nil
}

// Recover implements bucket.Store. A session may have more than its record tells of, but nobody knows
// the checksum of that: it is sent again, and passed over by the store, so that the checksum of the
// whole shows if something else had come in between.
func (s *store) Recover(ctx context.Context, r *bucket.Record) error {
	session, err := s.session(r.UploadID, r.Key)
	if err != nil {
		return err
	}
	st, err := s.ask(ctx, session)
	switch {
	case err != nil:
		return gone(err)
	case st.isWhole:
		return errFinished
	}
	var known int64
	for _, p := range r.Parts {
		known += p.Size
	}
	if st.has < known {
		return fmt.Errorf("%w: it had %d bytes and has %d", errForgot, known, st.has)
	}
	if n := len(r.Parts); n > 0 {
		r.Next = r.Parts[n-1].Number + 1 // behind them, whatever the dead process has sent
	}
	return nil
}
