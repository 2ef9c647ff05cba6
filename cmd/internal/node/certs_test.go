package node

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events/api"
	"sluice/proxy/certs"
)

// selfSigned is a certificate with its key.
func selfSigned(t testing.TB) []byte {
	t.Helper()
	store := certs.New(certs.Config{FallbackFile: filepath.Join(t.TempDir(), "self.pem"), WriteFile: WriteFile, Now: time.Now})
	path, err := store.Fallback()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func certEntry(t testing.TB, name, box string, version uint64) *crdt.Entry {
	t.Helper()
	value, err := json.Marshal(api.SealedCertificate{Name: name, Box: box, Fingerprint: "00"})
	if err != nil {
		t.Fatal(err)
	}
	return &crdt.Entry{Key: api.CertificateKey(name), Stamp: crdt.Stamp{HLC: version, Node: 1}, Value: value}
}

func TestCertificatesAreOpenedOncePerVersion(t *testing.T) {
	pem, opened := selfSigned(t), 0
	c := certificates(func(box string) ([]byte, error) {
		switch opened++; box {
		case "Z29vZA==":
			return pem, nil
		case "dGV4dA==":
			return []byte("no certificate"), nil
		}
		return nil, errors.New("sealed with another key")
	})
	entries := []*crdt.Entry{
		{Key: "cert/../x", Stamp: crdt.Stamp{HLC: 1}, Value: []byte(`{"name":"../x"}`)},
		certEntry(t, "good.pem", "Z29vZA==", 1), certEntry(t, "odd.pem", "b2Rk", 1), certEntry(t, "text.pem", "dGV4dA==", 1),
		{Key: "service/x", Stamp: crdt.Stamp{HLC: 1}, Value: []byte(`{}`)},
	}
	for range 2 {
		var told []string
		for _, b := range c.of(slices.Clone(entries)) {
			told = append(told, b.Name+": "+b.Problem)
			if (b.Problem == "") != (string(b.PEM) == string(pem)) {
				t.Errorf("%s: problem %q, %d bytes", b.Name, b.Problem, len(b.PEM))
			}
		}
		text := strings.Join(told, "\n")
		for _, want := range []string{"../x: read certificate", "good.pem: ", "odd.pem: sealed with another key", "text.pem: read certificate"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		if len(told) != 4 || opened != 3 {
			t.Errorf("%d certificates, %d boxes opened:\n%s", len(told), opened, text)
		}
	}
	c.of([]*crdt.Entry{certEntry(t, "good.pem", "Z29vZA==", 2)})
	if opened != 4 {
		t.Errorf("a new version: %d boxes opened, want 4", opened)
	}
	keyless := certificates(nil)
	if got := keyless.of(entries[1:2]); len(got) != 1 || !strings.Contains(got[0].Problem, "--cluster-key-file") {
		t.Errorf("without a key: %+v", got)
	}
}
