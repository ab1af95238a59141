package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// What Hash makes: the first choice of the OWASP password storage cheat sheet for argon2id.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	hashSalt    = 16
	hashKey     = 32
)

// Bounds of the hashes that are accepted. Any client may cause the work, so a cost that no login
// should have is a mistake in the file.
const (
	maxMemory     = 1 << 20 // KiB
	maxWork       = 4 << 20 // KiB times passes
	maxThreads    = 64
	maxBcryptCost = 16
)

var (
	errNotHash  = errors.New("neither an argon2id nor a bcrypt hash; make one with: sluice user hash")
	errHashCost = errors.New("a hash that costs more than a login may; make one with: sluice user hash")
	errHashWeak = errors.New("a hash with a too short salt or key; make one with: sluice user hash")
)

// passwordHash is a stored password.
type passwordHash interface {
	// verify reports whether password is the one. It always does all of the work.
	verify(password string) bool
	// dummy returns a hash of the same cost that no password is known of.
	dummy() passwordHash
	// cost is equal for hashes that take the same time.
	cost() string
}

// Hash returns the argon2id hash of password for a users file. It is never the same twice.
func Hash(password string) (string, error) {
	if password == "" {
		return "", errors.New("auth: an empty password")
	}
	h := argonHash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: random(hashSalt)}
	h.key = argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, hashKey)
	return h.String(), nil
}

// standardHash is one of no password, that costs what those of Hash do.
func standardHash() passwordHash {
	return argonHash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: random(hashSalt), key: random(hashKey)}
}

// parseHash reads a hash as it stands in a users file. Its errors do not quote it: it may be a
// password that someone wrote there.
func parseHash(s string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon(s)
	case bcryptForm.MatchString(s):
		return parseBcrypt(s)
	}
	return nil, errNotHash
}

type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

var argonForm = regexp.MustCompile(`^\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`)

func parseArgon(s string) (passwordHash, error) {
	f := argonForm.FindStringSubmatch(s)
	if f == nil {
		return nil, errNotHash
	}
	var n [3]uint64
	for i := range n {
		n[i], _ = strconv.ParseUint(f[i+1], 10, 64) // the form has digits only, and few
	}
	memory, time, threads := n[0], n[1], n[2]
	if memory > maxMemory || time > maxWork || memory*time > maxWork || threads > maxThreads {
		return nil, errHashCost
	}
	// RFC 9106 section 3.1: at least one pass, one lane, and 8 KiB for each lane.
	if time < 1 || threads < 1 || memory < 8*threads {
		return nil, errNotHash
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(f[4])
	key, err2 := base64.RawStdEncoding.Strict().DecodeString(f[5])
	switch {
	case err1 != nil || err2 != nil:
		return nil, errNotHash
	case len(salt) < 8 || len(key) < 16:
		return nil, errHashWeak
	case len(salt) > 256 || len(key) > 256:
		return nil, errHashCost
	}
	return argonHash{uint32(memory), uint32(time), uint8(threads), salt, key}, nil
}

func (h argonHash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", h.memory, h.time, h.threads, b64(h.salt), b64(h.key))
}

func (h argonHash) verify(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func (h argonHash) dummy() passwordHash {
	h.salt, h.key = random(len(h.salt)), random(len(h.key))
	return h
}

func (h argonHash) cost() string {
	return fmt.Sprintf("argon2id m=%d t=%d p=%d", h.memory, h.time, h.threads)
}

// bcryptHash is one of $2a$, $2b$ or $2y$. Bcrypt sees 72 bytes of a password and no more; the tools
// that made such hashes cut longer ones, and so does verify.
type bcryptHash string

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$`)

func parseBcrypt(s string) (passwordHash, error) {
	cost, err := bcrypt.Cost([]byte(s))
	if err != nil {
		return nil, errNotHash
	}
	if cost > maxBcryptCost {
		return nil, errHashCost
	}
	return bcryptHash(s), nil
}

func (h bcryptHash) verify(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(password)) == nil
}

func (h bcryptHash) dummy() passwordHash {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	d := []byte(h)
	for i, b := range random(len(d)) {
		if i >= len("$2a$10$") {
			d[i] = alphabet[b%64]
		}
	}
	// The last characters of salt and key stand for fewer than six bits.
	d[28], d[59] = '.', '.'
	return bcryptHash(d)
}

func (h bcryptHash) cost() string { return "bcrypt " + string(h[4:6]) }

// random returns n bytes that nobody can guess; crypto/rand.Read never fails.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// slots bound how many passwords are hashed at once: each takes a processor and the memory that its
// hash asks for, and a flood of logins must not take more.
type slots chan struct{}

func (s slots) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) release() { <-s }
