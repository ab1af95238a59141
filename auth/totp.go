package auth

import (
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// One-time codes as RFC 6238 has them and all apps know them: six digits of SHA-1, new every 30 seconds.
const (
	codeDigits = 6
	codePeriod = 30 * time.Second
	codeSkew   = 1 // a clock may be one step wrong
	minSecret  = 16
)

var errSecret = errors.New("not a secret of 16 bytes or more in base32; make one with: sluice user totp")

// parseSecret holds a secret to the form that apps read. Its error does not quote it.
func parseSecret(s string) (string, error) {
	s = strings.TrimRight(strings.ToUpper(strings.ReplaceAll(s, " ", "")), "=")
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s)
	if err != nil || len(b) < minSecret {
		return "", errSecret
	}
	return s, nil
}

// splitCode takes the one-time code off the end of a password, if it may have one.
func splitCode(password string) (rest, code string, ok bool) {
	if len(password) <= codeDigits {
		return "", "", false
	}
	rest, code = password[:len(password)-codeDigits], password[len(password)-codeDigits:]
	return rest, code, allDigits(code)
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// codes remember which step's code each user has used last: none is good twice, nor one before it.
type codes struct {
	mu   sync.Mutex
	used map[string]usedCode
}

type usedCode struct {
	secret string
	step   int64
}

// use reports whether code is good for the secret now, and uses it up.
func (c *codes) use(name, secret, code string, now time.Time) bool {
	if len(code) != codeDigits || !allDigits(code) {
		return false
	}
	present := now.Unix() / int64(codePeriod/time.Second)
	found := int64(-1)
	for step := present - codeSkew; step <= present+codeSkew; step++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(max(step, 0)), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found = step
		}
	}
	if found < 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.used[name]; ok && last.secret == secret && found <= last.step {
		return false
	}
	c.used[name] = usedCode{secret, found}
	return true
}
