package gcs

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
)

// KeySize is the bytes of a SessionKey.
const KeySize = 32

var errSeal = errors.New("the session of an upload was sealed with another key, or for another object")

// seal hides sessions in records: AES-256-GCM (NIST SP 800-38D) with random nonces, of which 2³² are
// safe with one key, bound to the object's name.
type seal struct{ aead cipher.AEAD }

func newSeal(key []byte) (*seal, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("%d bytes long, and has to be of %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &seal{aead}, err
}

// close makes of a session what may be stored.
func (s *seal) close(session, name string) string {
	return base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(session), []byte(name)))
}

// open is its reverse.
func (s *seal) open(sealed, name string) (string, error) {
	b, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return "", errSeal
	}
	session, err := s.aead.Open(nil, nil, b, []byte(name))
	if err != nil {
		return "", errSeal
	}
	return string(session), nil
}
