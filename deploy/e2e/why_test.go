package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// explanation is what the tests look at of `sluice why --output json`.
type explanation struct {
	Rule struct{ Kind, Service, Backend string }
	// Status and ErrorFile are the proxy's own answer.
	Status    int
	Location  string
	ErrorFile string
	Event     *struct {
		Seq                  uint64
		Stamp, Actor, Origin string
	}
	Shadowed   []struct{ Service string }
	Quarantine *struct{ Version, Reason string }
}

// why asks the command line about a request that enters at the replica's http port.
func (r *replica) why(t testing.TB, host, path string, headers ...string) explanation {
	t.Helper()
	args := []string{"why", fmt.Sprintf("http://%s:%d%s", host, r.http, path), "--output", "json"}
	for _, h := range headers {
		args = append(args, "--header", h)
	}
	code, output := cli(t, r, args...)
	var e explanation
	if err := json.Unmarshal([]byte(output), &e); err != nil || code != 0 {
		t.Fatalf("%v: exit code %d, %v: %s", args, code, err, output)
	}
	return e
}

// TestWhy: `sluice why` names the service that answers the real request, with its event.
func TestWhy(t *testing.T) {
	n := startNATS(t)
	r := newReplica(t, "local", "--nats-url", n.url())
	r.env = append(r.env, "DFP_SERVICE_1_SERVICE_NAME=env", "DFP_SERVICE_1_SERVICE_PATH=/env", "DFP_SERVICE_1_PORT=80")
	page := filepath.Join(r.dir, "errorfiles", "503.http")
	if err := os.WriteFile(page, []byte("HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\nnobody\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start(t).ready(t, 2*patience)
	for name, more := range map[string][]string{
		"any":     {"servicePath", "/"},
		"demo":    {"servicePath", "/demo"},
		"longer":  {"servicePath", "/demo/long"},
		"host":    {"servicePath", "/demo", "serviceDomain", "acme.com"},
		"wild":    {"servicePath", "/demo", "serviceDomain", "*.acme.com"},
		"exact":   {"servicePath", "/demo/exact", "pathType", "path"},
		"regular": {"servicePath", "^/v[0-9]+/", "pathType", "path_reg"},
		"agent":   {"servicePath", "/", "userAgent", "amiga", "aclName", "00"},
		"moved":   {"serviceDomain", "new.com", "servicePath", "/", "redirectFromDomain", "old.com"},
	} {
		r.reconfigure(t, name, startBackend(t, name), append(more, "wait", "none")...)
	}
	eventually(t, patience, "everything is live", r.fresh)

	for _, c := range []struct{ host, path, agent, want string }{
		{"acme.com", "/demo", "", "host"},
		{"other.org", "/demo/long", "", "longer"},
		{"www.acme.com", "/demo/x", "", "wild"},
		{"other.org", "/demo/exact", "", "exact"},
		{"other.org", "/demonstration", "", "demo"},
		{"other.org", "/v12/x?q=1", "", "regular"},
		{"other.org", "/x", "", "any"},
		{"other.org", "/x", "Amiga", "agent"},
		{"new.com", "/x", "", "moved"},
	} {
		t.Run(c.want, func(t *testing.T) {
			e := r.why(t, c.host, c.path, "User-Agent: "+c.agent)
			if e.Rule.Service != c.want {
				t.Errorf("why names %q, want %q", e.Rule.Service, c.want)
			}
			a := r.request(c.path, fmt.Sprintf("Host: %s:%d", c.host, r.http), "User-Agent: "+c.agent)
			if err := expectStatus(a, http.StatusOK); err != nil || a.Header.Get("X-Backend") != e.Rule.Service {
				t.Errorf("why names %q, the request reached %q (%v)", e.Rule.Service, a.Header.Get("X-Backend"), err)
			}
			if e.Event == nil || e.Event.Seq == 0 || e.Event.Stamp == "" || e.Event.Actor == "" {
				t.Errorf("event %+v", e.Event)
			}
			config, err := os.ReadFile(filepath.Join(r.dir, "cfg", "haproxy.cfg"))
			if err != nil || !strings.Contains(string(config), "backend "+e.Rule.Backend+"\n") {
				t.Errorf("haproxy.cfg has no backend %q (%v)", e.Rule.Backend, err)
			}
		})
	}
	t.Run("what would take over, in order", func(t *testing.T) {
		e := r.why(t, "acme.com", "/demo/long")
		var names []string
		for _, rule := range e.Shadowed {
			names = append(names, rule.Service)
		}
		if got := strings.Join(append([]string{e.Rule.Service}, names...), " "); got != "host longer demo any" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("a redirect", func(t *testing.T) {
		e, a := r.why(t, "old.com", "/x?y=1"), r.request("/x?y=1", "Host: old.com")
		if e.Status != a.Status || e.Location != a.Header.Get("Location") || e.Location == "" {
			t.Errorf("why says %d %s, the proxy %d %s", e.Status, e.Location, a.Status, a.Header.Get("Location"))
		}
	})
	t.Run("a service of the environment", func(t *testing.T) {
		if e := r.why(t, "other.org", "/env"); e.Rule.Service != "env" || e.Event == nil || e.Event.Origin != "environment" {
			t.Errorf("got %+v, event %+v", e.Rule, e.Event)
		}
	})
	t.Run("a version in quarantine", func(t *testing.T) {
		before := r.why(t, "other.org", "/demo")
		publishDefinition(t, n, "demo", definition("demo", startBackend(t, "other"), "path_reg -m nonsense"))
		eventually(t, patience, "in quarantine", func() error { return r.quarantined("demo") })
		e := r.why(t, "other.org", "/demo")
		if e.Rule.Service != "demo" || e.Quarantine == nil || e.Event == nil || *e.Event != *before.Event {
			t.Errorf("got %+v, event %+v, quarantine %+v", e.Rule, e.Event, e.Quarantine)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		r.remove(t, "any")
		e, a := r.why(t, "other.org", "/nothing"), r.request("/nothing")
		if e.Rule.Kind != "none" || e.Status != a.Status || e.ErrorFile != page || !strings.Contains(a.Body, "nobody") {
			t.Errorf("why says %+v, the proxy %v", e, a)
		}
	})
	t.Run("for people", func(t *testing.T) {
		code, output := cli(t, r, "why", "http://acme.com/demo")
		if code != 0 {
			t.Errorf("exit code %d: %s", code, output)
		}
		says(t, output, "service host", "by rule", "made by  event")
	})
}
