package seal_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/crdt/seal"
)

const keyText = "a cluster key for the tests of this package"

func parse(t testing.TB, text string) *seal.Key {
	t.Helper()
	k, err := seal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParse(t *testing.T) {
	t.Run("white space around does not matter", func(t *testing.T) {
		if parse(t, keyText+"\r\n").AuthKey() != parse(t, "  "+keyText).AuthKey() {
			t.Error("keys differ")
		}
	})
	t.Run("31 characters are too few, and the error hides them", func(t *testing.T) {
		text := strings.Repeat("é", 31)
		_, err := seal.Parse(" " + text + " ")
		if !errors.Is(err, seal.ErrShortKey) || strings.Contains(err.Error(), "é") {
			t.Errorf("error %v", err)
		}
		parse(t, text+"é")
	})
	t.Run("a key never prints", func(t *testing.T) {
		k := parse(t, keyText)
		raw, _ := base64.StdEncoding.DecodeString(k.AuthKey())
		for _, out := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v %s %x", k, k, k, k)} {
			if strings.Contains(out, k.AuthKey()) || strings.Contains(out, hex.EncodeToString(raw)) || !strings.Contains(out, "hidden") &&
				!strings.Contains(out, hex.EncodeToString([]byte("hidden"))) {
				t.Errorf("prints as %q", out)
			}
		}
	})
}

func TestGenerate(t *testing.T) {
	a, err := seal.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.Generate(rand.Reader)
	if err != nil || a == b || strings.ContainsAny(a, " \n") {
		t.Errorf("keys %q and %q, %v", a, b, err)
	}
	parse(t, a)
	if _, err := seal.Generate(bytes.NewReader(nil)); err == nil {
		t.Error("an empty source makes a key")
	}
}

// Fixed results, computed by another implementation of HKDF and HMAC: other versions of the
// program and other replicas must get the same.
func TestVectors(t *testing.T) {
	k := parse(t, keyText)
	for _, v := range []struct{ name, got, want string }{
		{"fingerprint", k.Fingerprint([]byte("secret")), "9fd571415d59db737d1be672d425a5ec"},
		{"salt", k.Salt("go-demo/alice"), "77c49b1dc048418492810162f3f763d9"},
		{"digest", k.Digest("00ff", "Basic YTpi"), "3acb29bf5b6b71f6a8af99361bb0491097e0f472282c85dfe9c340bd7b0d7bb1"},
		{"auth key", k.AuthKey(), "43psHgcFrWtPvYwB3KC9cGPsJl1UIzklEYyprM96aEU="},
	} {
		if v.got != v.want {
			t.Errorf("%s is %s, want %s", v.name, v.got, v.want)
		}
	}
}

func TestDigestIsHMACOfSaltBarText(t *testing.T) {
	k := parse(t, keyText)
	key, err := base64.StdEncoding.DecodeString(k.AuthKey())
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("salt|text"))
	if got, want := k.Digest("salt", "text"), hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestSubKeysAndKeysAreApart(t *testing.T) {
	k, other := parse(t, keyText), parse(t, keyText+"!")
	if k.Fingerprint([]byte("x")) == k.Salt("x") {
		t.Error("fingerprint and salt use one key")
	}
	if k.Fingerprint([]byte("x")) == other.Fingerprint([]byte("x")) || k.Salt("x") == other.Salt("x") || k.AuthKey() == other.AuthKey() {
		t.Error("two cluster keys give equal results")
	}
}
