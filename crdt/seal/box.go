package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// ErrOpen says that a box does not open: it was sealed with another cluster key, or
// it was damaged.
var ErrOpen = errors.New("sealed with another cluster key or damaged")

// stanzaType names the way a box wraps its file key; a change of the way needs another name.
const stanzaType = "sluice-cluster-key-v1"

// maxBox bounds a box in base64 characters: no document that holds one is larger.
const maxBox = 1 << 20

var (
	_ age.Recipient = (*wrapper)(nil)
	_ age.Identity  = (*wrapper)(nil)
)

// Seal encrypts plain into a box, text in standard base64 on one line. Two boxes of
// one secret differ; compare secrets by Fingerprint. Inside is an age file
// (https://age-encryption.org/v1) whose file key is wrapped with the cluster key.
func (k *Key) Seal(plain []byte) (string, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, &wrapper{key: k.wrap})
	if err != nil {
		return "", fmt.Errorf("seal secret: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return "", fmt.Errorf("seal secret: %w", err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("seal secret: %w", err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// Open returns what Seal was given. The error wraps ErrOpen.
func (k *Key) Open(box string) ([]byte, error) {
	if len(box) > maxBox {
		return nil, fmt.Errorf("open box: %w: %d characters, at most %d are possible", ErrOpen, len(box), maxBox)
	}
	r, err := age.Decrypt(base64.NewDecoder(base64.StdEncoding, strings.NewReader(box)), &wrapper{key: k.wrap})
	if err != nil {
		return nil, fmt.Errorf("open box: %w: %w", ErrOpen, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("open box: %w: %w", ErrOpen, err)
	}
	return plain, nil
}

// wrapper is the symmetric recipient and identity of age files: the file key, sealed
// by XChaCha20-Poly1305 with a random nonce that stands in the stanza's argument.
type wrapper struct{ key []byte }

func (w *wrapper) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	aead, err := chacha20poly1305.NewX(w.key)
	if err != nil {
		return nil, fmt.Errorf("wrap file key: %w", err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	return []*age.Stanza{{
		Type: stanzaType,
		Args: []string{base64.RawStdEncoding.EncodeToString(nonce)},
		Body: aead.Seal(nil, nonce, fileKey, []byte(stanzaType)),
	}}, nil
}

func (w *wrapper) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != stanzaType || len(stanzas[0].Args) != 1 {
		return nil, age.ErrIncorrectIdentity
	}
	nonce, err := base64.RawStdEncoding.DecodeString(stanzas[0].Args[0])
	if err != nil || len(nonce) != chacha20poly1305.NonceSizeX {
		return nil, age.ErrIncorrectIdentity
	}
	aead, err := chacha20poly1305.NewX(w.key)
	if err != nil {
		return nil, fmt.Errorf("unwrap file key: %w", err)
	}
	fileKey, err := aead.Open(nil, nonce, stanzas[0].Body, []byte(stanzaType))
	if err != nil {
		return nil, age.ErrIncorrectIdentity
	}
	return fileKey, nil
}
