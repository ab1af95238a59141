package gateway

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ftp/sluice/backends"
)

// features answers FEAT (RFC 2389) with what works, for this session, now.
func (s *Session) features(*Command) (Reply, bool) {
	lines := []string{"UTF8", "TVFS", "CLNT", "LANG EN*", "EPSV", "MODE Z", "REST STREAM", "SIZE", "MDTM"}
	if s.server.controlTLS != nil {
		lines = append(lines, "AUTH TLS", "PBSZ", "PROT")
	}
	if s.server.opts.ActiveMode {
		lines = append(lines, "EPRT")
	}
	if s.can(func(c backends.Capabilities) bool { return c.ModTime }) {
		lines = append(lines, "MFMT")
	}
	if s.can(func(c backends.Capabilities) bool { return c.Space }) {
		lines = append(lines, "AVBL")
	}
	if s.can(func(c backends.Capabilities) bool { return c.Resume }) {
		lines = append(lines, resumeFeature)
	}
	lines = append(lines, s.facts.feature(), hashFeature(s.hash),
		"XCRC", "XMD5", "XSHA1", "XSHA256", "XSHA512")
	lines = slices.DeleteFunc(lines, s.deniedFeature)
	slices.Sort(lines)
	return Reply{Code: 211, Text: "Features:\n" + strings.Join(lines, "\n") + "\nEnd"}, true
}

// can reports whether one of the stores that this session may come to can do something: all of
// them before login, when it is not known which.
func (s *Session) can(do func(backends.Capabilities) bool) bool {
	if s.account != nil {
		return slices.ContainsFunc(s.mounts, func(m mount) bool { return do(m.adapter.Capabilities()) })
	}
	for _, b := range s.server.opts.Backends {
		if do(b.Capabilities()) {
			return true
		}
	}
	return false
}

// options answers OPTS (RFC 2389 section 4).
func (s *Session) options(c *Command) (Reply, bool) {
	name, arg, _ := strings.Cut(strings.TrimSpace(c.Arg), " ")
	switch strings.ToUpper(name) {
	case "UTF8":
		if strings.EqualFold(arg, "OFF") {
			return Reply{Code: 504, Text: "Names are always UTF-8"}, true
		}
		return Reply{Code: 200, Text: "UTF8 is on"}, true
	case "UTF-8": // as old clients spell it
		return Reply{Code: 200, Text: "UTF8 is on"}, true
	case "MLST":
		s.facts = parseFacts(arg)
		return Reply{Code: 200, Text: strings.TrimSpace("MLST OPTS " + s.facts.String())}, true
	case "HASH":
		return s.hashOption(arg)
	case "MODE":
		return Reply{Code: 200, Text: "MODE Z has one level"}, true
	}
	return Reply{Code: 501, Text: "OPTS UTF8, MLST, HASH or MODE"}, true
}

// status answers STAT (RFC 959 section 4.1.3), also while a transfer runs.
func (s *Session) status(c *Command) (Reply, bool) {
	if c.Arg != "" {
		return s.statPath(c)
	}
	lines := []string{
		"Status of " + s.id,
		"From " + s.remote.String() + " for " + time.Since(s.start).Truncate(time.Second).String(),
		"Logged in as " + s.name,
		"Control connection: " + onOff(s.secure, "TLS", "in clear") + ", data: " + onOff(s.private, "TLS", "in clear"),
		"TYPE " + onOff(s.ascii, "A", "I") + ", MODE " + onOff(s.deflate, "Z", "S") + ", STRU F",
	}
	if t := s.control.transferInFlight(); t != nil {
		n := t.moved.Load()
		lines = append(lines, t.verb+": "+strconv.FormatInt(n, 10)+" bytes in "+
			time.Since(t.start).Truncate(100*time.Millisecond).String())
	} else {
		lines = append(lines, "No transfer")
	}
	return Reply{Code: 211, Text: strings.Join(append(lines, "End"), "\n")}, true
}

func onOff(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

// language answers LANG (RFC 2640 section 4.1).
func (s *Session) language(c *Command) (Reply, bool) {
	switch l := strings.ToUpper(strings.TrimSpace(c.Arg)); {
	case l == "", l == "EN", strings.HasPrefix(l, "EN-"):
		return Reply{Code: 200, Text: "English it is"}, true
	}
	return Reply{Code: 504, Text: "English only"}, true
}

// clientSoftware notes what CLNT says, and leaves the answer to the library.
func (s *Session) clientSoftware(c *Command) (Reply, bool) {
	s.software = c.Arg[:min(len(c.Arg), maxLogged)]
	return Reply{}, false
}
