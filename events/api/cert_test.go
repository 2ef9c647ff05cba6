package api_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/events"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

// presenting is a proxy's side of certificates.
type presenting struct {
	list  []api.Certificate
	err   error
	asked int
}

func (p *presenting) Certificates() []api.Certificate { return p.list }
func (p *presenting) CheckCertificate(context.Context, []byte) error {
	p.asked++
	return p.err
}

func block(kind string, data []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
}

// pair is a self-signed certificate and its key; extra bytes make it larger.
func pair(t testing.TB, name string, extra int) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		OCSPServer: []string{"http://" + strings.Repeat("x", extra)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, crypto.Signer(private).Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret)
}

func putCert(t testing.TB, base, query, body string) answer {
	t.Helper()
	return call(t, http.MethodPut, base+dfp+"cert?"+query, body, "Content-Type: application/x-www-form-urlencoded")
}

func TestPutCertificate(t *testing.T) {
	b, proxy := apitest.New(), &presenting{}
	key := clusterKey(t)
	base := serve(t, b, func(c *api.Config) { c.Key, c.Certificates = key, proxy })
	cert, secret := pair(t, "a.test", 0)

	got := putCert(t, base, "certName=a.pem", "a comment\r\n"+cert+secret)
	if want := map[string]any{"Status": "OK", "Message": "", "Certs": nil}; got.status != http.StatusOK || cmp.Diff(want, got.json(t)) != "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	e, ok := b.Entry("cert/a.pem")
	if !ok {
		t.Fatal("no entry")
	}
	if strings.Contains(string(e.Value), "PRIVATE") {
		t.Errorf("the key is in the log: %s", e.Value)
	}
	doc, err := api.DecodeCertificate(e.Key, e.Value)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := key.Open(doc.Box); err != nil || string(plain) != cert+secret {
		t.Errorf("box: %v %q", err, plain)
	}
	if doc.Name != "a.pem" || cmp.Diff([]string{"a.test"}, doc.Subjects) != "" || doc.NotAfter.Before(time.Now()) {
		t.Errorf("document %+v", doc)
	}
	t.Run("the same again makes no event and asks nobody", func(t *testing.T) {
		got := putCert(t, base, "certName=a.pem&distribute=true", "\n"+cert+"\n"+secret)
		if got.status != http.StatusOK || got.json(t)["Message"] != "Distributed to all instances" {
			t.Errorf("%d %s", got.status, got.body)
		}
		if again, _ := b.Entry("cert/a.pem"); again.Stamp != e.Stamp || proxy.asked != 1 {
			t.Errorf("stamp %v, was %v; asked %d times", again.Stamp, e.Stamp, proxy.asked)
		}
		if waits := b.Waits(); waits[len(waits)-1].Scope != events.WaitAll {
			t.Errorf("waits %v", waits)
		}
	})
	t.Run("another one replaces it", func(t *testing.T) {
		cert, secret := pair(t, "b.test", 0)
		if got := putCert(t, base, "certName=a.pem", secret+cert); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
		if again, _ := b.Entry("cert/a.pem"); again.Stamp == e.Stamp {
			t.Error("nothing was written")
		}
	})
	t.Run("removal", func(t *testing.T) {
		for _, name := range []string{"a.pem", "never-sent.pem"} {
			if got := call(t, http.MethodDelete, base+dfp+"cert?certName="+name, ""); got.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
		if e, _ := b.Entry("cert/a.pem"); e.Live() {
			t.Error("it is still there")
		}
	})
}

func TestRefusedCertificates(t *testing.T) {
	cert, secret := pair(t, "a.test", 0)
	_, other := pair(t, "b.test", 0)
	large, largeKey := pair(t, "large.test", 40_000)
	legacy := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES"}, Bytes: []byte("x")}))
	tests := []struct {
		name, query, body string
		status            int
		message           string
	}{
		{"no name", "", cert + secret, 400, "certName is missing"},
		{"path in the name", "certName=..%2Fcfg%2Fevil.txt", cert + secret, 400, "is not a name"},
		{"dots in the name", "certName=a..b", cert + secret, 400, "is not a name"},
		{"dot", "certName=.", cert + secret, 400, "is not a name"},
		{"long name", "certName=" + strings.Repeat("a", 129), cert + secret, 400, "is not a name"},
		{"line break in the name", "certName=a%0Ab", cert + secret, 400, "is not a name"},
		{"all at once", "certName=..%2Fx", "x", 400, "holds no certificate"},
		{"empty", "certName=a.pem", "", 400, "body is empty"},
		{"garbage", "certName=a.pem", "garbage", 400, "holds no certificate"},
		{"no key", "certName=a.pem", cert, 400, "holds no private key"},
		{"no certificate", "certName=a.pem", secret, 400, "holds no certificate"},
		{"another's key", "certName=a.pem", cert + other, 400, "private key does not match"},
		{"two keys", "certName=a.pem", cert + secret + other, 400, "more than one private key"},
		{"encrypted key", "certName=a.pem", cert + block("ENCRYPTED PRIVATE KEY", []byte("x")), 400, "encrypted private key"},
		{"encrypted key of old", "certName=a.pem", cert + legacy, 400, "encrypted private key"},
		{"broken certificate", "certName=a.pem", block("CERTIFICATE", []byte("x")) + secret, 400, "is not a certificate with its private key"},
		{"broken chain", "certName=a.pem", cert + block("CERTIFICATE", []byte("x")) + secret, 400, "number 2"},
		{"too large", "certName=a.pem", large + largeKey, 400, "larger than 65536 bytes once it is sealed"},
		{"far too large", "certName=a.pem", strings.Repeat("x", 2<<20), 413, "larger"},
		{"no scope", "certName=a.pem&wait=some", cert + secret, 400, "wait"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := apitest.New()
			base := serve(t, b, func(c *api.Config) { c.Key = clusterKey(t) })
			got := putCert(t, base, tt.query, tt.body)
			message, _ := got.json(t)["Message"].(string)
			if got.status != tt.status || got.json(t)["Status"] != "NOK" || !strings.Contains(message, tt.message) || strings.ContainsAny(message, "\r\n") {
				t.Errorf("%d %s, want %d with %q", got.status, got.body, tt.status, tt.message)
			}
			if n := len(b.Entries("")); n != 0 {
				t.Errorf("%d entries were written", n)
			}
		})
	}
	t.Run("other methods", func(t *testing.T) {
		base := serve(t, apitest.New(), nil)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPatch} {
			if got := call(t, method, base+dfp+"cert?certName=a.pem", cert+secret); got.status != http.StatusMethodNotAllowed {
				t.Errorf("%s: %d", method, got.status)
			}
		}
	})
	t.Run("without a cluster key", func(t *testing.T) {
		got := putCert(t, serve(t, apitest.New(), nil), "certName=a.pem", cert+secret)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "--cluster-key-file") {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("what HAProxy refuses", func(t *testing.T) {
		b, proxy := apitest.New(), &presenting{err: refused{"body", "ee key too small"}}
		base := serve(t, b, func(c *api.Config) { c.Key, c.Certificates = clusterKey(t), proxy })
		if got := putCert(t, base, "certName=a.pem", cert+secret); got.status != http.StatusBadRequest || !strings.Contains(got.body, "too small") {
			t.Errorf("%d %s", got.status, got.body)
		}
		proxy.err = errors.New("no such program")
		if got := putCert(t, base, "certName=a.pem", cert+secret); got.status != http.StatusInternalServerError || len(b.Entries("")) != 0 {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("the removal of what was not sent", func(t *testing.T) {
		proxy := &presenting{list: []api.Certificate{{Name: "local.pem", Dir: "/certs"}}}
		base := serve(t, apitest.New(), func(c *api.Config) { c.Certificates = proxy })
		for name, want := range map[string]int{"local.pem": http.StatusConflict, "..%2Flocal.pem": http.StatusBadRequest, "": http.StatusBadRequest} {
			if got := call(t, http.MethodDelete, base+dfp+"cert?certName="+name, ""); got.status != want {
				t.Errorf("%q: %d %s", name, got.status, got.body)
			}
		}
	})
}

func TestCertificatesAreListedWithoutKeys(t *testing.T) {
	b := apitest.New()
	ends := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	proxy := &presenting{list: []api.Certificate{{Name: "b.test", Dir: "/cfg/certs", Chain: "PEM", Subjects: []string{"b.test"}, NotAfter: ends}}}
	base := serve(t, b, func(c *api.Config) { c.Key, c.Certificates = clusterKey(t), proxy })
	cert, secret := pair(t, "a.test", 0)
	putCert(t, base, "certName=a.pem&wait=none", cert+secret)
	got := get(t, base+dfp+"certs")
	if got.status != http.StatusOK || strings.Contains(got.body, "PRIVATE") || strings.Contains(got.body, "box") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var answer struct {
		Status string
		Certs  []struct {
			ServicePort, ProxyServiceName, CertsDir, CertContent string
			Subjects                                             []string
			NotAfter                                             time.Time
		}
	}
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "OK" || len(answer.Certs) != 2 {
		t.Fatalf("%s", got.body)
	}
	if c := answer.Certs[0]; c.ProxyServiceName != "b.test" || c.CertContent != "PEM" || c.CertsDir != "/cfg/certs" || !c.NotAfter.Equal(ends) {
		t.Errorf("presented: %+v", c)
	}
	if c := answer.Certs[1]; c.ProxyServiceName != "a.pem" || c.CertContent != "" || len(c.Subjects) != 1 {
		t.Errorf("not presented: %+v", c)
	}
}

func FuzzDecodeCertificate(f *testing.F) {
	f.Add("cert/a.pem", []byte(`{"name":"a.pem","box":"eHg=","fingerprint":"00","notAfter":"2030-01-02T03:04:05Z","subjects":["a.test"]}`))
	f.Add("cert/../x", []byte(`{"name":"../x","box":"eHg=","fingerprint":"00"}`))
	f.Add("cert/a", []byte(`null`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		c, err := api.DecodeCertificate(key, value)
		if err != nil {
			return
		}
		if key != api.CertificateKey(c.Name) || strings.ContainsAny(c.Name, "/\\ \n") || strings.Contains(c.Name, "..") || c.Box == "" {
			t.Errorf("accepted %q: %+v", key, c)
		}
	})
}
