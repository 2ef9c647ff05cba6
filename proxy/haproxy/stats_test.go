package haproxy_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice/deploy/testport"
	"sluice/proxy"
)

// page asks for the statistics page and returns status and body.
func page(t *testing.T, port int, uri, user, password string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(port)+uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func withStats(s proxy.Stats) rigChange {
	return func(_ *rig, cfg *proxy.Config) { cfg.Options.Stats = s }
}

func TestStatisticsPage(t *testing.T) {
	const password = "p'a \"ss#%7"
	own := testport.Free(t)
	for name, c := range map[string]struct {
		stats                  proxy.Stats
		nobody, stranger, user int
		anotherAddress         bool
	}{
		"off":       {proxy.Stats{URI: "/admin?stats"}, 503, 503, 503, false},
		"users":     {proxy.Stats{User: "u", Password: password, URI: "/admin?stats"}, 401, 401, 200, false},
		"everybody": {proxy.Stats{User: "none", Password: "none", URI: "/admin?stats"}, 200, 200, 200, false},
		"elsewhere": {proxy.Stats{User: "u", Password: password, URI: "/a'b/x", Port: own}, 401, 401, 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withStats(c.stats))
			r.reconfigure("serviceName=x&outboundHostname=127.0.0.1&port=" + echo(t, "one") + "&servicePath=/x")
			port := r.http
			if c.anotherAddress {
				port = own
				if got, _ := page(t, r.http, c.stats.URI, "u", password); got != 503 {
					t.Errorf("on the http frontend: %d", got)
				}
			}
			for _, who := range []struct {
				user, password string
				want           int
			}{{"", "", c.nobody}, {"u", "wrong", c.stranger}, {"u", password, c.user}} {
				got, body := page(t, port, c.stats.URI, who.user, who.password)
				if got != who.want || got == 200 && !strings.Contains(body, "Statistics Report") {
					t.Errorf("%q: status %d, want %d: %.80s", who.user, got, who.want, body)
				}
			}
			r.goes(call{path: "/x"}, "one")
			r.noFileHolds(password)
		})
	}
}

// noFileHolds looks for a secret in everything that HAProxy is given.
func (r *rig) noFileHolds(secret string) {
	r.Helper()
	err := filepath.WalkDir(r.options.CfgDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), secret) {
			r.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		r.Error(err)
	}
}
