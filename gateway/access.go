package gateway

import (
	"errors"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends"
)

// knownVerbs is made once: each user's list of denied commands is held to it.
var knownVerbs = sync.OnceValue(verbTable)

// KnownCommand reports whether verb, in upper case, is a command of this server.
func KnownCommand(verb string) bool {
	_, known := knownVerbs()[verb]
	return known && verb != ""
}

// meaning is the verb that a command comes to: an old name is another one's, and MDTM with a time is MFMT.
func (s *Session) meaning(c Command) string {
	if same := s.server.commands[c.Verb].same; same != "" {
		return same
	}
	if c.Verb == "MDTM" && setsTime(c.Arg) {
		return "MFMT"
	}
	return c.Verb
}

// denies reports whether a command may not be given here, by any of its names: by anyone, or by this user.
func (s *Session) denies(c Command) bool {
	denied := func(list []string) bool {
		return slices.Contains(list, c.Verb) || slices.Contains(list, s.meaning(c))
	}
	return denied(s.server.policy.Load().DeniedCommands) || s.account != nil && denied(s.account.Denied)
}

// deniesVerb is denies for a verb whose argument does not matter.
func (s *Session) deniesVerb(verb string) bool { return s.denies(Command{Verb: verb}) }

// deniedFeature reports whether a line of FEAT is about a command that is denied.
func (s *Session) deniedFeature(line string) bool {
	verb, _, _ := strings.Cut(line, " ")
	switch verb {
	case "MLST":
		return s.deniesVerb("MLST") && s.deniesVerb("MLSD")
	case "X-RESUME":
		return s.deniesVerb("STOR") && s.deniesVerb("APPE")
	}
	return s.deniesVerb(verb)
}

// relative is where a target is in its mount.
func (t target) relative() string {
	return strings.TrimPrefix(strings.TrimPrefix(t.key, t.Prefix), "/")
}

var errName = errors.New("the name is not allowed here")

// judge holds a target's name to the patterns of its mount, as that of a file or of a folder. A hidden
// one is not there.
func (t target) judge(folder bool) error {
	if t.virtual {
		return nil
	}
	switch t.Names.Judge(t.relative(), folder) {
	case auth.NameHidden:
		return &backends.Error{Op: "resolve", Key: t.path, Kind: backends.NotExist, Err: errName}
	case auth.NameDenied:
		return denied(t.path, errName)
	}
	return nil
}

// resolveFile is resolve for what is, or will be, a file.
func (s *Session) resolveFile(p string, need auth.Permissions) (target, error) {
	t, err := s.resolve(p, need)
	if err == nil {
		err = t.judge(false)
	}
	return t, err
}

// shows reports whether a listing of t has an entry.
func (t target) shows(obj backends.Object) bool {
	if t.virtual || t.Names.Empty() {
		return true
	}
	rel := path.Join(t.relative(), path.Base(obj.Key))
	return t.Names.Judge(rel, obj.Dir) != auth.NameHidden
}
