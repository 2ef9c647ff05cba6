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

// Settings of TLS as the operator calls them.
const (
	setCert     = "--nats-cert (SLUICE_NATS_CERT)"
	setKey      = "--nats-key (SLUICE_NATS_KEY)"
	setClientCA = "--nats-client-ca (SLUICE_NATS_CLIENT_CA)"
)

// config is nil without TLS.
func (t TLS) config() (*tls.Config, error) {
	switch {
	case t == (TLS{}):
		return nil, nil
	case t.CertFile+t.KeyFile == "":
		return nil, fmt.Errorf("%s is given without a certificate of the broker, so that nobody could show one: give %s and %s too", setClientCA, setCert, setKey)
	case t.CertFile == "":
		return nil, fmt.Errorf("%s is missing beside %s: give both", setCert, setKey)
	case t.KeyFile == "":
		return nil, fmt.Errorf("%s is missing beside %s: give both", setKey, setCert)
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		return nil, fmt.Errorf("%s, %s: the broker's certificate cannot be used (%w): name a PEM file with its chain, and one with its key", setCert, setKey, err)
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
		return nil, fmt.Errorf("%s cannot be read (%w): name a readable file", setClientCA, err)
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %q holds no PEM certificate: name a bundle of authorities", setClientCA, t.ClientCAFile)
	}
	return cfg, nil
}

// problemsOfAccess are those of who may connect.
func (c Config) problemsOfAccess() error {
	var errs []error
	if c.Token != "" && len(c.NKeys) > 0 {
		errs = append(errs, fmt.Errorf("%s and %s are both given: use one of them", SettingToken, SettingNKeys))
	}
	for _, key := range c.NKeys {
		if !nkeys.IsValidPublicUserKey(key) {
			errs = append(errs, fmt.Errorf("%s: %.60q is not the public key of a user: give the line that begins with U, never the seed", SettingNKeys, public(key)))
		}
	}
	_, err := c.TLS.config()
	return errors.Join(append(errs, err)...)
}

// admit sets who may connect.
func admit(opts *server.Options, cfg Config) error {
	opts.Authorization = cfg.Token
	for _, key := range cfg.NKeys {
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
