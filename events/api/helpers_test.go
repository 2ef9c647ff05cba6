package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/crdt/seal"
	"sluice/crdt/service"
	"sluice/events/api"
	"sluice/events/api/apitest"
)

const (
	dfp   = "/v1/docker-flow-proxy/"
	goodQ = "serviceName=go-demo&servicePath=%2Fdemo&port=8080"
)

// config is a complete configuration over b.
func config(b *apitest.Backend) api.Config {
	return api.Config{
		Addr: "127.0.0.1:0", Replica: b, Waiter: b, Replicas: b, Proxy: b, History: b,
		Defaults: service.Defaults{Separator: ","}, Instance: "docker-flow", Log: zerolog.Nop(),
	}
}

// serve runs the real server on loopback; change may be nil.
func serve(t testing.TB, b *apitest.Backend, change func(*api.Config)) string {
	t.Helper()
	srv := httptest.NewServer(handler(t, b, change))
	t.Cleanup(srv.Close)
	return srv.URL
}

func handler(t testing.TB, b *apitest.Backend, change func(*api.Config)) http.Handler {
	t.Helper()
	cfg := config(b)
	if change != nil {
		change(&cfg)
	}
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}

func clusterKey(t testing.TB) *seal.Key {
	t.Helper()
	key, err := seal.Parse("a cluster key of more than 32 characters")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("answer %q: %v", a.body, err)
	}
	return out
}

// call sends a request; headers are "Name: value" lines.
func call(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(data)}
}

func get(t testing.TB, url string, headers ...string) answer {
	t.Helper()
	return call(t, http.MethodGet, url, "", headers...)
}

func encodeQuery(q map[string]string) string {
	v := url.Values{}
	for name, value := range q {
		v.Set(name, value)
	}
	return v.Encode()
}
