package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"sluice/crdt/seal"
)

func TestBoxOpensWithItsKeyOnly(t *testing.T) {
	k := parse(t, keyText)
	for _, plain := range [][]byte{nil, []byte("secret"), bytes.Repeat([]byte("key\n"), 40_000)} {
		box, err := k.Seal(plain)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(box, "\r\n ") {
			t.Error("a box is one line")
		}
		if got, err := parse(t, keyText+"\n").Open(box); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes came back as %d (%v)", len(plain), len(got), err)
		}
		if _, err := parse(t, keyText+"!").Open(box); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("another key: %v", err)
		}
	}
}

func TestBoxesOfOneSecretDiffer(t *testing.T) {
	k := parse(t, keyText)
	a, errA := k.Seal([]byte("secret"))
	b, errB := k.Seal([]byte("secret"))
	if a == b || errA != nil || errB != nil {
		t.Errorf("equal boxes (%v, %v)", errA, errB)
	}
}

func TestDamagedBoxIsRefused(t *testing.T) {
	k := parse(t, keyText)
	box, err := k.Seal([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(box)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if plain, err := k.Open(base64.StdEncoding.EncodeToString(bad)); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("byte %d changed: %q, %v", i, plain, err)
		}
	}
	for _, bad := range []string{"", "!", box[:len(box)-4], box + "AAAA", strings.Repeat("A", 2<<20)} {
		if plain, err := k.Open(bad); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%.20q opens: %q, %v", bad, plain, err)
		}
	}
}
