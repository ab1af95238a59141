package auth

import (
	"fmt"
	"strings"
)

// parseHtpasswd reads name:hash lines, as Apache's htpasswd -B writes them. Other hashes than those of a
// users file are refused: they are too weak.
func parseHtpasswd(file string, data []byte) (map[string]string, error) {
	hashes := map[string]string{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, _ := strings.Cut(line, ":")
		if fault := nameFault(name); fault != "" {
			return nil, fmt.Errorf("%s:%d: the name %s", file, number, fault)
		}
		if _, err := parseHash(hash); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, number, err)
		}
		if _, ok := hashes[name]; ok {
			return nil, fmt.Errorf("%s:%d: a second line for %q; remove one", file, number, name)
		}
		hashes[name] = hash
	}
	return hashes, nil
}
