package auth

import (
	"fmt"
	"math/bits"
	"strings"
)

// names are the permissions as they are written in a users file, in the order of their bits.
var names = [...]string{"list", "read", "write", "overwrite", "append", "delete", "rename", "mkdir"}

// permission is one of them.
type permission Permissions

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *permission) UnmarshalText(text []byte) error {
	for i, name := range names {
		if name == string(text) {
			*p = 1 << i
			return nil
		}
	}
	return fmt.Errorf("unknown permission %q; there are %s", text, permissionNames())
}

func permissionNames() string { return strings.Join(names[:], ", ") }

// String returns the names with commas between them.
func (p Permissions) String() string {
	var s []string
	for b := uint16(p & All); b != 0; b &= b - 1 {
		s = append(s, names[bits.TrailingZeros16(b)])
	}
	return strings.Join(s, ",")
}
