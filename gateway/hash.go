package gateway

import (
	"context"
	"crypto/md5"  //nolint:gosec // a partner's check of a transfer, not a signature
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// hashAlgorithm is a name of draft-bryan-ftpext-hash and the old command that asked for the same.
type hashAlgorithm struct {
	name, old string
	make      func() hash.Hash
}

var (
	defaultHash = hashAlgorithm{"SHA-256", "XSHA256", sha256.New}

	hashAlgorithms = []hashAlgorithm{
		defaultHash,
		{"SHA-512", "XSHA512", sha512.New},
		{"SHA-1", "XSHA1", sha1.New},
		{"MD5", "XMD5", md5.New},
		{"CRC32", "XCRC", func() hash.Hash { return crc32.NewIEEE() }},
	}
)

// byteRange is a part of a file: bytes from start up to and without end. The zero value is the
// whole file.
type byteRange struct{ start, end int64 }

// within fits the range to a size; it is false if there is nothing of it.
func (r byteRange) within(size int64) (byteRange, bool) {
	if r == (byteRange{}) {
		return byteRange{0, size}, true
	}
	r.end = min(r.end, size)
	return r, r.start <= r.end
}

func hashFeature(on hashAlgorithm) string {
	line := "HASH "
	for _, a := range hashAlgorithms {
		line += a.name
		if a.name == on.name {
			line += "*"
		}
		line += ";"
	}
	return line
}

// hashOption answers OPTS HASH.
func (s *Session) hashOption(arg string) (Reply, bool) {
	if arg == "" {
		return Reply{Code: 200, Text: s.hash.name}, true
	}
	for _, a := range hashAlgorithms {
		if strings.EqualFold(a.name, strings.TrimSpace(arg)) {
			s.hash = a
			return Reply{Code: 200, Text: a.name}, true
		}
	}
	return Reply{Code: 501, Text: "Unknown algorithm; FEAT lists them"}, true
}

// setRange answers RANG (draft-bryan-ftp-range): the first and the last byte for the next HASH.
// A start behind the end resets it.
func (s *Session) setRange(c *Command) (Reply, bool) {
	first, last, _ := strings.Cut(strings.TrimSpace(c.Arg), " ")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
	switch {
	case err1 != nil || err2 != nil || from < 0 || to < 0 || to == 1<<63-1:
		return Reply{Code: 501, Text: "RANG first last"}, true
	case from > to:
		s.byteRange = byteRange{}
		return Reply{Code: 350, Text: "No range"}, true
	}
	s.byteRange = byteRange{from, to + 1}
	return Reply{Code: 350, Text: fmt.Sprintf("Bytes %d to %d", from, to)}, true
}

// hashVerb answers HASH for the range that RANG set.
func (s *Session) hashVerb(c *Command) (Reply, bool) {
	r, arg := s.byteRange, c.Arg
	s.byteRange = byteRange{}
	return s.digest(c, s.abs(arg), r, s.hash, func(sum string, r byteRange) Reply {
		return Reply{Code: 213, Text: fmt.Sprintf("%s %d-%d %s %s", s.hash.name, r.start, max(r.end-1, r.start), sum, arg)}
	})
}

// checksum answers XCRC, XMD5, XSHA1 and their like: a name, in quotes if it has blanks, and
// perhaps the first byte and the one after the last.
func (s *Session) checksum(c *Command) (Reply, bool) {
	old := map[string]string{"MD5": "XMD5", "XSHA": "XSHA1"}[c.Verb]
	if old == "" {
		old = c.Verb
	}
	var algorithm hashAlgorithm
	for _, a := range hashAlgorithms {
		if a.old == old {
			algorithm = a
		}
	}
	name, r, err := s.nameAndRange(c.Arg)
	if err != nil {
		return Reply{Code: 501, Text: c.Verb + ` name [start [end]], the name in "quotes" if it has blanks`}, true
	}
	code := 250
	if c.Verb == "MD5" {
		code = 251 // draft-twine-ftpmd5
	}
	return s.digest(c, s.abs(name), r, algorithm, func(sum string, _ byteRange) Reply {
		return Reply{Code: code, Text: strings.ToUpper(sum)}
	})
}

var errSyntax = errors.New("syntax")

// nameAndRange takes the argument of an X command apart. Without quotes, a file of the whole name
// comes before numbers at its end.
func (s *Session) nameAndRange(arg string) (string, byteRange, error) {
	if rest, quoted := strings.CutPrefix(arg, `"`); quoted {
		name, numbers, closed := strings.Cut(rest, `"`)
		if !closed {
			return "", byteRange{}, errSyntax
		}
		r, err := parseRange(strings.Fields(numbers))
		return name, r, err
	}
	fields := strings.Fields(arg)
	if t, err := s.see(s.abs(arg)); err != nil || len(fields) == 1 {
		return arg, byteRange{}, nil
	} else if _, err := s.stat(t); err == nil {
		return arg, byteRange{}, nil
	}
	for n := min(2, len(fields)-1); n > 0; n-- {
		if r, err := parseRange(fields[len(fields)-n:]); err == nil {
			return cutFields(arg, n), r, nil
		}
	}
	return arg, byteRange{}, nil
}

// cutFields drops the last n blank-separated fields of s.
func cutFields(s string, n int) string {
	for range n {
		s = strings.TrimRight(s, " ")
		s = s[:strings.LastIndexByte(s, ' ')]
	}
	return strings.TrimRight(s, " ")
}

func parseRange(fields []string) (byteRange, error) {
	r := byteRange{end: 1<<63 - 1}
	for i, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		switch {
		case err != nil || n < 0 || i > 1:
			return byteRange{}, errSyntax
		case i == 0:
			r.start = n
		default:
			r.end = n
		}
	}
	if len(fields) == 0 {
		return byteRange{}, nil
	}
	if r.start > r.end {
		return byteRange{}, errSyntax
	}
	return r, nil
}

// digest reads a file in the background, so that ABOR and the end of the session are seen meanwhile,
// and answers when it is through.
func (s *Session) digest(c *Command, p string, r byteRange, a hashAlgorithm, answer func(string, byteRange) Reply) (Reply, bool) {
	t, err := s.resolveFile(p, auth.Read)
	if err == nil && (t.virtual || s.holdsMount(t.path)) {
		err = &backends.Error{Op: "open", Key: p, Kind: backends.IsDir}
	}
	if err != nil {
		return s.refusal(*c, err), true
	}
	cmd := *c
	s.job(func(ctx context.Context) Reply {
		sum, r, err := t.digest(ctx, r, a)
		if err != nil {
			return s.refusal(cmd, s.control.fail(err))
		}
		return answer(sum, r)
	})
	return Reply{}, true
}

// digest returns the checksum of a range of an object, in hexadecimal, and the range as it fits.
func (t target) digest(ctx context.Context, r byteRange, a hashAlgorithm) (string, byteRange, error) {
	in, err := t.adapter.Open(ctx, t.key, backends.OpenOptions{Offset: r.start})
	if err != nil {
		return "", r, err
	}
	r, ok := r.within(in.Object().Size)
	if !ok {
		return "", r, errors.Join(&backends.Error{Op: "open", Key: t.key, Kind: backends.BadOffset}, in.Close())
	}
	h := &hashSink{ctx: ctx, h: a.make(), left: r.end - r.start}
	_, err = in.WriteTo(h)
	if errors.Is(err, errEnough) {
		err = nil
	}
	err = errors.Join(err, in.Close())
	return hex.EncodeToString(h.h.Sum(nil)), r, err
}

var errEnough = errors.New("gateway: the range is read")

// hashSink takes so many bytes into a hash, unless its context ends.
type hashSink struct {
	ctx  context.Context
	h    hash.Hash
	left int64
}

func (s *hashSink) Write(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	n := min(int64(len(p)), s.left)
	_, _ = s.h.Write(p[:n]) // a hash has no errors
	if s.left -= n; s.left == 0 && n < int64(len(p)) {
		return int(n), errEnough
	}
	return int(n), nil
}

// job runs the command in flight in a goroutine of its own. ABOR and the session's end cancel it.
func (s *Session) job(run func(context.Context) Reply) {
	ctx, cancel := context.WithCancelCause(s.work())
	s.control.mu.Lock()
	s.control.flight.cancel = cancel
	s.control.mu.Unlock()
	s.hold()
	go func() {
		defer s.release()
		defer cancel(nil)
		s.control.finish(s.guard(ctx, run))
	}()
}

// guard turns a panic of a job into a reply.
func (s *Session) guard(ctx context.Context, run func(context.Context) Reply) (r Reply) {
	defer func() {
		if p := recover(); p != nil {
			r = s.panicked("job", p)
		}
	}()
	return run(ctx)
}
