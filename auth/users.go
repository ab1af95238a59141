package auth

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// maxName is the longest name of a user in bytes, far below the longest command line.
const maxName = 255

// parser turns a users file into a state.
type parser struct {
	doc   *yamlfile.Document
	rules Rules
	// hashes are those of the password file.
	hashes map[string]string
	groups map[string]entry
}

// parseUsers turns data into a state, or reports everything that is wrong with it.
func parseUsers(name string, data []byte, hashes func(file string) (map[string]string, error), rules Rules) (*state, error) {
	doc, err := yamlfile.Parse(name, data)
	if err != nil {
		return nil, err
	}
	var file usersFile
	doc.Decode(&file)
	p := parser{doc: doc, rules: rules, groups: map[string]entry{}}
	if file.PasswordFile != "" {
		if p.hashes, err = hashes(file.PasswordFile); err != nil {
			doc.Problem("password_file", "%v", err)
		}
	}
	for _, raw := range file.Groups {
		if raw.Key != "" { // an empty entry has been reported
			p.group(raw)
		}
	}
	s := &state{accounts: map[string]account{}}
	for _, raw := range file.Users {
		if raw.Key == "" {
			continue
		}
		a := p.user(raw)
		if _, ok := s.accounts[a.user.Name]; ok {
			doc.Problem(raw.Key+".name", "a second user of the name %q; remove one", a.user.Name)
			continue
		}
		s.accounts[a.user.Name] = a
		s.users = append(s.users, a.user)
		s.withCodes = s.withCodes || a.secret != ""
		s.withCertificates = s.withCertificates || a.login != byPassword
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
// most users do.
func commonest(s *state) passwordHash {
	var best passwordHash
	count, most := map[string]int{}, 0
	for _, u := range s.users {
		h := s.accounts[u.Name].hash
		if h == nil {
			continue
		}
		count[h.cost()]++
		if n := count[h.cost()]; n > most {
			best, most = h, n
		}
	}
	if best == nil {
		return standardHash()
	}
	return best
}

// group reads one group and checks it as far as that can be done without a user.
func (p *parser) group(raw yamlfile.Raw) {
	e := entry{Enabled: true}
	raw.Decode(&e)
	c := checker{p.doc, raw.Key, p.rules}
	c.name(e.Name)
	for _, key := range personal {
		if p.doc.Has(raw.Key + "." + key) {
			c.problem(key, "belongs to a user and cannot stand in a group; remove it")
		}
	}
	if _, ok := p.groups[e.Name]; ok {
		c.problem("name", "a second group of the name %q; remove one", e.Name)
		return
	}
	c.bounds(e)
	if len(e.Mounts) > 0 {
		c.mounts(e.Mounts, userMark)
	}
	p.groups[e.Name] = e
}

// user reads one user over the defaults of its group.
func (p *parser) user(raw yamlfile.Raw) account {
	c := checker{p.doc, raw.Key, p.rules}
	e := entry{Enabled: true, Login: byPassword}
	if name := raw.Text("group"); name != "" {
		g, ok := p.groups[name]
		if !ok {
			c.problem("group", "there is no group %q", name)
		}
		e = g
		e.Name, e.Enabled = "", true
		if e.Login == "" {
			e.Login = byPassword
		}
	}
	raw.Decode(&e)
	c.name(e.Name)
	c.bounds(e)
	if e.PasswordHash == "" {
		e.PasswordHash = p.hashes[e.Name]
	}
	a := c.account(e)
	if p.doc.Has(raw.Key+".mounts") || len(e.Mounts) == 0 {
		a.user.Mounts = c.mounts(e.Mounts, e.Name)
	} else {
		// What is wrong with a group's mounts was said of the group, but for the name in them.
		group := checker{p.doc, raw.Key + ".name", p.rules}
		for _, m := range e.Mounts {
			if strings.Contains(m.Path+m.Prefix, userMark) && strings.Contains(e.Name, "/") {
				c.problem("name", "%q has a slash and cannot stand for %s in the mounts of its group", e.Name, userMark)
			}
		}
		a.user.Mounts = group.mounts(e.Mounts, e.Name)
	}
	return a
}

// checker checks the values of one user, group or mount.
type checker struct {
	doc   *yamlfile.Document
	key   string
	rules Rules
}

func (c checker) problem(key, format string, args ...any) {
	c.doc.Problem(c.key+"."+key, format, args...)
}

func (c checker) report(key string, err error) {
	if err != nil {
		c.problem(key, "%v", err)
	}
}

func (c checker) name(name string) {
	if fault := nameFault(name); fault != "" {
		c.problem("name", "%s", fault)
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

// bounds checks what a group may have too.
func (c checker) bounds(e entry) {
	for i, verb := range e.DeniedCommands {
		if c.rules.Command != nil {
			c.report(fmt.Sprintf("denied_commands[%d]", i), c.rules.Command(strings.ToUpper(verb)))
		}
	}
	if e.MaxSessions < 0 {
		c.problem("max_sessions", "%d is below 0; 0 is no bound", e.MaxSessions)
	}
	if e.Quota.Files < 0 {
		c.problem("quota.files", "%d is below 0; 0 is no bound", e.Quota.Files)
	}
	zone := e.TimeZone.location()
	if !e.ValidFrom.IsZero() && !e.ValidUntil.IsZero() && !e.ValidFrom.begin(zone).Before(e.ValidUntil.end(zone)) {
		c.problem("valid_until", "is before valid_from")
	}
}

// account is a user with what proves who it is.
func (c checker) account(e entry) account {
	a := account{text: e.PasswordHash, login: e.Login, enabled: e.Enabled, user: userOf(e)}
	a.user.proof = strings.Join(append([]string{string(e.Login), e.PasswordHash, e.TOTPSecret}, e.Certificates...), "\x00")
	var err error
	if e.PasswordHash != "" {
		a.hash, err = parseHash(e.PasswordHash)
		c.report("password_hash", err)
	} else if e.Login != byCertificate {
		c.problem("password_hash", "missing; make one with: sluice user hash")
	}
	if e.TOTPSecret != "" {
		a.secret, err = parseSecret(e.TOTPSecret)
		c.report("totp_secret", err)
	}
	for i, text := range e.Certificates {
		key := fmt.Sprintf("certificates[%d]", i)
		c.report(key, a.certificates.add(text))
		if len(a.certificates.subjects) > 0 && !c.rules.Subjects {
			c.problem(key, "a subject needs tls.client_ca_file in the configuration; or give the fingerprint")
		}
	}
	if e.Login != byPassword && len(e.Certificates) == 0 {
		c.problem("certificates", "missing; login: %s needs one", e.Login)
	}
	return a
}

// userOf is what an entry says about a user, but for its mounts and its proof.
func userOf(e entry) *User {
	zone := e.TimeZone.location()
	u := &User{
		Name: e.Name,
		Limits: Limits{
			Sessions: e.MaxSessions, UploadSize: int64(e.MaxUploadSize),
			Bytes: int64(e.Quota.Bytes), Files: int64(e.Quota.Files),
			Upload: int64(e.Bandwidth.Upload), Download: int64(e.Bandwidth.Download),
		},
		Denied: upper(e.DeniedCommands),
		TLS:    TLS{MinVersion: uint16(e.TLS.MinVersion), Reuse: Reuse(e.TLS.Reuse)},
		when:   schedule{hours: e.LoginHours, zone: zone},
		where:  networks{allow: Prefixes(e.AllowFrom), deny: Prefixes(e.DenyFrom)},
	}
	if !e.ValidFrom.IsZero() {
		u.when.from = e.ValidFrom.begin(zone)
	}
	if !e.ValidUntil.IsZero() {
		u.when.until = e.ValidUntil.end(zone)
	}
	return u
}

func upper(verbs []string) []string {
	all := make([]string, 0, len(verbs))
	for _, v := range verbs {
		all = append(all, strings.ToUpper(v))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
