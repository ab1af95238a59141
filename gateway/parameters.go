package gateway

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// setType answers TYPE (RFC 959 section 3.1.1, 5.3.2). Type I is the default here: scripts that
// forget to say it would have their files rewritten.
func (s *Session) setType(c *Command) (Reply, bool) {
	switch strings.ToUpper(strings.Join(strings.Fields(c.Arg), " ")) {
	case "A", "A N":
		s.ascii = true
		if s.converts() {
			s.rest = 0
		}
		return Reply{Code: 200, Text: "Type A"}, true
	case "I", "L 8", "L8":
		s.ascii = false
		return Reply{Code: 200, Text: "Type I"}, true
	}
	return Reply{Code: 504, Text: "TYPE A, I or L 8"}, true
}

// converts reports that sizes and offsets of files are not those of transfers.
func (s *Session) converts() bool { return s.ascii && s.server.opts.ASCII == ASCIIConvert }

// setMode answers MODE (RFC 959 section 3.4, and Z of draft-preston-ftpext-deflate).
func (s *Session) setMode(c *Command) (Reply, bool) {
	switch strings.ToUpper(c.Arg) {
	case "S":
		s.deflate = false
		return Reply{Code: 200, Text: "Mode S"}, true
	case "Z":
		s.deflate = true
		return Reply{Code: 200, Text: "Mode Z"}, true
	}
	return Reply{Code: 504, Text: "MODE S or Z"}, true
}

// setStructure answers STRU (RFC 959 section 3.1.2).
func (s *Session) setStructure(c *Command) (Reply, bool) {
	if strings.EqualFold(c.Arg, "F") {
		return Reply{Code: 200, Text: "Structure F"}, true
	}
	return Reply{Code: 504, Text: "STRU F"}, true
}

// restart answers REST (RFC 3659 section 5). The library does not hear of it: it would seek.
func (s *Session) restart(c *Command) (Reply, bool) {
	s.rest = 0
	n, err := strconv.ParseInt(strings.TrimSpace(c.Arg), 10, 64)
	switch {
	case err != nil || n < 0:
		return Reply{Code: 501, Text: "REST takes a number of bytes"}, true
	case n > 0 && s.converts():
		return Reply{Code: 504, Text: "No restart in TYPE A; TYPE I first"}, true
	case n > 0 && s.deflate:
		return Reply{Code: 504, Text: "No restart in MODE Z; MODE S first"}, true
	}
	s.rest = n
	return Reply{Code: 350, Text: "Restarting at " + strconv.FormatInt(n, 10)}, true
}

// allocate answers ALLO (RFC 959 section 4.1.3). The number is taken at its word: an upload that
// ends elsewhere is not published.
func (s *Session) allocate(c *Command) (Reply, bool) {
	fields := strings.Fields(strings.ToUpper(c.Arg))
	if len(fields) != 1 && (len(fields) != 3 || fields[1] != "R") {
		return Reply{Code: 501, Text: "ALLO takes a number of bytes"}, true
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || n < 0 {
		return Reply{Code: 501, Text: "ALLO takes a number of bytes"}, true
	}
	if n == 0 {
		s.expected = -1 // some clients send it for "unknown"
		return Reply{Code: 202, Text: "Nothing to allocate"}, true
	}
	if free, err := s.free(s.client.Path()); err == nil && free < n {
		return Reply{Code: 452, Text: "Not enough space left"}, true
	}
	s.expected = n
	return Reply{Code: 200, Text: "Expecting " + fields[0] + " bytes"}, true
}

// free returns the bytes that can be stored in a folder.
func (s *Session) free(p string) (int64, error) {
	t, err := s.resolve(p, 0)
	if err != nil || t.virtual {
		return 0, &backends.Error{Op: "available", Key: p, Kind: backends.Unsupported, Err: err}
	}
	return t.adapter.Available(s.work(), t.key)
}

// available answers AVBL (draft-peterson-streamlined-ftp-command-extensions).
func (s *Session) available(c *Command) (Reply, bool) {
	t, err := s.see(s.abs(c.Arg))
	if err != nil {
		return s.refusal(*c, err), true
	}
	if t.virtual {
		return Reply{Code: 550, Text: "Ask below a mount"}, true
	}
	n, err := t.adapter.Available(s.work(), t.key)
	if err != nil {
		return s.refusal(*c, err), true
	}
	return Reply{Code: 213, Text: strconv.FormatInt(n, 10)}, true
}

// size keeps SIZE from the library where it would not be the size of a transfer (RFC 3659
// section 4).
func (s *Session) size(*Command) (Reply, bool) {
	if s.converts() {
		return Reply{Code: 550, Text: "No SIZE in TYPE A; TYPE I first"}, true
	}
	return Reply{}, false
}

// setsTime: the argument of MDTM is a time and a name.
func setsTime(arg string) bool {
	stamp, rest, found := strings.Cut(arg, " ")
	_, err := time.Parse(timeVal, stamp)
	return found && err == nil && rest != ""
}

// mdtm keeps MDTM from a folder, and makes MFMT of the form that sets a time, which clients sent
// before MFMT was there.
func (s *Session) mdtm(c *Command) (Reply, bool) {
	if setsTime(c.Arg) {
		c.Verb = "MFMT"
		return Reply{}, false
	}
	t, err := s.see(s.abs(c.Arg))
	if err != nil {
		return s.refusal(*c, err), true
	}
	obj, err := s.stat(t)
	switch {
	case err != nil:
		return s.refusal(*c, err), true
	case obj.Dir:
		return Reply{Code: 550, Text: "That is a folder"}, true
	}
	return Reply{Code: 213, Text: obj.ModTime.UTC().Format(timeVal)}, true
}
