package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"sluice/events/broker"
)

const meshPayload = "a payload that is nobody else's business"

// journal counts the lines of a member's log that say something.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

func await(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			tb.Fatalf("not in time: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// talkative is a member that publishes all the time.
func talkative(tb testing.TB, peers ...string) (*broker.Mesh, *journal) {
	tb.Helper()
	j := &journal{}
	m, err := broker.StartMesh(broker.MeshConfig{
		Name: "talkative", Cluster: "edge", Secret: meshSecret, Listen: "127.0.0.1:0", Peers: peers,
		Interval: 50 * time.Millisecond, Logger: zerolog.New(j),
	})
	if err != nil {
		tb.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(m), nats.Token(m.Token()), nats.Timeout(patience))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = nc.Publish("hello", []byte(meshPayload))
			<-tick.C
		}
	})
	tb.Cleanup(func() { cancel(); wg.Wait(); nc.Close(); m.Shutdown() })
	return m, j
}

// impostor answers at an address where a member is looked for, and keeps all that it is sent.
type impostor struct {
	net.Listener
	mu    sync.Mutex
	conns int
	got   bytes.Buffer
}

func startImpostor(tb testing.TB, talk func(net.Conn) io.Reader) *impostor {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	i := &impostor{Listener: l}
	var wg sync.WaitGroup
	tb.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Second))
			data, _ := io.ReadAll(talk(c))
			_ = c.Close()
			i.mu.Lock()
			i.conns++
			i.got.Write(data)
			i.mu.Unlock()
		}
	})
	return i
}

func (i *impostor) seen() (int, []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.conns, bytes.Clone(i.got.Bytes())
}

// playNATS greets like a member of a mesh without encryption.
func playNATS(c net.Conn) io.Reader {
	_, _ = io.WriteString(c, `INFO {"server_id":"EVIL","server_name":"evil","version":"2.15.2","proto":1,"host":"127.0.0.1","port":1,"auth_required":true,"cluster":"edge","max_payload":1048576,"headers":true}`+"\r\n")
	return c
}

// playTLS has a certificate with the right name and a key of its own.
func playTLS(tb testing.TB) func(net.Conn) io.Reader {
	tb.Helper()
	cert := foreignCert(tb)
	return func(c net.Conn) io.Reader {
		var shown io.Reader
		t := tls.Server(c, &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert,
			VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
				shown = io.MultiReader(strings.NewReader("a certificate"), bytes.NewReader(raw[0]))
				return nil
			},
		})
		_ = t.Handshake()
		if shown != nil {
			return io.MultiReader(shown, playNATS(t))
		}
		return strings.NewReader("")
	}
}

func foreignCert(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"sluice-mesh"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestMeshShowsNothing: who answers at an address that is looked up learns neither the secret nor
// what the members say.
func TestMeshShowsNothing(t *testing.T) {
	for name, talk := range map[string]func(net.Conn) io.Reader{"a NATS server": playNATS, "a TLS server": playTLS(t)} {
		t.Run(name, func(t *testing.T) {
			i := startImpostor(t, talk)
			m, _ := talkative(t, i.Addr().String())
			await(t, "it is tried again and again", func() bool { conns, _ := i.seen(); return conns >= 3 })
			_, got := i.seen()
			for _, text := range []string{
				meshSecret, hex.EncodeToString([]byte(meshSecret)), base64.StdEncoding.EncodeToString([]byte(meshSecret)),
				meshPayload, "CONNECT", "hello", "a certificate",
			} {
				if bytes.Contains(got, []byte(text)) {
					t.Errorf("it was shown %q", text)
				}
			}
			if m.Members() != 0 {
				t.Errorf("it is one of %d members", m.Members())
			}
		})
	}
}

// TestMeshRefusesStrangers: nobody gets in, or is told anything, without the secret.
func TestMeshRefusesStrangers(t *testing.T) {
	t.Run("without encryption", func(t *testing.T) {
		m, j := talkative(t, "192.0.2.1:1")
		s, err := server.NewServer(&server.Options{
			Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, Routes: []*url.URL{{Scheme: "nats-route", User: url.UserPassword("sluice", meshSecret), Host: m.Addr().String()}},
			Cluster: server.ClusterOpts{Name: "edge", Host: "127.0.0.1", Port: -1, PoolSize: -1},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		defer func() { s.Shutdown(); s.WaitForShutdown() }()
		await(t, "it is refused again and again", func() bool { return j.count("Router connection closed: TLS Handshake Failure") >= 5 })
		if n := j.count("TLS route handshake error"); n != 1 {
			t.Errorf("that is told %d times", n)
		}
		if m.Members() != 0 || s.NumRoutes() != 0 {
			t.Errorf("it has %d members, the stranger %d", m.Members(), s.NumRoutes())
		}
	})
	for name, certs := range map[string][]tls.Certificate{"without a certificate": nil, "with another certificate": {foreignCert(t)}} {
		t.Run(name, func(t *testing.T) {
			m, _ := talkative(t, "192.0.2.1:1")
			c, err := tls.Dial("tcp", m.Addr().String(), &tls.Config{InsecureSkipVerify: true, Certificates: certs})
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			if data, err := io.ReadAll(c); len(data) > 0 || err == nil {
				t.Errorf("it is told %q, %v", data, err)
			}
		})
	}
}
