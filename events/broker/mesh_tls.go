package broker

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/scrypt"
)

// meshHost is the name in the certificate of all members: addresses change, the secret does not.
const meshHost = "sluice-mesh"

// guessCost makes each guess at the secret, which the certificate that a member shows to anybody
// allows to check, cost 32 MiB and some tens of milliseconds.
const guessCost = 1 << 15

// meshTLS lets members prove to each other that they know the secret, without showing it: all of
// them make the same key and certificate of it, and trust nothing else, in both directions.
// (Ed25519 signatures are deterministic, RFC 8032.)
func meshTLS(secret string) (*tls.Config, error) {
	seed, err := scrypt.Key([]byte(secret), []byte("sluice/v1/mesh/tls"), guessCost, 8, 1, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the mesh: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: meshHost},
		DNSNames:     []string{meshHost},
		// It ends with the secret, and clocks need not be right.
		NotBefore:   time.Unix(0, 0).UTC(),
		NotAfter:    time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the mesh: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the mesh: %w", err)
	}
	known := x509.NewCertPool()
	known.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}},
		RootCAs:      known, ClientCAs: known, ClientAuth: tls.RequireAndVerifyClientCert,
		ServerName: meshHost, // else the server would ask for the address in the certificate
		// A client shows its certificate only once the other side has proved its own.
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
	}, nil
}
