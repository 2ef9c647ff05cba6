package certs_test

import (
	"crypto/tls"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/proxy/certs"
)

func write(path string, data []byte, mode fs.FileMode) error { return os.WriteFile(path, data, mode) }

func newStore(t *testing.T) (*certs.Store, certs.Config) {
	t.Helper()
	cfg := certs.Config{
		Dir: t.TempDir(), SecretsDir: t.TempDir(), FallbackFile: filepath.Join(t.TempDir(), "self.pem"), WriteFile: write, Now: time.Now,
	}
	return certs.New(cfg), cfg
}

func TestFallbackIsMadeOnce(t *testing.T) {
	store, cfg := newStore(t)
	var first []byte
	for range 2 {
		path, err := store.Fallback()
		if err != nil || path != cfg.FallbackFile {
			t.Fatalf("got %q, %v", path, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tls.X509KeyPair(data, data); err != nil {
			t.Fatal(err)
		}
		if first != nil && string(first) != string(data) {
			t.Error("a usable certificate was replaced")
		}
		first = data
	}
	if err := os.WriteFile(cfg.FallbackFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Fallback(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(cfg.FallbackFile); err != nil || string(data) == "broken" {
		t.Errorf("a broken one was kept (%v)", err)
	}
}

func TestFilesAreOrderedAndJudged(t *testing.T) {
	store, cfg := newStore(t)
	path, err := store.Fallback()
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		filepath.Join(cfg.Dir, "b.pem"): good, filepath.Join(cfg.Dir, "a.pem"): good, filepath.Join(cfg.Dir, "bad.pem"): []byte("x"),
		filepath.Join(cfg.Dir, "odd name.pem"): good, filepath.Join(cfg.Dir, "c.key"): good, filepath.Join(cfg.Dir, ".hidden"): good,
		filepath.Join(cfg.SecretsDir, "cert-z"): good, filepath.Join(cfg.SecretsDir, "other"): good,
	} {
		if err := write(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, problems := store.Files()
	var paths []string
	for _, c := range found {
		paths = append(paths, c.Path)
		if c.Name != filepath.Base(c.Path) || c.Secret != strings.HasPrefix(c.Path, cfg.SecretsDir) {
			t.Errorf("described as %q, secret %v: %s", c.Name, c.Secret, c.Path)
		}
		if strings.Contains(string(c.Chain), "PRIVATE") || len(c.Subjects) != 1 || !c.NotAfter.After(time.Now()) {
			t.Errorf("%s: subjects %v until %v: %s", c.Path, c.Subjects, c.NotAfter, c.Chain)
		}
	}
	want := []string{filepath.Join(cfg.Dir, "a.pem"), filepath.Join(cfg.Dir, "b.pem"), filepath.Join(cfg.SecretsDir, "cert-z")}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if text := strings.Join(problems, "\n"); !strings.Contains(text, "bad.pem") || !strings.Contains(text, "odd name.pem") {
		t.Errorf("problems: %q", text)
	}
}

func TestMissingDirectoriesAreEmpty(t *testing.T) {
	store := certs.New(certs.Config{Dir: "/nonexistent/certs"})
	if paths, problems := store.Files(); len(paths)+len(problems) != 0 {
		t.Errorf("got %v, %v", paths, problems)
	}
}
