package auth

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// File is the users file as a source of users. It may be used by any number of goroutines.
type File struct {
	path  string
	rules Rules
	key   []byte
	slots slots

	reload sync.Mutex
	state  atomic.Pointer[state]
	ca     atomic.Pointer[ClientCA]
	codes  codes

	// verify and now are fields so that tests can count and wait.
	verify func(h passwordHash, password string) bool
	now    func() time.Time
}

// Rules are what mounts have to keep that only the caller can know. Their errors say what is wrong
// and how to mend it.
type Rules struct {
	// Backend refuses a name that is not that of a backend; nil takes any.
	Backend func(name string) error
	// Prefix refuses a prefix that cannot be a key; nil takes any that is clean.
	Prefix func(prefix string) error
	// Command refuses a name in upper case that is not that of a command; nil takes any.
	Command func(verb string) error
	// Subjects: there are authorities that prove the subjects of client certificates.
	Subjects bool
}

// state is one version of the file. Everything remembered about it goes with it.
type state struct {
	sum      [sha256.Size]byte // of the file, and the password file
	users    []*User
	accounts map[string]account
	// stranger stands in for a user that does not exist.
	stranger account
	memory   *memory
	// passwordFile is the other file that passwords are in; "" is none.
	passwordFile string
	// withCodes and withCertificates: some user needs a one-time code, or a certificate.
	withCodes, withCertificates bool
}

// account is a user with what proves that it is them.
type account struct {
	user    *User
	enabled bool
	login   method
	text    string
	hash    passwordHash // nil where there is no password
	// secret is that of the one-time codes; "" is none.
	secret       string
	certificates certificates
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
		now:    time.Now,
		codes:  codes{used: map[string]usedCode{}},
	}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again, and the password file that it may name. It is taken whole or, when
// anything is wrong with it, not at all. Passwords that were remembered are forgotten, unless the files
// are the same to the byte.
func (f *File) Reload() error {
	f.reload.Lock()
	defer f.reload.Unlock()
	data, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("auth: users file: %w", err)
	}
	sum := sha256.New()
	sum.Write(data)
	other := ""
	s, err := parseUsers(f.path, data, func(file string) (map[string]string, error) {
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(f.path), file)
		}
		other = file
		lines, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum.Write(lines)
		return parseHtpasswd(file, lines)
	}, f.rules)
	if err != nil {
		return err
	}
	s.passwordFile = other
	s.sum, s.memory = [sha256.Size]byte(sum.Sum(nil)), newMemory(f.key)
	if old := f.state.Load(); old == nil || old.sum != s.sum {
		f.state.Store(s)
	}
	return nil
}

// PasswordFile is the path of the password file that the users file names, or "".
func (f *File) PasswordFile() string { return f.state.Load().passwordFile }

// SetClientCA sets the authorities that prove the subjects of client certificates.
func (f *File) SetClientCA(ca *ClientCA) { f.ca.Store(ca) }

// WithCertificates reports whether clients are to be asked for a certificate.
func (f *File) WithCertificates() bool { return f.state.Load().withCertificates }

// Users returns the users in the order of the file. They are not to be changed.
func (f *File) Users() []*User { return f.state.Load().users }

// HashCosts returns what the users' hashes cost, each cost once. If there is more than one, the time
// that a login takes can tell who exists.
func (f *File) HashCosts() []string {
	s := f.state.Load()
	costs := map[string]bool{}
	for _, a := range s.accounts {
		if a.hash != nil {
			costs[a.hash.cost()] = true
		}
	}
	return slices.Sorted(maps.Keys(costs))
}
