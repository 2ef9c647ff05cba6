package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// Auth is how a connection identifies itself. At most one of Token, TokenFile, CredsFile and
// NKeySeedFile; all empty: what the address holds, or nothing. Files are read again at every
// reconnect, so they can be replaced while the program runs.
type Auth struct {
	// Token is the password of an embedded server.
	Token string
	// TokenFile holds a token on its first line.
	TokenFile string
	// CredsFile is a NATS credentials file (user JWT and seed).
	CredsFile string
	// NKeySeedFile holds an nkey seed.
	NKeySeedFile string

	// CAFile is a PEM bundle that server certificates are checked with; empty: the system's.
	CAFile string
	// CertFile and KeyFile are the client certificate; both or none.
	CertFile, KeyFile string
}

func (a Auth) options() ([]nats.Option, error) {
	given := 0
	for _, v := range []string{a.Token, a.TokenFile, a.CredsFile, a.NKeySeedFile} {
		if v != "" {
			given++
		}
	}
	if given > 1 {
		return nil, errors.New("NATS: more than one of token, credentials file and nkey seed is given; use one of them")
	}
	identity, err := a.identity()
	if err != nil {
		return nil, err
	}
	secure, err := a.tls()
	if err != nil {
		return nil, err
	}
	return append(identity, secure...), nil
}

func (a Auth) identity() ([]nats.Option, error) {
	switch {
	case a.Token != "":
		return []nats.Option{nats.Token(a.Token)}, nil
	case a.TokenFile != "":
		if _, err := readToken(a.TokenFile); err != nil {
			return nil, err
		}
		return []nats.Option{nats.TokenHandler(func() string {
			token, err := readToken(a.TokenFile)
			if err != nil {
				return "" // the server's refusal is reported and the next attempt reads again
			}
			return token
		})}, nil
	case a.CredsFile != "":
		if err := readable("NATS credentials file", a.CredsFile); err != nil {
			return nil, err
		}
		return []nats.Option{nats.UserCredentials(a.CredsFile)}, nil
	case a.NKeySeedFile != "":
		opt, err := nats.NkeyOptionFromSeed(a.NKeySeedFile)
		if err != nil {
			return nil, fmt.Errorf("read NATS nkey seed file %q: %w", a.NKeySeedFile, err)
		}
		return []nats.Option{opt}, nil
	}
	return nil, nil
}

func (a Auth) tls() ([]nats.Option, error) {
	if a.CAFile == "" && a.CertFile == "" && a.KeyFile == "" {
		return nil, nil
	}
	if (a.CertFile == "") != (a.KeyFile == "") {
		return nil, errors.New("NATS: a client certificate needs both its certificate file and its key file")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CAFile != "" {
		pem, err := os.ReadFile(a.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read NATS CA file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read NATS CA file %q: it holds no PEM certificate", a.CAFile)
		}
	}
	if a.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile); err != nil {
			return nil, fmt.Errorf("read NATS client certificate: %w", err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
			return &cert, err
		}
	}
	return []nats.Option{nats.Secure(cfg)}, nil
}

func readToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read NATS token file: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("read NATS token file %q: its first line is empty", path)
	}
	return line, nil
}

func readable(what, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return f.Close()
}
