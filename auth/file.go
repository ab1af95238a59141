package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// File is the users file as a source of users. It may be used by any number of goroutines.
type File struct {
	path  string
	rules Rules
	key   []byte
	slots slots

	reload sync.Mutex
	state  atomic.Pointer[state]

	// verify is a field so that tests can count.
	verify func(h passwordHash, password string) bool
}

// Rules are what mounts have to keep that only the caller can know. Their errors say what is wrong
// and how to mend it.
type Rules struct {
	// Backend refuses a name that is not that of a backend; nil takes any.
	Backend func(name string) error
	// Prefix refuses a prefix that cannot be a key; nil takes any that is clean.
	Prefix func(prefix string) error
}

// state is one version of the file. Everything remembered about it goes with it.
type state struct {
	sum      [sha256.Size]byte // of the file
	users    []*User
	accounts map[string]account
	// stranger stands in for a user that does not exist.
	stranger account
	memory   *memory
}

// account is a user with what proves that it is them.
type account struct {
	user *User
	text string
	hash passwordHash
}

// OpenFile reads the users file at path and holds it to rules, now and in every Reload. All that is
// wrong with it is reported at once, as yamlfile.Problems.
func OpenFile(path string, rules Rules) (*File, error) {
	f := &File{
		path:   path,
		rules:  rules,
		key:    random(32),
		slots:  make(slots, runtime.GOMAXPROCS(0)),
		verify: passwordHash.verify,
	}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again. It is taken whole or, when anything is wrong with it, not at all.
// Passwords that were remembered are forgotten, unless the file is the same to the byte.
func (f *File) Reload() error {
	f.reload.Lock()
	defer f.reload.Unlock()
	data, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("auth: users file: %w", err)
	}
	sum := sha256.Sum256(data)
	if old := f.state.Load(); old != nil && old.sum == sum {
		return nil
	}
	s, err := parseUsers(f.path, data, f.rules)
	if err != nil {
		return err
	}
	s.sum, s.memory = sum, newMemory(f.key)
	f.state.Store(s)
	return nil
}

// Users returns the users in the order of the file. They are not to be changed.
func (f *File) Users() []*User { return f.state.Load().users }

// HashCosts returns what the users' hashes cost, each cost once. If there is more than one, the time
// that a login takes can tell who exists.
func (f *File) HashCosts() []string {
	s := f.state.Load()
	costs := map[string]bool{}
	for _, a := range s.accounts {
		costs[a.hash.cost()] = true
	}
	return slices.Sorted(maps.Keys(costs))
}

// Authenticate implements Authenticator. It hashes the password unless the same one was good before;
// when all processors are busy with that, it waits as long as ctx allows.
func (f *File) Authenticate(ctx context.Context, l Login) (*User, error) {
	s := f.state.Load()
	a, ok := s.accounts[l.Name]
	if !ok {
		a = s.stranger
	}
	if ok && s.memory.knows(l.Name, a.text, l.Password) {
		return a.user, nil
	}
	if err := f.slots.acquire(ctx); err != nil {
		return nil, fmt.Errorf("auth: check the password of %q: %w", l.Name, err)
	}
	defer f.slots.release()
	// A client that opens ten connections at once waited for the first of them.
	if ok && s.memory.knows(l.Name, a.text, l.Password) {
		return a.user, nil
	}
	good := f.verify(a.hash, l.Password)
	if !ok || !good || l.Password == "" {
		return nil, ErrDenied
	}
	s.memory.add(l.Name, a.text, l.Password)
	return a.user, nil
}
