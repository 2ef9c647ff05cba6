package haproxy_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sluice/proxy"
)

func bundle(t testing.TB, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signed(t, name, key)
}

// weakBundle is a proper one whose key is too short for HAProxy's TLS library.
func weakBundle(t testing.TB) []byte {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 512)
	if err != nil {
		t.Fatal(err)
	}
	return signed(t, "weak.test", key)
}

func signed(t testing.TB, name string, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
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
	list     []proxy.Certificate
	problems []string
	fallback string
}

func (f files) Files() ([]proxy.Certificate, []string) { return f.list, f.problems }
func (f files) Fallback() (string, error)              { return f.fallback, nil }

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

// certify makes certificates of the map live.
func (r *rig) certify(list ...proxy.Bundle) {
	r.Helper()
	r.source.mu.Lock()
	r.source.desired.Seq++
	r.source.desired.Certificates = list
	seq := r.source.desired.Seq
	close(r.source.changed)
	r.source.changed = make(chan struct{})
	r.source.mu.Unlock()
	r.live(seq)
}

func TestCertificatesOfTheMap(t *testing.T) {
	dir := t.TempDir()
	fallback, local := filepath.Join(dir, "self.pem"), filepath.Join(dir, "b.pem")
	for path, name := range map[string]string{fallback: "self.test", local: "local.test"} {
		if err := os.WriteFile(path, bundle(t, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	registry := prometheus.NewRegistry()
	var log accessLog
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: r.tls, TLS: true})
		cfg.Certificates = files{fallback: fallback, list: []proxy.Certificate{{Name: "b.pem", Path: local}}}
		cfg.Registerer, cfg.Logger = registry, zerolog.New(zerolog.MultiLevelWriter(&log, zerolog.NewTestWriter(t)))
	})
	a := proxy.Bundle{Name: "a.pem", Version: "1", PEM: bundle(t, "a.test")}
	weak := proxy.Bundle{Name: "w.pem", Version: "1", PEM: weakBundle(t)}
	sealed := proxy.Bundle{Name: "s.pem", Version: "1", Problem: "it is sealed with another key"}
	r.certify(a)
	for asked, want := range map[string]string{"a.test": "a.test", "local.test": "local.test", "other.test": "a.test"} {
		if got := r.presented(asked); got != want {
			t.Errorf("asked for %s, %s is presented, want %s", asked, got, want)
		}
	}
	t.Run("one that HAProxy or the key refuses costs nobody else", func(t *testing.T) {
		r.certify(a, sealed, weak)
		problems := strings.Join(r.controller.Report().Problems, "\n")
		if !strings.Contains(problems, "w.pem") || !strings.Contains(problems, "s.pem is not used: it is sealed") || strings.Contains(problems, "a.pem") {
			t.Errorf("problems: %q", problems)
		}
		r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "plain"))
		if got := r.do(call{path: "/x", tls: true, host: "a.test"}); got.seen.Backend != "plain" {
			t.Errorf("a later change is not live: %+v", got)
		}
	})
	t.Run("a refused version leaves the one before", func(t *testing.T) {
		r.certify(proxy.Bundle{Name: "a.pem", Version: "2", PEM: weak.PEM})
		if got := r.presented("a.test"); got != "a.test" {
			t.Errorf("%s is presented", got)
		}
	})
	t.Run("the name of a local file is taken over", func(t *testing.T) {
		r.certify(proxy.Bundle{Name: "b.pem", Version: "1", PEM: bundle(t, "new.test")})
		if got := r.presented("local.test"); got != "new.test" {
			t.Errorf("%s is presented", got)
		}
		list := r.controller.Certificates()
		if len(list) != 1 || list[0].Name != "b.pem" || len(list[0].Subjects) != 1 || strings.Contains(string(list[0].Chain), "PRIVATE") {
			t.Errorf("listed: %+v", list)
		}
	})
	t.Run("a certificate comes, changes and goes without a load", func(t *testing.T) {
		first := proxy.Bundle{Name: "b.pem", Version: "2", PEM: bundle(t, "new.test")}
		r.certify(first)
		loads := r.controller.Report().Generation
		for _, more := range [][]proxy.Bundle{
			{{Name: "m.pem", Version: "1", PEM: bundle(t, "m.test")}},
			{{Name: "m.pem", Version: "2", PEM: bundle(t, "m2.test")}, {Name: "n.pem", Version: "1", PEM: bundle(t, "n.test")}},
			{{Name: "n.pem", Version: "1", PEM: bundle(t, "n.test")}},
			{},
		} {
			r.certify(append([]proxy.Bundle{first}, more...)...)
			var want []string
			for _, b := range more {
				c, err := proxy.ReadCertificate(b.PEM)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, c.Subjects...)
			}
			for _, name := range []string{"m.test", "m2.test", "n.test"} {
				expected := "new.test"
				if slices.Contains(want, name) {
					expected = name
				}
				if got := r.presented(name); got != expected {
					t.Errorf("with %d more, %s gets %s, want %s", len(more), name, got, expected)
				}
			}
		}
		if now := r.controller.Report().Generation; now != loads {
			t.Errorf("%d loads were made", now-loads)
		}
	})
	t.Run("one that HAProxy refuses to take by command comes with a load", func(t *testing.T) {
		first := proxy.Bundle{Name: "b.pem", Version: "3", PEM: bundle(t, "new.test")}
		r.certify(first)
		loads := r.controller.Report().Generation
		r.socket("new ssl cert certs/z.pem+map") // somebody else has taken the name
		r.certify(first, proxy.Bundle{Name: "z.pem", Version: "1", PEM: bundle(t, "z.test")})
		if got := r.presented("z.test"); got != "z.test" {
			t.Errorf("%s is presented", got)
		}
		if now := r.controller.Report().Generation; now == loads {
			t.Error("no load was made")
		}
		r.certify(first)
	})
	t.Run("its end is a metric", func(t *testing.T) {
		got := gathered(t, registry, "sluice_certificate_expiry_seconds")
		if left := got["b.pem"]; len(got) != 1 || left < 3000 || left > 3600 {
			t.Errorf("metric: %v", got)
		}
	})
	t.Run("and a warning for people", func(t *testing.T) {
		if found := log.holding(`"certificate":"a.pem","ends"`); len(found) == 0 || !regexp.MustCompile(`"left":"(1h|59m)0`).MatchString(found[0]) {
			t.Errorf("logged: %q", found)
		}
	})
	t.Run("the door", func(t *testing.T) {
		var refusal *proxy.Refusal
		if err := r.controller.CheckCertificate(t.Context(), weak.PEM); !errors.As(err, &refusal) {
			t.Errorf("weak key: %v", err)
		}
		if err := r.controller.CheckCertificate(t.Context(), a.PEM); err != nil {
			t.Errorf("good: %v", err)
		}
	})
	r.certify()
	if got := r.presented("b.test"); got != "local.test" {
		t.Errorf("after the removal %s is presented", got)
	}
}

// gathered are a gauge's values by the label name.
func gathered(t testing.TB, g prometheus.Gatherer, metric string) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			values[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return values
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
