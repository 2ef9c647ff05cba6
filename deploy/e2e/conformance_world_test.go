package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// conformanceWorld is what all cases share: backends and certificates.
type conformanceWorld struct {
	fixtures string
	certs    map[string]string // PEM with key by letter
	values   map[string]string // placeholders
}

// conformanceReplica is a replica with the ports that cases name.
type conformanceReplica struct {
	*replica
	world  *conformanceWorld
	values map[string]string
}

func newConformanceWorld(t *testing.T) *conformanceWorld {
	t.Helper()
	w := &conformanceWorld{fixtures: t.TempDir(), certs: map[string]string{}, values: map[string]string{}}
	for _, letter := range []string{"a", "b", "c"} {
		w.certs[letter] = makeCertificate(t, letter+".test")
	}
	if err := os.WriteFile(filepath.Join(w.fixtures, "ca.crt"), []byte(makeCertificate(t, "ca")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.values["FX"], w.values["API_IP"] = w.fixtures, "127.0.0.1"
	for i := 1; i <= 3; i++ {
		port := freePort(t)
		w.values[fmt.Sprintf("BE%d_PORT", i)] = strconv.Itoa(port)
		startServer(t, loopback(port), nil, echoing(t, strconv.Itoa(i)))
		if i == 1 {
			startServer(t, net.JoinHostPort("127.0.0.2", strconv.Itoa(port)), nil, echoing(t, "4"))
		}
	}
	for i, letter := range []string{"a", "b"} {
		pair, err := tls.X509KeyPair([]byte(w.certs[letter]), []byte(w.certs[letter]))
		if err != nil {
			t.Fatal(err)
		}
		port := freePort(t)
		w.values[fmt.Sprintf("TLSBE%d_PORT", i+1)] = strconv.Itoa(port)
		startServer(t, loopback(port), &tls.Config{Certificates: []tls.Certificate{pair}}, echoing(t, strconv.Itoa(11+i)))
	}
	return w
}

// startServer serves until the test ends; with TLS if there is a configuration.
func startServer(t testing.TB, addr string, secure *tls.Config, h http.Handler) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}, TLS: secure}
	if secure != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
}

// makeCertificate is a self-signed certificate with its key.
func makeCertificate(t testing.TB, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// startReplica starts a replica with the settings of the case.
func (w *conformanceWorld) startReplica(t testing.TB, c conformanceCase) *conformanceReplica {
	t.Helper()
	s := &conformanceReplica{replica: newReplica(t, "conformance", "--allow-raw-config"), world: w, values: map[string]string{}}
	for name, port := range map[string]int{
		"HTTP_PORT": s.http, "HTTPS_PORT": s.https, "BIND1_PORT": freePort(t), "TCP1_PORT": freePort(t), "TCP2_PORT": freePort(t),
	} {
		s.values[name] = strconv.Itoa(port)
	}
	for name, value := range c.Env {
		s.env = append(s.env, name+"="+s.fill(value)) // the last one counts
	}
	certs := map[string]string{}
	for _, letter := range c.Certs {
		certs[letter+".pem"] = w.certs[letter]
	}
	s.writeFiles(t, "certs", certs)
	s.writeFiles(t, "secrets", c.Secrets)
	if len(c.Hosts) == 0 {
		s.start(t)
	} else {
		s.startWithHosts(t, c.Hosts)
	}
	s.ready(t, 2*patience)
	return s
}

// startWithHosts gives the replica an /etc/hosts of its own in a mount namespace, which
// takes root. The machine's file stays as it is.
func (s *conformanceReplica) startWithHosts(t testing.TB, hosts []string) {
	t.Helper()
	file := filepath.Join(s.dir, "hosts")
	text := s.fill(strings.Join(append([]string{"127.0.0.1 localhost"}, hosts...), "\n")) + "\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, file, sluice}, s.command()...)
	s.process = startProcess(s.t, s.name, s.env, "unshare", args...)
}

var placeholder = regexp.MustCompile(`\{(?:([A-Z0-9]+):([^{}]*)|([A-Z0-9_]+))\}`)

// fill replaces the placeholders.
func (s *conformanceReplica) fill(text string) string {
	return s.fillWith(text, func(v string) string { return v })
}

// fillQuery is fill with percent-encoded values.
func (s *conformanceReplica) fillQuery(text string) string { return s.fillWith(text, url.QueryEscape) }

func (s *conformanceReplica) fillWith(text string, encode func(string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(match string) string {
		m := placeholder.FindStringSubmatch(match)
		switch m[1] {
		case "CERT":
			return encode(s.world.certs[m[2]])
		case "CERTLABEL":
			return encode(strings.ReplaceAll(s.world.certs[m[2]], "\n", `\n`))
		case "B64":
			return base64.StdEncoding.EncodeToString([]byte(m[2]))
		}
		for _, values := range []map[string]string{s.values, s.world.values} {
			if v, ok := values[m[3]]; ok {
				return encode(v)
			}
		}
		return match // braces of the case itself
	})
}
