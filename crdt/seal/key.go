// Package seal protects secrets with the cluster key, which all replicas share: it
// seals and opens them, compares them by fingerprint and digests passwords.
//
// One text, the cluster key, yields independent sub keys by HKDF-SHA-256 (RFC 5869),
// so that publishing one (HAProxy's configuration holds the one for passwords) tells
// nothing about the others.
package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MinLength is the least number of characters of a cluster key.
const MinLength = 32

const (
	keySize = 32
	// shortSize is the length in bytes of salts and fingerprints.
	shortSize = 16
	// keyPrefix lets people and secret scanners recognise a generated key.
	keyPrefix = "sluice-key-"
)

// ErrShortKey says that a cluster key has less than MinLength characters.
var ErrShortKey = errors.New("the cluster key is too short")

// Key holds the sub keys of one cluster key. It is immutable, safe for concurrent use
// and prints as a placeholder.
type Key struct {
	wrap        []byte // wraps the file keys of boxes
	fingerprint []byte
	salt        []byte
	auth        []byte
	mesh        []byte
}

// Parse derives a Key from the cluster key's text: any text of at least MinLength
// characters once surrounding white space (the line end of a file) is removed. The
// error wraps ErrShortKey and never holds the text.
func Parse(text string) (*Key, error) {
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n < MinLength {
		return nil, fmt.Errorf("parse cluster key: %w: %d characters, want at least %d", ErrShortKey, n, MinLength)
	}
	var k Key
	for _, sub := range []struct {
		key  *[]byte
		info string
	}{
		{&k.wrap, "sluice/v1/wrap"},
		{&k.fingerprint, "sluice/v1/fingerprint"},
		{&k.salt, "sluice/v1/salt"},
		{&k.auth, "sluice/v1/auth"},
		{&k.mesh, "sluice/v1/mesh"},
	} {
		derived, err := hkdf.Key(sha256.New, []byte(text), nil, sub.info, keySize)
		if err != nil {
			return nil, fmt.Errorf("derive key %s: %w", sub.info, err)
		}
		*sub.key = derived
	}
	return &k, nil
}

// Generate returns the text of a new cluster key, 256 bits read from r (in production
// crypto/rand.Reader), printable and without line end.
func Generate(r io.Reader) (string, error) {
	var b [keySize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("generate cluster key: %w", err)
	}
	return keyPrefix + base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Fingerprint is 32 lower-case hex digits, equal for equal secrets under one key, and
// tells nothing about the secret without the key.
func (k *Key) Fingerprint(plain []byte) string {
	return hex.EncodeToString(sum(k.fingerprint, plain)[:shortSize])
}

// Salt is 32 lower-case hex digits that depend on key and context only, so that the
// same definition sent twice gets the same digests.
func (k *Key) Salt(context string) string {
	return hex.EncodeToString(sum(k.salt, []byte(context))[:shortSize])
}

// Digest is HMAC-SHA-256 over salt + "|" + text with the key of AuthKey, as 64
// lower-case hex digits. HAProxy computes the same in upper case from
// concat(<salt>|…) piped through hmac(sha256,<AuthKey>),hex: lower its output before
// comparing.
func (k *Key) Digest(salt, text string) string {
	return hex.EncodeToString(sum(k.auth, []byte(salt+"|"+text)))
}

// AuthKey is the key of Digest in standard base64, the form of HAProxy's hmac()
// converter. It is a secret: whoever holds it can guess passwords against their digests.
func (k *Key) AuthKey() string { return base64.StdEncoding.EncodeToString(k.auth) }

// MeshSecret is what replicas prove to each other to be let into their mesh, 64 hex digits.
func (k *Key) MeshSecret() string { return hex.EncodeToString(k.mesh) }

// String hides the key.
func (k *Key) String() string { return "seal.Key(hidden)" }

// GoString hides the key.
func (k *Key) GoString() string { return k.String() }

func sum(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
