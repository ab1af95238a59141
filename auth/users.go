package auth

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// maxName is the longest name of a user in bytes, far below the longest command line.
const maxName = 255

// The users file, as it is written.
type (
	usersFile struct {
		Users []userEntry `yaml:"users"`
	}
	userEntry struct {
		Name         string       `yaml:"name"`
		PasswordHash string       `yaml:"password_hash"`
		Mounts       []mountEntry `yaml:"mounts"`
	}
	mountEntry struct {
		Path        string      `yaml:"path"`
		Backend     string      `yaml:"backend"`
		Prefix      string      `yaml:"prefix"`
		Permissions permissions `yaml:"permissions"`
	}
	permissions []permission
)

// parseUsers turns data into a state, or reports everything that is wrong with it.
func parseUsers(name string, data []byte, rules Rules) (*state, error) {
	doc, err := yamlfile.Parse(name, data)
	if err != nil {
		return nil, err
	}
	var file usersFile
	doc.Decode(&file)
	s := &state{accounts: map[string]account{}}
	for i, e := range file.Users {
		c := checker{doc, fmt.Sprintf("users[%d]", i), rules}
		a := c.account(e)
		if _, ok := s.accounts[e.Name]; ok {
			c.problem("name", "a second user of the name %q; remove one", e.Name)
			continue
		}
		s.accounts[e.Name] = a
		s.users = append(s.users, a.user)
	}
	// A file that was emptied by a full disk or cut short must not lock everyone out.
	if len(file.Users) == 0 && doc.Count() == 0 {
		doc.Problem("users", "missing; there has to be one")
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	s.stranger = account{hash: commonest(s).dummy()}
	return s, nil
}

// commonest returns a hash with the cost that most users' hashes have: a stranger takes as long as
// most users do. There is at least one user.
func commonest(s *state) passwordHash {
	var best passwordHash
	count, most := map[string]int{}, 0
	for _, u := range s.users {
		h := s.accounts[u.Name].hash
		count[h.cost()]++
		if n := count[h.cost()]; n > most {
			best, most = h, n
		}
	}
	return best
}

// checker checks the values of one user or mount.
type checker struct {
	doc   *yamlfile.Document
	key   string
	rules Rules
}

func (c checker) problem(key, format string, args ...any) {
	c.doc.Problem(c.key+"."+key, format, args...)
}

func (c checker) account(e userEntry) account {
	if fault := nameFault(e.Name); fault != "" {
		c.problem("name", "%s", fault)
	}
	h, err := parseHash(e.PasswordHash)
	switch {
	case e.PasswordHash == "":
		c.problem("password_hash", "missing; make one with: sluice user hash")
	case err != nil:
		c.problem("password_hash", "%v", err)
	}
	return account{
		user: &User{Name: e.Name, Mounts: c.mounts(e.Mounts)},
		text: e.PasswordHash,
		hash: h,
	}
}

func nameFault(name string) string {
	switch {
	case name == "":
		return "missing; give the user a name"
	case len(name) > maxName:
		return fmt.Sprintf("longer than %d bytes", maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "has control characters or is not UTF-8; no client can send it"
	case strings.TrimSpace(name) != name:
		return "begins or ends with a space; no client can send it"
	}
	return ""
}

func (c checker) mounts(entries []mountEntry) []Mount {
	if len(entries) == 0 {
		c.problem("mounts", "missing; without a mount the user sees nothing")
	}
	var mounts []Mount
	first := map[string]int{}
	for i, e := range entries {
		m := checker{c.doc, fmt.Sprintf("%s.mounts[%d]", c.key, i), c.rules}.mount(e)
		if j, ok := first[m.Path]; ok {
			c.problem(fmt.Sprintf("mounts[%d].path", i), "%q is the path of mounts[%d] already; change one", m.Path, j)
		} else if m.Path != "" {
			first[m.Path] = i
		}
		mounts = append(mounts, m)
	}
	return mounts
}

func (c checker) mount(e mountEntry) Mount {
	m := Mount{Backend: e.Backend, Prefix: strings.TrimSuffix(e.Prefix, "/")}
	switch {
	case e.Path == "":
		c.problem("path", "missing; / is the root of what the user sees")
	case e.Path[0] != '/':
		c.problem("path", "%q does not begin with a slash; write %q", e.Path, path.Clean("/"+e.Path))
	case !utf8.ValidString(e.Path) || strings.ContainsFunc(e.Path, unicode.IsControl):
		c.problem("path", "has control characters or is not UTF-8")
	default:
		m.Path = path.Clean(e.Path)
	}
	if e.Backend == "" {
		c.problem("backend", "missing; name one of the configuration's backends")
	} else if c.rules.Backend != nil {
		c.report("backend", c.rules.Backend(e.Backend))
	}
	c.report("prefix", c.prefix(m.Prefix))
	for _, p := range e.Permissions {
		m.Permissions |= Permissions(p)
	}
	if len(e.Permissions) == 0 {
		c.problem("permissions", "missing; list some of %s", permissionNames())
	}
	return m
}

func (c checker) prefix(p string) error {
	switch {
	case p == "" || path.Clean("/"+p) == "/"+p:
	case strings.HasPrefix(p, "/"):
		return errors.New("begins with a slash; leave that out")
	default:
		return errors.New("has an empty or dot element; write it without")
	}
	if c.rules.Prefix == nil {
		return nil
	}
	return c.rules.Prefix(p)
}

func (c checker) report(key string, err error) {
	if err != nil {
		c.problem(key, "%v", err)
	}
}
