// Package certs finds the certificate files that HAProxy shall use and makes a
// self-signed one where there is none.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/proxy"
)

// Config tells where certificates are.
type Config struct {
	// Dir holds PEM bundles (certificate, chain, key in one file); SecretsDir holds them
	// as cert-* and cert_*. Either may be empty or missing.
	Dir, SecretsDir string
	// FallbackFile is where the self-signed certificate is kept.
	FallbackFile string
	// WriteFile replaces a file atomically.
	WriteFile func(path string, data []byte, mode fs.FileMode) error
	// Now is the clock that validity starts from.
	Now func() time.Time
}

// Store lists certificates. It keeps no state: every call reads the directories. Safe for
// concurrent use as far as WriteFile is.
type Store struct{ cfg Config }

var _ proxy.Certificates = (*Store)(nil)

// New makes a Store.
func New(cfg Config) *Store { return &Store{cfg: cfg} }

// maxFile bounds a certificate file in bytes; HAProxy itself takes 16 KiB at run time.
const maxFile = 1 << 20

// Files are the usable bundles, those of Dir first, each directory in name order, and a
// line for each file that is not usable.
func (s *Store) Files() (found []proxy.Certificate, problems []string) {
	for _, dir := range []struct {
		path   string
		secret bool
	}{{s.cfg.Dir, false}, {s.cfg.SecretsDir, true}} {
		if dir.path == "" {
			continue
		}
		good, bad := list(dir.path, dir.secret)
		found, problems = append(found, good...), append(problems, bad...)
	}
	return found, problems
}

func list(dir string, secret bool) (found []proxy.Certificate, problems []string) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, []string{fmt.Sprintf("read certificates: %v", err)}
	}
	for _, entry := range names {
		name := entry.Name()
		if !candidate(name, secret) {
			continue
		}
		path := filepath.Join(dir, name)
		if strings.ContainsAny(name, " \t\r\n#[]\"'\\") {
			problems = append(problems, fmt.Sprintf("certificate %q is not used: its name cannot stand in a list", path))
			continue
		}
		c, usable, err := read(path)
		if err != nil {
			problems = append(problems, fmt.Sprintf("certificate %s is not used: %v", path, err))
		}
		if usable {
			c.Name, c.Path, c.Secret = name, path, secret
			found = append(found, c)
		}
	}
	return found, problems // ReadDir sorts by name
}

// candidate leaves out hidden files and the companions that HAProxy reads by itself.
func candidate(name string, secret bool) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch filepath.Ext(name) {
	case ".key", ".ocsp", ".issuer", ".sctl":
		return false
	}
	return !secret || strings.HasPrefix(name, "cert-") || strings.HasPrefix(name, "cert_")
}

// read is neither usable nor an error for a directory.
func read(path string) (c proxy.Certificate, usable bool, err error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return c, false, err
	}
	if info.Size() > maxFile {
		return c, false, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, false, err
	}
	if key, err := os.ReadFile(path + ".key"); err == nil {
		data = append(append(data, '\n'), key...)
	}
	c, err = proxy.ReadCertificate(data)
	return c, err == nil, err
}

// Fallback is a self-signed certificate, so that a TLS port speaks TLS even before there
// is a real one. It is made once and kept.
func (s *Store) Fallback() (string, error) {
	if _, usable, err := read(s.cfg.FallbackFile); usable && err == nil {
		return s.cfg.FallbackFile, nil
	}
	data, err := selfSigned(s.cfg.Now())
	if err != nil {
		return "", fmt.Errorf("make self-signed certificate: %w", err)
	}
	if err := s.cfg.WriteFile(s.cfg.FallbackFile, data, 0o600); err != nil {
		return "", fmt.Errorf("keep self-signed certificate: %w", err)
	}
	return s.cfg.FallbackFile, nil
}

func selfSigned(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sluice self-signed"}, DNSNames: []string{"sluice.invalid"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}
