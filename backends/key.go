package backends

import (
	"errors"
	"path"
	"strings"
	"unicode/utf8"
)

// MaxKey is the longest key in bytes, with the prefix that an adapter puts before it: what S3 and
// GCS allow.
const MaxKey = 1024

// Private is the first element of every key that Sluice keeps for itself in a store. It is never
// listed and no client can reach it.
const Private = ".sluice"

// Reasons for a key to be refused; CleanKey wraps them.
var (
	errNotUTF8 = errors.New("not valid UTF-8")
	errControl = errors.New("contains NUL, CR or LF")
	errTooLong = errors.New("longer than 1,024 bytes")
	errPrivate = errors.New("reserved for Sluice")
	errElement = errors.New("has an empty or dot element")
	errSlash   = errors.New("begins or ends with a slash")
)

// CleanKey turns a path as a client may write it into a key: relative, separated by single slashes,
// without dot elements and never above the root, which is "". It refuses with InvalidName what no
// store could hold or what would break a listing: invalid UTF-8, NUL, CR, LF, more than MaxKey
// bytes, and the private prefix.
func CleanKey(p string) (string, error) {
	key := strings.TrimPrefix(path.Clean("/"+p), "/")
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return key, nil
}

// CheckKey returns an error of kind InvalidName unless key is one that CleanKey may return. Adapters
// call it first, so that a key which did not come from CleanKey cannot do harm.
func CheckKey(key string) error {
	if err := keyFault(key); err != nil {
		return &Error{Op: "check", Key: key, Kind: InvalidName, Err: err}
	}
	return nil
}

func keyFault(key string) error {
	switch {
	case key == "":
		return nil
	case len(key) > MaxKey:
		return errTooLong
	case !utf8.ValidString(key):
		return errNotUTF8
	case strings.ContainsAny(key, "\x00\r\n"):
		return errControl
	case key[0] == '/' || key[len(key)-1] == '/':
		return errSlash
	case key == Private || strings.HasPrefix(key, Private+"/"):
		return errPrivate
	case path.Clean("/"+key) != "/"+key:
		return errElement
	}
	return nil
}
