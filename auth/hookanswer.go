package auth

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// hookProof is what no user of a file has, whose proofs are of several parts.
const hookProof = "hook"

// notTheHooks are keys of a user in a file that an answer cannot have: it is the proof itself.
var notTheHooks = [...]string{"group", "enabled", "login", "password_hash", "totp_secret", "certificates"}

// parse turns an answer about name into the user. All that is wrong with it is yamlfile.Problems.
func (h *Hook) parse(name string, body []byte) (*User, error) {
	if !json.Valid(body) { // this also bounds how deep it is
		return nil, errNotJSON
	}
	if bytes.Count(body, []byte(",")) >= maxValues {
		return nil, errManyValues
	}
	doc, err := yamlfile.Parse(h.host, body)
	if err != nil {
		return nil, err
	}
	var whole struct {
		User yamlfile.Raw `yaml:"user"`
	}
	doc.Decode(&whole)
	if whole.User.Key == "" {
		doc.Problem("user", "missing")
		return nil, doc.Err()
	}
	var e entry
	whole.User.Decode(&e)
	c := checker{doc, whole.User.Key, h.rules}
	for _, key := range notTheHooks {
		if doc.Has(c.key + "." + key) {
			c.problem(key, "belongs in a users file and not in an answer; leave it out")
		}
	}
	if e.Name != "" && e.Name != name {
		c.problem("name", "is not the name that was asked about")
	}
	for _, m := range e.Mounts {
		if strings.Contains(m.Path+m.Prefix, userMark) && strings.Contains(name, "/") {
			c.problem("mounts", "%s cannot stand for a name with a slash", userMark)
		}
	}
	c.bounds(e)
	e.Name = name
	u := userOf(e)
	u.proof = hookProof // the answer is the proof
	u.Mounts = c.mounts(e.Mounts, name)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return u, nil
}
