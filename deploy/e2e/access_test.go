package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	writeToken = "0123456789-write-token"
	readToken  = "0123456789-read-token"
)

func tokensFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("ci:"+writeToken+"\nviewer:"+readToken+":read\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokens(t *testing.T) {
	r := startReplica(t, "local", "--tokens-file", tokensFile(t))
	port := startBackend(t, "one")
	write := "/v1/docker-flow-proxy/reconfigure?" + demo("web", port, "timeout", patience.String()).Encode()
	const read = "/v1/services"

	for _, c := range []struct {
		name, path, authorization string
		want                      int
	}{
		{"nobody may not read", read, "", http.StatusUnauthorized},
		{"nobody may not write", write, "", http.StatusUnauthorized},
		{"a wrong token may not read", read, "Bearer " + strings.Repeat("x", 22), http.StatusUnauthorized},
		{"a read token reads", read, "Bearer " + readToken, http.StatusOK},
		{"a read token may not write", write, "Bearer " + readToken, http.StatusForbidden},
		{"a write token writes", write, "Bearer " + writeToken, http.StatusOK},
		{"a write token reads", read, "Bearer " + writeToken, http.StatusOK},
		{"health is open", "/readyz", "", http.StatusOK},
		{"ping is open", "/v1/docker-flow-proxy/ping", "", http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.authorization != "" {
				headers = []string{"Authorization: " + c.authorization}
			}
			mustStatus(t, get(t, r.url(c.path), headers...), c.want)
		})
	}
	t.Run("a token works as the password in a URL", func(t *testing.T) {
		mustStatus(t, get(t, strings.Replace(r.url(read), "http://", "http://any:"+readToken+"@", 1)), http.StatusOK)
	})
	t.Run("the actor of a change is the token's name", func(t *testing.T) {
		a := mustStatus(t, get(t, r.url("/v1/events?after=0"), "Authorization: Bearer "+readToken), http.StatusOK)
		if !strings.Contains(a.Body, `"actor":"ci"`) {
			t.Errorf("events: %v", a)
		}
	})
	for _, secret := range []string{writeToken, readToken} {
		if strings.Contains(r.output(), secret) {
			t.Error("a token is in the log output")
		}
	}
}

// TestWithoutTokens: only programs of this machine, and no web page of another site.
func TestWithoutTokens(t *testing.T) {
	write := "/v1/docker-flow-proxy/reconfigure?" + demo("web", 1).Encode() + "&wait=none"
	t.Run("default", func(t *testing.T) {
		r := startReplica(t, "local")
		mustStatus(t, get(t, r.url(write)), http.StatusOK)
		for _, header := range []string{
			"Host: rebound.example.com", "Origin: https://evil.example.com", "Sec-Fetch-Site: cross-site", "X-Forwarded-For: 10.0.0.9",
		} {
			if err := expectStatus(get(t, r.url(write), header), http.StatusForbidden); err != nil {
				t.Errorf("%s: %v", header, err)
			}
		}
	})
	t.Run("--insecure-api opens it and says so", func(t *testing.T) {
		r := startReplica(t, "local", "--insecure-api")
		mustStatus(t, get(t, r.url(write), "Host: proxy.example.com"), http.StatusOK)
		mustStatus(t, get(t, r.url(write), "Origin: https://evil.example.com"), http.StatusForbidden)
		if a := get(t, r.url("/v1/replicas")); !strings.Contains(a.Body, `"insecureApi":true`) {
			t.Errorf("/v1/replicas does not say so: %v", a)
		}
		says(t, r.output(), "insecure")
	})
}
