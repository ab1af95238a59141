package main

import (
	"os"

	"github.com/sluice-ftp/sluice/yamlfile"
)

// userEntry is what the users file says of a user in words, and a login does not tell.
type userEntry struct {
	enabled, group, login string
	totp                  bool
}

// entries returns what the file says of its users. Only a file that was read without a problem has
// all of them.
func (f *userFile) entries() (map[string]userEntry, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	return parseEntries(f.path, data)
}

func parseEntries(path string, data []byte) (map[string]userEntry, error) {
	doc, err := yamlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	var file struct {
		Groups []yamlfile.Raw `yaml:"groups"`
		Users  []yamlfile.Raw `yaml:"users"`
	}
	doc.Decode(&file)
	logins := map[string]string{}
	for _, g := range file.Groups {
		logins[g.Text("name")] = g.Text("login")
	}
	entries := map[string]userEntry{}
	for _, u := range file.Users {
		e := userEntry{
			enabled: u.Text("enabled"),
			group:   u.Text("group"),
			login:   u.Text("login"),
			totp:    u.Text("totp_secret") != "",
		}
		if e.login == "" {
			e.login = logins[e.group]
		}
		entries[u.Text("name")] = e
	}
	return entries, nil
}
