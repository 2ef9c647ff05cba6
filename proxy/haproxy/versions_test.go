package haproxy_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/deploy/testport"
	"sluice/proxy"
	"sluice/proxy/haproxy"
)

// What differs between versions of HAProxy is tested with the version that is in PATH: each
// test says what has to be with and without the capability.

// addsBackends reports whether this HAProxy has no pool, since it can add backends.
func (r *rig) addsBackends() bool { return r.config.Binary.Capabilities().AddBackend }

// hasBackend reports whether HAProxy has a backend of that name.
func (r *rig) hasBackend(name string) bool {
	return strings.Contains(r.socket("show backend"), "\n"+name+"\n")
}

// TestABackendForANewService: where HAProxy can add backends, the service gets its own at
// once, with all settings of one in the configuration, and takes it along when it goes.
func TestABackendForANewService(t *testing.T) {
	pages := t.TempDir()
	gone := "HTTP/1.1 503 Gone fishing\r\nContent-Length: 4\r\n\r\nfish"
	if err := os.WriteFile(filepath.Join(pages, "503.http"), []byte(gone), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(_ *rig, cfg *proxy.Config) { cfg.Options.ErrorfilesDir = pages })
	port := echo(t, "a")
	query := "serviceName=demo&servicePath=/demo&outboundHostname=127.0.0.1&port=" + port
	r.reconfigure("serviceName=first&servicePath=/first&outboundHostname=127.0.0.1&port=" + port)
	loads := r.controller.Report().Generation
	name := "demo-be" + port + "_0"
	for range 3 {
		r.reconfigure(query)
		r.goes(call{path: "/demo"}, "a")
		if r.hasBackend(name) != r.addsBackends() || r.hasBackend("pool:1") == r.addsBackends() {
			t.Errorf("backends:\n%s", r.socket("show backend"))
		}
		r.live(r.source.remove("demo"))
		r.goes(call{path: "/demo"}, "")
		r.await("the backend to go", func() bool { return !r.hasBackend(name) })
	}
	t.Run("settings are those of the configuration", func(t *testing.T) {
		r.reconfigure("serviceName=dead&servicePath=/dead&outboundHostname=127.0.0.1&port=" + fmt.Sprint(testport.Free(t)))
		if status, body := page(t, r.http, "/dead", "", ""); status != http.StatusServiceUnavailable || body != "fish" {
			t.Errorf("status %d, page %q", status, body)
		}
	})
	if now := r.controller.Report().Generation; now != loads {
		t.Errorf("%d loads were made", now-loads)
	}
	r.agrees()
}

// TestAddedBackendsHaveNoEnd: services that come and go leave nothing behind.
func TestAddedBackendsHaveNoEnd(t *testing.T) {
	r := newRig(t, agreeing)
	port := echo(t, "a")
	r.reconfigure("serviceName=first&servicePath=/first&outboundHostname=127.0.0.1&port=" + port)
	before := r.socket("show backend")
	var last uint64
	for round := range 3 {
		for i := range 20 {
			last = r.publish(fmt.Sprintf("serviceName=s%d-%d&servicePath=/%d/&outboundHostname=127.0.0.1&port=%s", round, i, i, port))
		}
		r.live(last)
		for i := range 20 {
			r.goes(call{path: fmt.Sprintf("/%d/", i)}, "a")
			last = r.source.remove(fmt.Sprintf("s%d-%d", round, i))
		}
		r.live(last)
	}
	r.await("the backends to be those of before", func() bool { return r.socket("show backend") == before })
}

// TestABackendWaitsForItsRequests: it goes when the last one is answered, or serves again if
// its service comes back before.
func TestABackendWaitsForItsRequests(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Backend", "slow")
		if strings.HasSuffix(req.URL.Path, "/wait") {
			arrived <- struct{}{}
			<-release
		}
	}))
	t.Cleanup(backend.Close)
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	port := backend.URL[strings.LastIndexByte(backend.URL, ':')+1:]
	r := newRig(t, agreeing)
	query := "serviceName=slow&servicePath=/slow&outboundHostname=127.0.0.1&port=" + port
	r.reconfigure("serviceName=other&servicePath=/other&outboundHostname=127.0.0.1&port=" + port)
	r.reconfigure(query)
	status := make(chan int, 1)
	go func() { status <- statusOf(fmt.Sprintf("http://127.0.0.1:%d/slow/wait", r.http)) }()
	<-arrived
	serves := func() bool {
		a, err := r.try(call{path: "/slow"})
		return err == nil && a.header.Get("X-Backend") == "slow"
	}
	r.live(r.source.remove("slow"))
	r.reconfigure(query)
	r.await("the service to be back", serves)
	r.live(r.source.remove("slow"))
	if left := lineWith(r.socket("show servers state"), " slow "); left == "" {
		t.Error("the server is gone before its request")
	}
	let()
	if got := <-status; got != http.StatusOK {
		t.Errorf("the request under way ended with %d", got)
	}
	r.await("backend and server to go", func() bool {
		return lineWith(r.socket("show servers state"), " slow ") == "" && !r.hasBackend("slow-be"+port+"_0")
	})
}

func statusOf(url string) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close() // only the status is of interest
	return res.StatusCode
}

// TestABackendThatSomebodyElseDeletes comes back with a load.
func TestABackendThatSomebodyElseDeletes(t *testing.T) {
	r := newRig(t)
	port := echo(t, "a")
	query := "serviceName=x&outboundHostname=127.0.0.1&port="
	r.reconfigure("serviceName=first&servicePath=/first&outboundHostname=127.0.0.1&port=" + port)
	r.reconfigure(query + port + "&servicePath=/x")
	home := strings.Fields(lineWith(r.socket("show servers state"), " x "))[1]
	r.socket("set server "+home+"/x state maint", "del server "+home+"/x", "unpublish backend "+home, "del backend "+home)
	if r.addsBackends() == r.hasBackend(home) {
		t.Fatalf("the backend is not deleted:\n%s", r.socket("show backend"))
	}
	r.reconfigure(query + port + "&servicePath=/x,/y")
	r.reconfigure(query + echo(t, "b") + "&servicePath=/x,/y")
	r.goes(call{path: "/y"}, "b")
	r.goes(call{path: "/x"}, "b")
}

// TestStickyServersChange: servers with cookies come without a load where HAProxy takes them.
func TestStickyServersChange(t *testing.T) {
	table := map[string]string{"tasks.x": "127.0.0.1"}
	var mu sync.Mutex
	r := newRig(t, agreeing, func(_ *rig, cfg *proxy.Config) {
		cfg.Lookup, cfg.Resolve = lookupLocked(&mu, table), 20*time.Millisecond
	})
	port := twins(t, "one", "two")
	r.reconfigure("serviceName=x&servicePath=/x&sessionType=sticky-server&port=" + port)
	loads := r.controller.Report().Generation
	mu.Lock()
	table["tasks.x"] = "127.0.0.1 127.0.0.2"
	mu.Unlock()
	r.await("a new server to be bound by its cookie", func() bool {
		a := r.do(call{path: "/x", header: http.Header{"Cookie": {"x=x_1"}}})
		return a.seen.Backend == "two" && a.header.Get("Set-Cookie") == ""
	})
	for range 10 {
		r.goes(call{path: "/x", header: http.Header{"Cookie": {"x=x_1"}}}, "two")
	}
	if loaded := r.controller.Report().Generation != loads; loaded == r.config.Binary.Capabilities().Cookie {
		t.Errorf("a load was made: %v", loaded)
	}
}

// TestLongCertificates: those that are longer than HAProxy's buffer come with a load, each time:
// HAProxy 3.4 takes most of them by command, and the rest of some for commands.
func TestLongCertificates(t *testing.T) {
	fallback := filepath.Join(t.TempDir(), "self.pem")
	if err := os.WriteFile(fallback, bundle(t, "self.test"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.Binds = append(cfg.Options.Binds, proxy.Bind{Addr: "127.0.0.1", Port: r.tls, TLS: true})
		cfg.Certificates = files{fallback: fallback}
		agreeing(r, cfg)
	})
	first := proxy.Bundle{Name: "a.pem", Version: "1", PEM: bundle(t, "a.test")}
	r.certify(first)
	loads := r.controller.Report().Generation
	r.certify(first, proxy.Bundle{Name: "long.pem", Version: "1", PEM: longBundle(t, "long.test")})
	r.await("the long certificate", func() bool { return r.presented("long.test") == "long.test" })
	if r.controller.Report().Generation == loads {
		t.Error("no load was made")
	}
}

// longBundle has a chain that is longer than HAProxy's buffer.
func longBundle(t testing.TB, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(bundle(t, name))
	for i := 0; b.Len() < 40<<10; i++ {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		certificate, _, _ := bytes.Cut(signed(t, fmt.Sprintf("issuer%d.test", i), key), []byte("-----BEGIN PRIVATE KEY-----"))
		b.Write(certificate)
	}
	return b.Bytes()
}

// TestAServiceThatGoesIsNoAlarm: that its backend has no server then is what was wanted.
func TestAServiceThatGoesIsNoAlarm(t *testing.T) {
	log := &accessLog{}
	r := newRig(t, func(r *rig, cfg *proxy.Config) {
		r.config.Logger = zerolog.New(log)
		cfg.Process = haproxy.New(r.config)
	})
	port := echo(t, "a")
	r.reconfigure("serviceName=first&servicePath=/first&outboundHostname=127.0.0.1&port=" + port)
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + port)
	r.live(r.source.remove("x"))
	r.await("haproxy to tell it", func() bool { return len(log.holding("has no server available")) > 0 })
	if lines := log.holding(`"level":"warn"`); len(lines) > 0 {
		t.Errorf("warned of: %q", lines)
	}
}

// agreeing fails the test if an answer of HAProxy is not as expected: all would be compared
// and repaired.
func agreeing(r *rig, cfg *proxy.Config) {
	log := &accessLog{}
	cfg.Logger = zerolog.New(zerolog.MultiLevelWriter(log, zerolog.NewTestWriter(r.TB)))
	t := r.TB // which may change
	t.Cleanup(func() {
		if lines := log.holding("haproxy holds something else"); len(lines) > 0 {
			t.Errorf("unexpected answers: %q", lines)
		}
	})
}

// Write takes the lines of a logger.
func (a *accessLog) Write(line []byte) (int, error) {
	a.add(string(line))
	return len(line), nil
}
