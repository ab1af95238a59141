package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// memory holds the last password that was verified for each user, so that a client that logs in for
// every file costs one hash and not thousands. It holds no password but a keyed hash of it: without
// the key, which lives as long as the process, an argon2id hash is not easier to guess than before.
type memory struct {
	key []byte

	mu   sync.Mutex
	seen map[string][sha256.Size]byte
}

func newMemory(key []byte) *memory {
	return &memory{key: key, seen: map[string][sha256.Size]byte{}}
}

func (m *memory) knows(name, hash, password string) bool {
	sum := m.sum(name, hash, password)
	m.mu.Lock()
	seen, ok := m.seen[name]
	m.mu.Unlock()
	return ok && hmac.Equal(sum[:], seen[:])
}

func (m *memory) add(name, hash, password string) {
	sum := m.sum(name, hash, password)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[name] = sum
}

// sum puts the length before each part, so that no two logins are one text.
func (m *memory) sum(parts ...string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, m.key)
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	h.Sum(sum[:0])
	return sum
}
