package auth_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-ftp/sluice/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Cheap hashes of "secret", made with the reference implementations: argon2(1) and htpasswd(1).
const (
	argon  = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$Sm3MnLdCFk0Af+croKgebRoqqmhbKd88iiW3yUOXn78"
	argon3 = "$argon2id$v=19$m=256,t=3,p=2$c2FsdHNhbHRzYWx0$vK28zHSeqXi1Hv/jSNMWJu6XSWUOr7jx"
	// emptyArgon is that of no password at all.
	emptyArgon = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$pAiIwzHuhKatvpg/JaSxP+Kx/1FhbzKQz6raPoG60r8"
	bcrypt     = "$2y$04$IHhIu9LP0ijYNfDnOCVdt.mMLxTfUowDvROH7IXIW5gZRlfJ8swfG"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open returns a source with the users of text, and the path of its file.
func open(t testing.TB, text string) (*auth.File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, text)
	f, err := auth.OpenFile(path, auth.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	return f, path
}

// user is the text of one with a mount on everything.
func user(name, hash string) string {
	return "  - name: " + name + "\n    password_hash: '" + hash + "'\n" +
		"    mounts: [{path: /, backend: disk, prefix: " + name + "/, permissions: [list, read, write]}]\n"
}
