package auth_test

import (
	"strings"
	"testing"

	"github.com/sluice-ftp/sluice/auth"
)

func TestVerify(t *testing.T) {
	long := strings.Repeat("a", 72)
	for name, c := range map[string]struct {
		hash, password string
		want           bool
	}{
		"argon2id":                {argon, "secret", true},
		"argon2id, more lanes":    {argon3, "secret", true},
		"argon2id, wrong":         {argon, "Secret", false},
		"argon2id, empty":         {argon, "", false},
		"bcrypt 2y":               {bcrypt, "secret", true},
		"bcrypt 2b":               {"$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "secret", true},
		"bcrypt 2a":               {"$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "secret", true},
		"bcrypt, wrong":           {bcrypt, "secrets", false},
		"bcrypt, empty":           {bcrypt, "", false},
		"bcrypt, cut at 72":       {"$2y$04$o.6CVWKno/pmSQJSKfU/feGH5eyrwgo9qclDMaWOg0HzJ5dBUeIme", long + "b", true},
		"bcrypt, less than 72":    {"$2y$04$o.6CVWKno/pmSQJSKfU/feGH5eyrwgo9qclDMaWOg0HzJ5dBUeIme", long[1:], false},
		"bcrypt, a long stranger": {bcrypt, strings.Repeat("x", 4000), false},
	} {
		got, err := auth.Verify(c.hash, c.password)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
}

func TestVerifyRefusesHash(t *testing.T) {
	const tail = "$c2FsdHNhbHRzYWx0$Sm3MnLdCFk0Af+croKgebRoqqmhbKd88iiW3yUOXn78"
	for hash, want := range map[string]string{
		"secret":                      "neither",
		"$2x$04" + bcrypt[6:]:         "neither",
		"$2y$03" + bcrypt[6:]:         "neither",
		"$2y$17" + bcrypt[6:]:         "costs more",
		"$2y$99" + bcrypt[6:]:         "neither",
		bcrypt[:59]:                   "neither",
		bcrypt + "x":                  "neither",
		"$argon2i$" + argon[10:]:      "neither",
		"$argon2id$v=16" + argon[14:]: "neither",
		argon + "=":                   "neither",
		argon + "\n":                  "neither",
		argon[:len(argon)-1] + "9":    "neither", // bits that stand for nothing
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2F" + tail[17:]: "neither", // the same in the salt
		"$argon2id$v=19$m=7,t=1,p=1" + tail:                           "neither",
		"$argon2id$v=19$m=15,t=1,p=2" + tail:                          "neither",
		"$argon2id$v=19$m=64,t=0,p=1" + tail:                          "neither",
		"$argon2id$v=19$m=64,t=1,p=0" + tail:                          "neither",
		"$argon2id$v=19$m=1048577,t=1,p=1" + tail:                     "costs more",
		"$argon2id$v=19$m=1048576,t=5,p=1" + tail:                     "costs more",
		"$argon2id$v=19$m=64,t=4000000000,p=1" + tail:                 "costs more",
		"$argon2id$v=19$m=9999999999,t=9999999999,p=1" + tail:         "costs more",
		"$argon2id$v=19$m=640,t=1,p=65" + tail:                        "costs more",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdA" + tail[17:]:              "too short",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHQ":    "too short",
	} {
		_, err := auth.Verify(hash, "secret")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", hash, err, want)
		}
		if err != nil && strings.Contains(err.Error(), hash) {
			t.Errorf("the error quotes what may be a password: %v", err)
		}
	}
}

func TestHash(t *testing.T) {
	a, err := auth.Hash("pässword")
	if err != nil {
		t.Fatal(err)
	}
	b, err := auth.Hash("pässword")
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Error("two hashes have one salt")
	}
	if !strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(a)
	}
	if ok, err := auth.Verify(a, "pässword"); !ok || err != nil {
		t.Error(ok, err)
	}
	if _, err := auth.Hash(""); err == nil {
		t.Error("an empty password was hashed")
	}
}
