package haproxy_test

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice/deploy/testport"
	"sluice/proxy"
	"sluice/proxy/haproxy"
)

// accessLog collects lines.
type accessLog struct {
	mu    sync.Mutex
	lines []string
}

func (a *accessLog) add(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line)
}

func (a *accessLog) holding(text string) (found []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range a.lines {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// logged is a rig whose HAProxy logs into the result.
func logged(t *testing.T, options proxy.AccessLog) (*rig, *accessLog) {
	t.Helper()
	log := &accessLog{}
	return newRig(t, func(r *rig, cfg *proxy.Config) {
		cfg.Options.AccessLog = options
		r.config.Access = func(line string) { log.add(r.controller.LineAtRest(line)) }
		cfg.Process = haproxy.New(r.config)
	}), log
}

func TestAccessLog(t *testing.T) {
	for name, c := range map[string]struct {
		options proxy.AccessLog
		fine    string // what the line of a good request holds
		failed  string
	}{
		"the standard format":     {proxy.AccessLog{Enabled: true}, `"GET /x/good HTTP/1.1"`, `"GET /y/bad HTTP/1.1"`},
		"errors only":             {proxy.AccessLog{Enabled: true, ErrorsOnly: true}, "", `"GET /y/bad HTTP/1.1"`},
		"a format with blanks":    {proxy.AccessLog{Enabled: true, HTTPFormat: `{"path": "%HP", "status": %ST}`}, `{"path": "/x/good", "status": 200}`, `{"path": "/y/bad", "status": 503}`},
		"a format that is quoted": {proxy.AccessLog{Enabled: true, HTTPFormat: `path\ %HP`}, "path /x/good", "path /y/bad"},
		"none":                    {proxy.AccessLog{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, log := logged(t, c.options)
			r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "one"))
			r.goes(call{path: "/x/good"}, "one")
			if a := r.do(call{path: "/y/bad"}); a.status != http.StatusServiceUnavailable {
				t.Fatalf("status %d", a.status)
			}
			r.reconfigure("serviceName=z&servicePath=/z&outboundHostname=127.0.0.1&port=" + echo(t, "two"))
			r.goes(call{path: "/z/pooled"}, "two")
			if a := r.do(call{path: "/y/bad"}); a.status != http.StatusServiceUnavailable {
				t.Fatalf("status %d", a.status)
			}
			if name == "the standard format" {
				r.await("the backend's name at rest in the log", func() bool {
					found := log.holding("/z/pooled")
					return len(found) == 1 && strings.Contains(found[0], " z-be") && !strings.Contains(found[0], "pool:")
				})
			}
			if c.failed != "" {
				r.await("the failed requests in the log", func() bool { return len(log.holding(c.failed)) == 2 })
			}
			if c.fine != "" {
				r.await("the good request in the log", func() bool { return len(log.holding(c.fine)) == 1 })
			}
			if found := log.holding("/x/good"); c.fine == "" && len(found) > 0 {
				t.Errorf("logged: %q", found)
			}
		})
	}
}

func TestAccessLogOfConnections(t *testing.T) {
	r, log := logged(t, proxy.AccessLog{Enabled: true, TCPFormat: "closed %fp"})
	port := testport.Free(t)
	r.reconfigure("serviceName=x&reqMode=tcp&outboundHostname=127.0.0.1&port=" + echo(t, "one") + "&srcPort=" + strconv.Itoa(port))
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.await("the connection in the log", func() bool { return len(log.holding("closed "+strconv.Itoa(port))) == 1 })
}

// TestAccessLogHoldsRequestsOnly: what HAProxy tells of itself, of each proxy that stops at a
// reload and of servers that come and go, is no request.
func TestAccessLogHoldsRequestsOnly(t *testing.T) {
	r, log := logged(t, proxy.AccessLog{Enabled: true})
	r.reconfigure("serviceName=x&servicePath=/x&outboundHostname=127.0.0.1&port=" + echo(t, "one"))
	for _, path := range []string{"/x/before", "/x/behind"} {
		r.goes(call{path: path}, "one")
		r.await("the request in the log", func() bool { return len(log.holding(path)) == 1 })
		r.reconfigure("serviceName=y&servicePath=/y&outboundHostname=127.0.0.1&port=" + echo(t, "two"))
		r.live(r.source.remove("y"))
		if err := r.controller.Reload(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		r.await("the old worker to end", func() bool { return r.controller.Report().OldWorkers == 0 })
	}
	for _, line := range log.holding("") {
		if !strings.Contains(line, `"GET /x/`) || strings.HasPrefix(line, "<") {
			t.Errorf("logged: %q", line)
		}
	}
}
