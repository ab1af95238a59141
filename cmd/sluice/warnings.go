package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sluice-ftp/sluice/auth"
	"github.com/sluice-ftp/sluice/backends/gcs"
	"github.com/sluice-ftp/sluice/gateway"
)

// warning is something that works and should not stay as it is.
type warning struct{ file, text string }

func (w warning) String() string { return w.file + ": warning: " + w.text }

// warnings are those about the files that hold secrets, and about what is missed for lack of one.
func (r *resources) warnings(c *config) []warning {
	var found []warning
	secret := []string{c.UsersFile}
	if c.TLS.Mode != gateway.TLSOff {
		for _, p := range c.keyPairs() {
			secret = append(secret, p.KeyFile)
		}
	}
	for _, file := range secret {
		info, err := os.Stat(file)
		if err == nil && info.Mode().Perm()&0o004 != 0 {
			found = append(found, warning{file, fmt.Sprintf(
				"every user of this machine may read it (mode %04o); take that away: chmod o-r", info.Mode().Perm())})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.stores)) {
		if s, ok := c.stores[name].(*gcsStore); ok && s.keyless() {
			found = append(found, warning{c.path, fmt.Sprintf("backends.%s: uploads that break off are not kept: there is no "+
				"session_key; make one with: openssl rand -base64 %d, or set resumable.enabled to false", name, gcs.KeySize)})
		}
	}
	if r.users == nil {
		return found
	}
	if costs := r.users.HashCosts(); len(costs) > 1 {
		found = append(found, warning{c.UsersFile, fmt.Sprintf(
			"password hashes cost differently (%s), so how long a login takes may tell which users exist; "+
				"make all of one kind: sluice user hash", strings.Join(costs, "; "))})
	}
	return append(found, r.refused(c)...)
}

// refused warns of users whose uploads will all be refused, once for each backend.
func (r *resources) refused(c *config) []warning {
	var found []warning
	for _, name := range slices.Sorted(maps.Keys(c.stores)) {
		var users []string
		for _, u := range r.users.Users() {
			refused := func(m auth.Mount) bool {
				return m.Backend == name && m.Permissions.Has(auth.Write) && !m.Permissions.Has(auth.Overwrite)
			}
			if slices.ContainsFunc(u.Mounts, refused) {
				users = append(users, u.Name)
			}
		}
		if len(users) == 0 || c.stores[name].conditional() {
			continue
		}
		found = append(found, warning{c.UsersFile, fmt.Sprintf(
			"%s can store nothing in backend %q: its profile has no conditional writes, so nothing there can tell a new "+
				"name from an old one; give the permission overwrite, or ask sluice doctor for a profile that fits better",
			enumerate(users), name)})
	}
	return found
}

// enumerate names the first of some users.
func enumerate(users []string) string {
	const most = 3
	if len(users) <= most {
		return strings.Join(users, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(users[:most], ", "), len(users)-most)
}
