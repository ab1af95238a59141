package yamlfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written like 65536, 256KiB or 2TiB.
type Size int64

var units = []struct {
	name  string
	shift int
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

var errSize = errors.New("is not a size; write bytes like 65536, or 256KiB, 1MiB")

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	digits, shift := string(text), 0
	for _, u := range units {
		if d, ok := strings.CutSuffix(digits, u.name); ok {
			digits, shift = strings.TrimSpace(d), u.shift
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 62)
	// A leading zero means octal to some and nothing to others.
	if err != nil || n > 1<<(62-shift) || len(digits) > 1 && digits[0] == '0' {
		return fmt.Errorf("%q %w", text, errSize)
	}
	*s = Size(n << shift)
	return nil
}

// String is the shortest form that UnmarshalText reads.
func (s Size) String() string {
	for _, u := range units {
		if s > 0 && s%(1<<u.shift) == 0 && u.shift > 0 {
			return fmt.Sprintf("%d%s", s>>u.shift, u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
