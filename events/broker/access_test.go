package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/events/broker"
)

// certificate writes a self-signed one of 127.0.0.1, for servers and clients.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	other, otherKey := certificate(t)
	t.Run("clients check the broker", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.Listen, cfg.TLS = "127.0.0.1:0", broker.TLS{CertFile: cert, KeyFile: key}
		b := start(t, cfg)
		declare(t, connect(t, b.ClientURL(), nats.RootCAs(cert)))
		if _, err := connect(t, "", nats.InProcessServer(b)).Stream(t.Context(), "T"); err != nil {
			t.Errorf("in process: %v", err)
		}
		if nc, err := nats.Connect(b.ClientURL(), nats.RootCAs(other)); err == nil {
			nc.Close()
			t.Error("a broker with an unknown certificate is trusted")
		}
	})
	t.Run("the broker checks clients", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.Listen, cfg.TLS = "127.0.0.1:0", broker.TLS{CertFile: cert, KeyFile: key, ClientCAFile: cert}
		b := start(t, cfg)
		declare(t, connect(t, b.ClientURL(), nats.RootCAs(cert), nats.ClientCert(cert, key)))
		for name, opts := range map[string][]nats.Option{
			"none": {nats.RootCAs(cert)}, "an unknown one": {nats.RootCAs(cert), nats.ClientCert(other, otherKey)},
		} {
			if nc, err := nats.Connect(b.ClientURL(), opts...); err == nil {
				nc.Close()
				t.Errorf("a client with %s is let in", name)
			}
		}
	})
	t.Run("half a certificate is refused", func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.TLS.KeyFile = key
		refuses(t, cfg, "--nats-cert")
		cfg.TLS = broker.TLS{CertFile: cert, KeyFile: key, ClientCAFile: key}
		refuses(t, cfg, "--nats-client-ca", "no PEM certificate")
	})
}
