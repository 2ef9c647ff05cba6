package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// TLS is how the client port identifies itself; all empty: without TLS.
type TLS struct {
	// CertFile and KeyFile are the server's certificate; both or none. They are read again at
	// every handshake, so that they can be replaced while the server runs.
	CertFile, KeyFile string
	// ClientCAFile is a PEM bundle; if given, clients need a certificate that it vouches for.
	ClientCAFile string
}

// config is nil without TLS.
func (t TLS) config() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, errors.New("the broker's certificate needs both its certificate file (--nats-cert) and its key file (--nats-key)")
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		return nil, fmt.Errorf("read the broker's certificate (--nats-cert, --nats-key): %w", err)
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			return &cert, err
		},
	}
	if t.ClientCAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read --nats-client-ca: %w", err)
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read --nats-client-ca %q: it holds no PEM certificate", t.ClientCAFile)
	}
	return cfg, nil
}

// admit sets who may connect.
func admit(opts *server.Options, cfg Config) error {
	if cfg.Token != "" && len(cfg.NKeys) > 0 {
		return errors.New("the broker has both a token and nkeys for its clients: give one of them")
	}
	opts.Authorization = cfg.Token
	for _, key := range cfg.NKeys {
		if !nkeys.IsValidPublicUserKey(key) {
			return fmt.Errorf("nkey %.60q is not the public key of a user: give the line that begins with U, never the seed", public(key))
		}
		opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: key})
	}
	var err error
	if opts.TLSConfig, err = cfg.TLS.config(); err != nil {
		return err
	}
	if opts.TLSConfig != nil {
		opts.TLS, opts.TLSVerify, opts.TLSTimeout = true, cfg.TLS.ClientCAFile != "", tlsTimeout.Seconds()
	}
	return nil
}

// public hides what may be a seed: somebody took the wrong half.
func public(key string) string {
	if len(key) > 0 && key[0] == 'S' {
		return "S…"
	}
	return key
}
