package haproxy_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/deploy/testport"
	"sluice/proxy"
)

// why asks the controller about a call.
func (r *rig) why(c call) proxy.Answer {
	r.Helper()
	path, query, _ := strings.Cut(c.path, "?")
	a, err := r.controller.Why(r.Context(), proxy.Request{Port: c.port, TLS: c.tls, Method: c.method, Host: c.host, Path: path, Query: query, Header: c.header})
	if err != nil {
		r.Fatal(err)
	}
	return a
}

func TestWhyTellsWhatIsServed(t *testing.T) {
	r := newRig(t)
	to := "&outboundHostname=127.0.0.1&port=" + echo(t, "one")
	r.reconfigure("serviceName=x&servicePath=/x" + to)
	if a := r.why(call{path: "/x/y"}); a.Rule.Service != "x" || a.Version != "v1" || a.Rule.Backend == "" || a.Request.Port != r.http {
		t.Errorf("got %+v", a)
	}
	r.live(r.source.put("x", []byte(`{"serviceName":"x","destinations":[{"port":80,"servicePath":["["],"pathType":"path_reg -m nonsense"}]}`)))
	if a := r.why(call{path: "/x/y"}); a.Rule.Service != "x" || a.Version != "v1" {
		t.Errorf("with the newest version in quarantine: %+v", a)
	}
	r.source.clear()
	r.live(r.source.Desired().Seq)
	if a := r.why(call{path: "/x/y"}); a.Rule.Kind != proxy.KindNone || a.Status != http.StatusServiceUnavailable || a.ErrorFile != "" {
		t.Errorf("after the removal: %+v", a)
	}
}

func TestWhyIsNotReadyBeforeTheFirstLoad(t *testing.T) {
	r := newRig(t, func(r *rig, _ *proxy.Config) { r.source.desired.Ready = false })
	if _, err := r.controller.Why(r.Context(), proxy.Request{Path: "/"}); !errors.Is(err, proxy.ErrNotReady) {
		t.Errorf("got %v, want ErrNotReady", err)
	}
}

func TestWhyNamesWhatElseDecides(t *testing.T) {
	pages := t.TempDir()
	page := filepath.Join(pages, "503.http")
	if err := os.WriteFile(page, []byte("HTTP/1.0 503 Gone fishing\r\nConnection: close\r\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tcp := testport.Free(t)
	r := newRig(t, func(_ *rig, cfg *proxy.Config) {
		cfg.Options.ErrorfilesDir = pages
		cfg.Options.ExtraFrontend = []string{"http-request deny if { path /denied }"}
		cfg.Options.Stats = proxy.Stats{User: "none", Password: "none", URI: "/admin?stats"}
	})
	r.publish("serviceName=t&reqMode=tcp&port=80&srcPort=" + itoa(tcp))
	r.reconfigure("serviceName=x&servicePath=/x&users=ann:secret-password&outboundHostname=127.0.0.1&port=" + echo(t, "one"))
	for name, c := range map[string]struct {
		call call
		kind proxy.Kind
		note string
	}{
		"lines of the operator": {call{path: "/x"}, proxy.KindPrefix, "EXTRA_FRONTEND"},
		"users":                 {call{path: "/x"}, proxy.KindPrefix, "users: 401"},
		"the statistics page":   {call{path: "/admin?stats;up"}, proxy.KindStatistics, ""},
		"another query":         {call{path: "/admin"}, proxy.KindNone, ""},
		"no port for TLS":       {call{path: "/x", tls: true}, proxy.KindPrefix, "no port for https"},
		"a foreign port":        {call{path: "/x", port: 9}, proxy.KindPrefix, "does not listen on port 9"},
		"a port of its scheme":  {call{path: "/x", port: r.http, tls: true}, proxy.KindPrefix, "speaks http"},
		"a port for tcp":        {call{path: "/x", port: tcp}, proxy.KindPrefix, "belongs to service t"},
	} {
		a := r.why(c.call)
		told := slices.ContainsFunc(a.Notes, func(note string) bool { return strings.Contains(note, c.note) })
		if a.Rule.Kind != c.kind || !told && c.note != "" {
			t.Errorf("%s: %s, notes %q", name, a.Rule.Kind, a.Notes)
		}
	}
	if a := r.why(call{path: "/nothing"}); a.ErrorFile != page {
		t.Errorf("error file %q, want %q", a.ErrorFile, page)
	}
}
