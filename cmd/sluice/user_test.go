//go:build linux

package main

import (
	"bytes"
	"image/color"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"
)

// What is typed on a terminal is asked for, and seen nowhere.
func TestUserTerminal(t *testing.T) {
	path := usersAt(t, "acme")
	for _, c := range []struct {
		args  string
		typed []string
		code  int
		want  string
	}{
		{"add bolt --backend disk", []string{"sesame", "sesame"}, exitOK, "^Password: \nOnce more: \n" + path + ": bolt added\n$"},
		{"verify bolt", []string{"sesame"}, exitOK, "^Password: \n" + path + ": bolt: the password is right\n$"},
		{"passwd acme", []string{"sesame", "Sesame"}, exitFailure, "the two passwords differ; try again\n$"},
		{"verify acme", []string{"sesame"}, exitFailure, "the password is wrong\n$"},
		{"passwd acme", []string{"sesame", "sesame"}, exitOK, "acme has a new password\n$"},
		{"verify acme", []string{"sesame"}, exitOK, "the password is right\n$"},
		{"add bolt --backend disk", nil, exitFailure, "^sluice: user add: .*has a user \"bolt\" already\n.*\n$"},
		{"passwd nobody", nil, exitFailure, "^sluice: user passwd: .* has no user \"nobody\"\n.*\n$"},
		{"verify nobody", nil, exitFailure, "^sluice: user verify: .* has no user \"nobody\"\n.*\n$"},
		{"totp nobody", nil, exitFailure, "^sluice: user totp: .* has no user \"nobody\"\n.*\n$"},
	} {
		user, program := terminal(t)
		p := &typist{terminal: user, lines: c.typed}
		args := append([]string{"user"}, append(strings.Fields(c.args), "--users", path)...)
		code := run(t.Context(), args, program, p, p)
		if seen := p.seen.String(); code != c.code || !regexp.MustCompile(c.want).MatchString(seen) || strings.Contains(strings.ToLower(seen), "sesame") {
			t.Errorf("%s: %d %q", c.args, code, seen)
		}
	}
}

// phone answers prompts for a code. It reads the secret from the URI.
type phone struct {
	terminal *os.File
	out      *bytes.Buffer
	// wrong is how many wrong codes come first.
	wrong int
	seen  strings.Builder
}

func (p *phone) Write(b []byte) (int, error) {
	p.seen.Write(b)
	if !strings.HasSuffix(string(b), ": ") {
		return len(b), nil
	}
	u, err := url.Parse(strings.TrimSpace(p.out.String()))
	if err != nil {
		return 0, err
	}
	code, err := totp.GenerateCode(u.Query().Get("secret"), time.Now())
	if err != nil {
		return 0, err
	}
	if p.wrong > 0 {
		p.wrong--
		code = strings.Map(func(r rune) rune { return '0' + (r-'0'+5)%10 }, code)
	}
	_, err = io.WriteString(p.terminal, code[:3]+" "+code[3:]+"\n")
	return len(b), err
}

// On a terminal a secret counts only when the app has it.
func TestUserTOTPTerminal(t *testing.T) {
	for wrong, code := range map[int]int{0: exitOK, 2: exitOK, 3: exitFailure} {
		path := usersAt(t, "a")
		before := readFile(t, path)
		user, program := terminal(t)
		var out bytes.Buffer
		p := &phone{terminal: user, out: &out, wrong: wrong}
		if got := run(t.Context(), []string{"user", "totp", "a", "--users", path}, program, &out, p); got != code {
			t.Errorf("%d wrong codes: %d %s", wrong, got, &p.seen)
		}
		u, err := url.Parse(strings.TrimSpace(out.String()))
		if err != nil {
			t.Fatal(err)
		}
		secret := u.Query().Get("secret")
		want := strings.Replace(before, "\n    password", "\n    totp_secret: \""+secret+"\"\n    password", 1)
		if code != exitOK {
			want = before
		}
		if diff := cmp.Diff(want, readFile(t, path)); diff != "" || len(secret) != 32 || strings.Contains(p.seen.String(), secret) {
			t.Error(diff, &p.seen)
		}
	}
}

// The QR code is drawn on a terminal, and says what the line below it does.
func TestUserTOTPDrawn(t *testing.T) {
	path := usersAt(t, "a")
	for _, args := range [][]string{{}, {"--no-qr"}} {
		user, program := terminal(t)
		var seen []byte
		var g sync.WaitGroup
		g.Go(func() { seen, _ = io.ReadAll(user) }) // it ends with an error when the program does
		code := run(t.Context(), append([]string{"user", "totp", "a", "--users", path}, args...), strings.NewReader(""), program, io.Discard)
		check0(t, program.Close())
		g.Wait()
		text := strings.ReplaceAll(string(seen), "\r\n", "\n")
		drawn, uri, _ := strings.Cut(text, "otpauth:")
		if code != exitOK || !strings.HasPrefix(uri, "//totp/Sluice:a?secret=") || (drawn == "") != (len(args) == 1) {
			t.Errorf("%v: %d %s", args, code, text)
		}
		if drawn != "" {
			checkDrawn(t, drawn, "otpauth:"+strings.TrimSpace(uri))
		}
	}
}

func TestQRText(t *testing.T) {
	for _, text := range []string{"a", "otpauth://totp/Sluice:ä?secret=x", strings.Repeat("x", 500)} {
		drawn, err := qrText(text)
		if err != nil {
			t.Fatal(err)
		}
		checkDrawn(t, drawn, text)
	}
	if drawn, err := qrText(strings.Repeat("x", 5000)); err == nil {
		t.Error(drawn)
	}
}

// checkDrawn reads the modules back from the characters: those of text, in a light margin.
func checkDrawn(t *testing.T, drawn, text string) {
	t.Helper()
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	size := code.Bounds().Dx()
	var got [][]rune
	for line := range strings.Lines(drawn) {
		got = append(got, []rune(strings.TrimSuffix(line, "\n")))
	}
	if len(got) != (size+8+1)/2 {
		t.Fatalf("%d lines for %d modules", len(got), size)
	}
	for y := range 2 * len(got) {
		line := got[y/2]
		if len(line) != size+8 {
			t.Fatalf("%d columns for %d modules", len(line), size)
		}
		for x, r := range line {
			light := strings.ContainsRune([]string{"█▀", "█▄"}[y%2], r)
			dark := x >= 4 && y >= 4 && x < size+4 && y < size+4 && isDark(code.At(x-4, y-4))
			if light == dark || !strings.ContainsRune("█▀▄ ", r) {
				t.Fatalf("%q at %d, %d", r, x, y)
			}
		}
	}
}

func isDark(c color.Color) bool { return c == color.Black }
