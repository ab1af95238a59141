package storefake

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// ID returns the n-th of the IDs that a fake gives away: longer than anyone may hope, sorted by n.
func ID(n int) string {
	noise := sha256.Sum256([]byte(strconv.Itoa(n)))
	return fmt.Sprintf("%012x.", n) + strings.Repeat(base64.RawURLEncoding.EncodeToString(noise[:]), 2)
}
