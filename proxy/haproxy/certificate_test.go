package haproxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/proxy"
)

func bundle(t testing.TB, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}

func tlsEcho(t testing.TB, name string) string {
	t.Helper()
	data := bundle(t, name)
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answering(name))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndexByte(s.URL, ':')+1:]
}

// lookupLocked reads a table that the test changes meanwhile.
func lookupLocked(mu *sync.Mutex, table map[string]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		mu.Lock()
		defer mu.Unlock()
		return hosts(table)(ctx, host)
	}
}

// files lists certificates as a directory would.
type files struct {
	list, problems []string
	fallback       string
}

func (f files) Files() ([]string, []string) { return f.list, f.problems }
func (f files) Fallback() (string, error)   { return f.fallback, nil }

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	fallback := filepath.Join(dir, "self.pem")
	if err := os.WriteFile(fallback, bundle(t, "self.test"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: r.tls, TLS: true})
		cfg.Certificates = files{fallback: fallback, problems: []string{"certificate bad.pem is not used: no PEM"}}
	})
	to := "&outboundHostname=127.0.0.1&port=" + echo(t, "plain")
	r.reconfigure("serviceName=x&servicePath=/x&httpsOnly=true" + to)
	if got := r.presented("any.test"); got != "self.test" {
		t.Errorf("without certificates: %q is presented, want the self-signed one", got)
	}
	if notes := strings.Join(r.controller.Report().Notes, "\n"); !strings.Contains(notes, "bad.pem") {
		t.Errorf("the unusable file is not reported: %q", notes)
	}
	a := r.do(call{path: "/x", tls: true, host: "a.test"})
	if a.seen.Header.Get("X-Forwarded-Proto") != "https" || a.seen.Backend != "plain" {
		t.Errorf("over TLS: %+v", a)
	}
	r.publish("serviceName=moved&serviceDomain=new.com&redirectFromDomain=old.com" + to)
	r.reconfigure("serviceName=cert&servicePath=/cert" + to + "&serviceCert=" + url.QueryEscape(string(bundle(t, "svc.test"))))
	if got := r.presented("svc.test"); got != "svc.test" {
		t.Errorf("serviceCert: %q is presented", got)
	}
	if got := r.do(call{path: "/y", tls: true, host: "old.com"}).header.Get("Location"); got != "https://new.com/y" {
		t.Errorf("redirect over TLS goes to %q", got)
	}
}

func (r *rig) presented(name string) string {
	r.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+itoa(r.tls), &tls.Config{InsecureSkipVerify: true, ServerName: name})
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}
