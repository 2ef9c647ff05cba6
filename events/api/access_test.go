package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/events/api"
	"sluice/events/api/apitest"
)

const (
	writeToken = "write-token-0123456789"
	readToken  = "read-token-0123456789"
)

func tokens(t testing.TB) api.Tokens {
	t.Helper()
	list, err := api.ParseTokens([]byte("# people\nci:" + writeToken + "\n\ndashboard:" + readToken + ":read\n"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// from is a caller: its address and the host it thinks it calls.
type from struct{ addr, host string }

var (
	local  = from{"127.0.0.1:40000", "127.0.0.1:8080"}
	remote = from{"192.0.2.7:40000", "proxy:8080"}
)

// send makes a request "METHOD /path".
func send(h http.Handler, f from, request string, headers map[string]string) *httptest.ResponseRecorder {
	method, path, _ := strings.Cut(request, " ")
	req := httptest.NewRequest(method, path, nil)
	req.RemoteAddr, req.Host = f.addr, f.host
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

func TestAccessMatrix(t *testing.T) {
	open := handler(t, apitest.New(), func(c *api.Config) { c.Insecure = true })
	closed := handler(t, apitest.New(), nil)
	guarded := handler(t, apitest.New(), func(c *api.Config) { c.Tokens = tokens(t) })
	both := handler(t, apitest.New(), func(c *api.Config) { c.Tokens, c.Insecure = tokens(t), true })
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	const health, see, change = "/healthz", "/v1/services", dfp + "reconfigure?" + goodQ
	tests := []struct {
		name                string
		api                 http.Handler
		from                from
		headers             map[string]string
		health, see, change int
	}{
		{"no tokens, this machine", closed, local, nil, 200, 200, 200},
		{"no tokens, localhost", closed, from{"[::1]:4000", "localhost:8080"}, nil, 200, 200, 200},
		{"no tokens, elsewhere", closed, remote, nil, 200, 403, 403},
		{"no tokens, rebound name", closed, from{"127.0.0.1:4000", "evil.example:8080"}, nil, 200, 403, 403},
		{"no tokens, no host", closed, from{"127.0.0.1:4000", ""}, nil, 200, 403, 403},
		{"no tokens, mapped address", closed, from{"[::ffff:127.0.0.1]:4000", "127.0.0.1"}, nil, 200, 200, 200},
		{"no tokens, through a proxy here", closed, local, map[string]string{"X-Forwarded-For": "192.0.2.7"}, 200, 403, 403},
		{"insecure, elsewhere", open, remote, nil, 200, 200, 200},
		{"tokens, none sent", guarded, local, nil, 200, 401, 401},
		{"tokens, wrong", guarded, remote, bearer("something-else-entirely"), 200, 401, 401},
		{"tokens, another scheme", guarded, remote, map[string]string{"Authorization": "Digest " + writeToken}, 200, 401, 401},
		{"tokens, write", guarded, remote, bearer(writeToken), 200, 200, 200},
		{"tokens, lower-case scheme", guarded, remote, map[string]string{"Authorization": "bearer " + writeToken}, 200, 200, 200},
		{"tokens, read", guarded, remote, bearer(readToken), 200, 200, 403},
		{"tokens win over insecure", both, remote, nil, 200, 401, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for path, want := range map[string]int{health: tt.health, see: tt.see, change: tt.change} {
				got := send(tt.api, tt.from, "GET "+path, tt.headers)
				if got.Code != want {
					t.Errorf("%s: %d, want %d: %s", path, got.Code, want, got.Body)
				}
				if challenged := len(got.Header().Values("WWW-Authenticate")) == 2; challenged != (want == 401) {
					t.Errorf("%s: challenged: %v", path, challenged)
				}
			}
		})
	}
}

func TestOpenToEverybody(t *testing.T) {
	h := handler(t, apitest.New(), func(c *api.Config) { c.Tokens = tokens(t) })
	for _, path := range []string{dfp + "ping", dfp + "successfulinitreload", "/healthz", "/readyz"} {
		if got := send(h, remote, "GET "+path, nil); got.Code != http.StatusOK {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	for _, path := range []string{dfp + "config", dfp + "reload", dfp + "remove?serviceName=a", "/v1/replicas", "/v1/events", "/v1/test"} {
		if got := send(h, remote, "GET "+path, nil); got.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

func TestTokenAsBasicPassword(t *testing.T) {
	b := apitest.New()
	h := handler(t, b, func(c *api.Config) { c.Tokens = tokens(t) })
	req := httptest.NewRequest(http.MethodGet, dfp+"reconfigure?"+goodQ, nil)
	req.SetBasicAuth("anything", writeToken)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if got := actors(t, b); got != "ci by api" {
		t.Errorf("the change is of %q", got)
	}
}

func actors(t testing.TB, b *apitest.Backend) string {
	t.Helper()
	records := records(t, b)
	if len(records) != 1 {
		t.Fatalf("%d events, want 1", len(records))
	}
	return records[0].Actor + " by " + records[0].Origin
}

func TestOtherSitesMayNotChangeAnything(t *testing.T) {
	tests := []struct {
		name    string
		headers map[string]string
		want    int
	}{
		{"no browser", nil, 200},
		{"typed by a person", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"own page", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, 200},
		{"other site", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"sister host", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"other origin", map[string]string{"Origin": "https://evil.example"}, 403},
		{"other port", map[string]string{"Origin": "http://127.0.0.1:9999"}, 403},
		{"hidden origin", map[string]string{"Origin": "null"}, 403},
		{"image on a page elsewhere", map[string]string{"Referer": "http://evil.example/page"}, 403},
		{"link on an own page", map[string]string{"Referer": "http://127.0.0.1:8080/ui/"}, 200},
	}
	changing := []string{
		"GET " + dfp + "reconfigure?" + goodQ, "POST " + dfp + "reconfigure?" + goodQ,
		"GET " + dfp + "remove?serviceName=go-demo", "GET " + dfp + "reload", "DELETE /v1/services/go-demo",
	}
	for _, insecure := range []bool{false, true} {
		h := handler(t, apitest.New(), func(c *api.Config) { c.Insecure = insecure })
		for _, tt := range tests {
			for _, request := range changing {
				if got := send(h, local, request, tt.headers); got.Code != tt.want {
					t.Errorf("%s, insecure %v: %s: %d, want %d", tt.name, insecure, request, got.Code, tt.want)
				}
			}
		}
	}
}

func TestWhoIsNamedInTheEvent(t *testing.T) {
	tests := []struct {
		name    string
		set     func(*api.Config)
		headers map[string]string
		want    string
	}{
		{"this machine", nil, nil, "local by api"},
		{"command line", nil, map[string]string{api.OriginHeader: "cli"}, "local by cli"},
		{"watcher", nil, map[string]string{api.OriginHeader: "swarm"}, "watcher by swarm"},
		{"watcher with a token", func(c *api.Config) { c.Tokens = tokens(t) }, map[string]string{api.OriginHeader: "swarm", "Authorization": "Bearer " + writeToken}, "ci by swarm"},
		{"another origin is not taken", nil, map[string]string{api.OriginHeader: "genesis"}, "local by api"},
		{"anybody", func(c *api.Config) { c.Insecure = true }, nil, "insecure by api"},
		{"token", func(c *api.Config) { c.Tokens = tokens(t) }, map[string]string{"Authorization": "Bearer " + writeToken}, "ci by api"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := apitest.New()
			send(handler(t, b, tt.set), local, "GET "+dfp+"reconfigure?"+goodQ, tt.headers)
			if got := actors(t, b); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
