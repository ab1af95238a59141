package gateway

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sluice-ftp/sluice/auth"
)

// siteCommand is one of SITE's own verbs.
type siteCommand struct {
	name, usage string
	run         func(s *Session, c Command, arg string) Reply
	changes     bool
}

// siteCommands are what SITE knows. A new one is a row here.
func siteCommands() []siteCommand {
	return []siteCommand{
		{"HELP", "SITE HELP: this list", siteHelp, false},
		{"WHO", "SITE WHO: your sessions, and what they transfer", siteWho, false},
		{"QUOTA", "SITE QUOTA: what you have stored, and what you may store", siteQuota, false},
		{"UTIME", "SITE UTIME YYYYMMDDhhmmss file: set a file's time, in UTC", siteUtime, true},
		{"CHMOD", "SITE CHMOD mode file: for clients that insist; there are no modes here", siteChmod, false},
	}
}

// BuiltInSite reports whether name, in upper case, is a SITE command of the gateway's own.
func BuiltInSite(name string) bool {
	return slices.ContainsFunc(siteCommands(), func(c siteCommand) bool { return c.name == name })
}

// site answers SITE (RFC 959 section 4.1.3).
func (s *Session) site(c *Command) (Reply, bool) {
	name, arg, _ := strings.Cut(strings.TrimSpace(c.Arg), " ")
	for _, sc := range siteCommands() {
		if strings.EqualFold(name, sc.name) {
			if sc.changes && s.unrecorded() {
				return replyUnrecorded, true
			}
			return sc.run(s, *c, strings.TrimLeft(arg, " ")), true
		}
	}
	for _, own := range s.server.opts.SiteCommands {
		if strings.EqualFold(name, own.Name) {
			if s.unrecorded() { // nobody knows what it changes
				return replyUnrecorded, true
			}
			return s.runSite(own, *c, strings.TrimLeft(arg, " ")), true
		}
	}
	return Reply{Code: 504, Text: "No such SITE command; SITE HELP lists them"}, true
}

const siteTimeout = 10 * time.Second

// runSite runs a command of the operator's own.
func (s *Session) runSite(own SiteCommand, c Command, arg string) Reply {
	ctx, cancel := context.WithTimeout(s.work(), cmp.Or(own.Timeout, siteTimeout))
	defer cancel()
	text, ok, err := own.Run(ctx, SiteCall{
		Name: own.Name, Argument: arg, User: s.name, Session: s.id, Remote: s.remote.String(), Folder: s.client.Path(),
	})
	switch {
	case err != nil:
		s.log.Error("command failed", "command", c.String(), "err", err.Error())
		return Reply{Code: 451, Text: "SITE " + own.Name + " does not work now; try again later"}
	case !ok:
		return Reply{Code: 550, Text: cmp.Or(oneLine(text), "SITE "+own.Name+" was refused")}
	}
	return Reply{Code: 200, Text: cmp.Or(oneLine(text), "SITE "+own.Name+" is done")}
}

// oneLine is the beginning of a text that fits into a reply.
func oneLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return text[:min(len(text), maxLogged)]
}

func siteHelp(s *Session, _ Command, _ string) Reply {
	text := "SITE commands:"
	for _, sc := range siteCommands() {
		text += "\n" + sc.usage
	}
	for _, own := range s.server.opts.SiteCommands {
		text += "\nSITE " + own.Name + ": " + own.Usage
	}
	return Reply{Code: 214, Text: text + "\nEnd"}
}

// siteWho lists the user's own sessions, and nobody else's.
func siteWho(s *Session, _ Command, _ string) Reply {
	var lines []string
	for _, other := range s.server.open() {
		user := other.current.Load()
		if user == nil || user.Name != s.account.Name {
			continue
		}
		doing := "idle"
		if t := other.control.transferInFlight(); t != nil && t.user == s.account.Name {
			doing = fmt.Sprintf("%s %s, %d bytes", t.verb, t.path, t.moved.Load())
		}
		lines = append(lines, fmt.Sprintf("%s from %s since %s: %s",
			other.id, other.remote, other.start.UTC().Format(time.DateTime), doing))
	}
	slices.Sort(lines)
	return Reply{Code: 211, Text: "Sessions of " + s.account.Name + ":\n" + strings.Join(append(lines, "End"), "\n")}
}

// siteQuota counts what the user has stored, if that is not known yet.
func siteQuota(s *Session, c Command, _ string) Reply {
	if !s.limited() {
		return Reply{Code: 211, Text: "There is no quota"}
	}
	usage, err := s.server.counted(s.work(), s.name, s.mounts)
	if err != nil {
		return s.refusal(c, err)
	}
	if usage.Doubtful() {
		s.server.revise(s.work(), usage, s.name, s.mounts)
	}
	bytes, files := usage.Get()
	l := s.account.Limits
	return Reply{Code: 211, Text: fmt.Sprintf("Stored: %d bytes of %s, %d files of %s",
		bytes, orUnbounded(l.Bytes), files, orUnbounded(l.Files))}
}

func orUnbounded(n int64) string {
	if n == 0 {
		return "any number"
	}
	return strconv.FormatInt(n, 10)
}

// longUtime is the form with three times: the name, access, modification and change, and UTC.
var longUtime = regexp.MustCompile(`^(.+) (\d{14}) (\d{14}) (\d{14}) UTC$`)

func siteUtime(s *Session, c Command, arg string) Reply {
	when, name, _ := strings.Cut(arg, " ")
	if m := longUtime.FindStringSubmatch(arg); m != nil {
		when, name = m[3], m[1]
	}
	layout := "20060102150405"
	if len(when) == len("200601021504") {
		layout = "200601021504"
	}
	at, err := time.Parse(layout, when)
	if err != nil || name == "" {
		return Reply{Code: 501, Text: "SITE UTIME YYYYMMDDhhmmss file"}
	}
	t, err := s.resolveFile(s.abs(name), auth.Write)
	if err == nil {
		err = t.adapter.SetModTime(s.work(), t.key, at)
	}
	if err != nil {
		return s.refusal(c, err)
	}
	return Reply{Code: 200, Text: "Time set"}
}

var mode = regexp.MustCompile(`^[0-7]{3,4} .+`)

func siteChmod(s *Session, c Command, arg string) Reply {
	if !mode.MatchString(arg) {
		return Reply{Code: 501, Text: "SITE CHMOD mode file, like SITE CHMOD 644 report.csv"}
	}
	_, name, _ := strings.Cut(arg, " ")
	t, err := s.see(s.abs(name))
	if err == nil {
		_, err = s.stat(t)
	}
	switch {
	case err != nil:
		return s.refusal(c, err)
	case s.server.opts.CHMOD == CHMODRefuse:
		return Reply{Code: 504, Text: "There are no modes here"}
	}
	return Reply{Code: 200, Text: "There are no modes here; nothing was changed"}
}
