package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sluice-ftp/sluice/gateway"
)

// warning is something that works and should not stay as it is.
type warning struct{ file, text string }

func (w warning) String() string { return w.file + ": warning: " + w.text }

// warnings are those about the files that hold secrets.
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
	if r.users == nil {
		return found
	}
	if costs := r.users.HashCosts(); len(costs) > 1 {
		found = append(found, warning{c.UsersFile, fmt.Sprintf(
			"password hashes cost differently (%s), so how long a login takes may tell which users exist; "+
				"make all of one kind: sluice user hash", strings.Join(costs, "; "))})
	}
	return found
}
