package stream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"sluice/events/stream"
)

// entersOnlyWith proves that auth is let in and that no auth is not.
func entersOnlyWith(t *testing.T, s *testServer, auth stream.Auth) {
	t.Helper()
	made := func(a stream.Auth) *stream.Conn {
		conn, err := stream.Connect(stream.ConnConfig{URL: s.ClientURL(), Name: "test", Auth: a, Logger: zerolog.Nop()})
		if err != nil {
			t.Fatalf("connect: %v", err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	without, with := made(stream.Auth{CAFile: auth.CAFile}), made(auth)
	eventually(t, "connected", with.Connected)
	if without.Connected() {
		t.Error("connected without the secret too")
	}
}

func TestAuth(t *testing.T) {
	dir := t.TempDir()
	t.Run("token file", func(t *testing.T) {
		s := startServerWith(t, func(o *server.Options) { o.Authorization = "hunter2" })
		entersOnlyWith(t, s, stream.Auth{TokenFile: file(t, dir, "token", "hunter2\n")})
	})
	t.Run("nkey seed", func(t *testing.T) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := pair.Seed()
		public, _ := pair.PublicKey()
		s := startServerWith(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
		entersOnlyWith(t, s, stream.Auth{NKeySeedFile: file(t, dir, "seed", string(seed))})
	})
	t.Run("client certificate", func(t *testing.T) {
		ca := newCA(t)
		serverCert, err := tls.X509KeyPair(ca.issue(t, x509.ExtKeyUsageServerAuth))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(ca.cert)
		s := startServerWith(t, func(o *server.Options) {
			o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
			o.TLSVerify, o.TLSTimeout = true, 5
		})
		cert, key := ca.issue(t, x509.ExtKeyUsageClientAuth)
		entersOnlyWith(t, s, stream.Auth{
			CAFile: file(t, dir, "ca.pem", string(ca.pem)), CertFile: file(t, dir, "cert.pem", string(cert)), KeyFile: file(t, dir, "key.pem", string(key)),
		})
	})
}

func startServerWith(tb testing.TB, change func(*server.Options)) *testServer {
	tb.Helper()
	s := startServer(tb)
	s.stop()
	change(s.opts)
	s.start(tb)
	return s
}

func file(tb testing.TB, dir, name, text string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// authority issues certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newCA(tb testing.TB) authority {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key := newKey(tb)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a authority) issue(tb testing.TB, usage x509.ExtKeyUsage) (cert, key []byte) {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	private := newKey(tb)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}
