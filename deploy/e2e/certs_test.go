package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// certificate is a self-signed certificate with its private key, as PEM.
func certificate(t testing.TB, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func (r *replica) sendCert(method, name, body string, more ...string) answer {
	q := url.Values{"certName": {name}, "timeout": {patience.String()}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return send(r.t.Context(), method, r.url("/v1/docker-flow-proxy/cert?"+q.Encode()), body)
}

// presents is nil if a client that asks for a name gets the certificate of want.
func (r *replica) presents(asked, want string) error {
	conn, err := tls.Dial("tcp", loopback(r.https), &tls.Config{InsecureSkipVerify: true, ServerName: asked})
	if err != nil {
		return fmt.Errorf("TLS with %s: %w", r.name, err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
		return fmt.Errorf("%s presents %q for %s, want %q", r.name, got, asked, want)
	}
	return nil
}

const selfSigned = "sluice self-signed"

// TestCertificates: one that is sent to a replica is live there with the answer, after a
// restart too, and is gone when it is removed; its key is never told.
func TestCertificates(t *testing.T) {
	r := startReplica(t, "local")
	port := startBackend(t, "one")
	must := func(asked, want string) {
		t.Helper()
		if err := r.presents(asked, want); err != nil {
			t.Error(err)
		}
	}
	must("a.test", selfSigned)
	first := certificate(t, "a.test")
	mustStatus(t, r.sendCert(http.MethodPut, "a.pem", first), http.StatusOK)
	must("a.test", "a.test")
	r.reconfigure(t, "own", port, "serviceDomain", "b.test", "serviceCert", strings.ReplaceAll(certificate(t, "b.test"), "\n", `\n`))
	must("b.test", "b.test")

	t.Run("they are listed without keys", func(t *testing.T) {
		a := r.dfp("certs", nil)
		list := decode[struct {
			Certs []struct {
				ProxyServiceName, CertContent string
				Subjects                      []string
			}
		}](t, a)
		if len(list.Certs) != 2 || list.Certs[0].ProxyServiceName != "a.pem" || list.Certs[1].ProxyServiceName != "b.test" ||
			!strings.HasPrefix(first, list.Certs[0].CertContent) || strings.Contains(a.Body, "PRIVATE") {
			t.Errorf("listed: %v", a)
		}
	})
	t.Run("the end is a metric and is warned about", func(t *testing.T) {
		if a := get(t, r.url("/metrics")); !strings.Contains(a.Body, `sluice_certificate_expiry_seconds{name="a.pem"} 1`) {
			t.Error("no such metric")
		}
		if !strings.Contains(r.output(), "certificate ends soon") {
			t.Error("no warning in the log")
		}
	})
	t.Run("what is no certificate changes nothing", func(t *testing.T) {
		for name, body := range map[string]string{"../cfg/evil.txt": first, "a.pem": "garbage", "": first} {
			mustStatus(t, r.sendCert(http.MethodPut, name, body), http.StatusBadRequest)
		}
		must("a.test", "a.test")
		mustStatus(t, r.dfp("reload", url.Values{"recreate": {"true"}}), http.StatusOK)
	})
	t.Run("a second one with the name replaces the first", func(t *testing.T) {
		mustStatus(t, r.sendCert(http.MethodPut, "a.pem", certificate(t, "new.test")), http.StatusOK)
		must("a.test", "new.test") // none is for that name now: the first in order
	})
	t.Run("a restart keeps them", func(t *testing.T) {
		r.stop(t, syscall.SIGTERM)
		r.start(t).ready(t, 2*patience)
		must("new.test", "new.test")
		must("b.test", "b.test")
	})
	t.Run("a removed one is gone", func(t *testing.T) {
		mustStatus(t, r.sendCert(http.MethodDelete, "a.pem", ""), http.StatusOK)
		must("new.test", "b.test")
		r.remove(t, "own")
		must("b.test", selfSigned)
	})
}

// TestCertificatesReachAllReplicas: one sent to any replica is live on all; a replica
// that cannot open it says so and serves everything else.
func TestCertificatesReachAllReplicas(t *testing.T) {
	n := startNATS(t)
	key := clusterKey(t)
	one := startReplica(t, "one", "--nats-url", n.url(), "--cluster-key-file", key)
	two := startReplica(t, "two", "--nats-url", n.url(), "--cluster-key-file", key)
	port := startBackend(t, "backend")
	a := mustStatus(t, two.sendCert(http.MethodPut, "a.pem", certificate(t, "a.test"), "distribute", "true"), http.StatusOK)
	if !strings.Contains(a.Body, "Distributed to all instances") {
		t.Errorf("answer: %v", a)
	}
	for _, r := range []*replica{one, two} {
		if err := r.presents("a.test", "a.test"); err != nil {
			t.Error(err)
		}
	}
	odd := startReplica(t, "odd", "--nats-url", n.url(), "--cluster-key-file", clusterKey(t))
	one.reconfigure(t, "web", port, "distribute", "true")
	if err := odd.routed("/web", "backend"); err != nil {
		t.Errorf("the replica with another key: %v", err)
	}
	if err := odd.presents("a.test", selfSigned); err != nil {
		t.Error(err)
	}
	eventually(t, patience, "the replica with another key says so", func() error {
		a := get(t, one.url("/v1/replicas"))
		if !strings.Contains(a.Body, "certificate a.pem is not used") {
			return fmt.Errorf("answer: %v", a)
		}
		return nil
	})
	for _, m := range stored(t, openStream(t, n), ">") {
		if strings.Contains(string(m.Data()), "PRIVATE") {
			t.Errorf("%s holds a private key", m.Subject())
		}
	}
}
