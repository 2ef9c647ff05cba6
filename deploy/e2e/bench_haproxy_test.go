package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startHAProxy runs an ordinary HAProxy, as master and worker like Sluice's, and waits
// until it listens on port.
func startHAProxy(t testing.TB, name, config string, port int) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, name, nil, haproxyProgram(t), "-W", "-db", "-f", file)
	eventually(t, 10*time.Second, name+" listens", func() error {
		if !p.running() {
			t.Fatalf("%s ended: %s", name, tail(p.output(), 5))
		}
		conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p
}

func haproxyProgram(t testing.TB) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		path := filepath.Join(dir, "haproxy")
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	t.Fatal("no haproxy in PATH or /usr/sbin")
	return ""
}

// startUpstream is a HAProxy that answers every request itself, which is the cheapest web
// server at hand. Each name gets a port and is told in X-Backend.
func startUpstream(t testing.TB, names ...string) (ports []int) {
	t.Helper()
	config := "global\n    nbthread 1\ndefaults\n    mode http\n    timeout client 1h\n    timeout http-request 1h\n"
	for _, name := range names {
		port := freePort(t)
		ports = append(ports, port)
		config += fmt.Sprintf("frontend %s\n    bind 127.0.0.1:%d\n", name, port)
		config += fmt.Sprintf("    http-request return status 200 content-type text/plain string ok hdr X-Backend %s\n", name)
	}
	startHAProxy(t, "upstream", config, ports[0])
	return ports
}

// plainConfig is what an administrator would write by hand for these paths: a chain of
// rules and a backend for each. Threads are those of Sluice's configuration.
func plainConfig(port, upstream int, paths []string, threads string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n%s", threads)
	b.WriteString(`
defaults
    mode http
    balance roundrobin
    option dontlognull
    option dontlog-normal
    option http-keep-alive
    option redispatch
    maxconn 5000
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout queue 30s
    timeout tunnel 3600s
    timeout http-request 5s
    timeout http-keep-alive 15s
`)
	fmt.Fprintf(&b, "frontend services\n    bind 127.0.0.1:%d\n    option forwardfor\n", port)
	for i, path := range paths {
		fmt.Fprintf(&b, "    use_backend b%d if { path_beg %s }\n", i, path)
	}
	for i := range paths {
		fmt.Fprintf(&b, "backend b%d\n    server s 127.0.0.1:%d\n", i, upstream)
	}
	return b.String()
}

// threadLines are the lines about threads in the configuration that a replica runs.
func threadLines(t testing.TB, r *replica) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(r.dir, "cfg", "haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	var found string
	for line := range strings.Lines(string(config)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "nbthread" || word == "cpu-map" {
			found += line
		}
	}
	return found
}
