package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthcheckAsksWhereRunListens: one environment for both.
func TestHealthcheckAsksWhereRunListens(t *testing.T) {
	for name, c := range map[string]struct {
		env  variables
		want string
	}{
		"nothing":                   {variables{}, "http://127.0.0.1:8080"},
		"port":                      {variables{"PORT": "81"}, "http://127.0.0.1:81"},
		"all of IPv4":               {variables{"IP": "0.0.0.0"}, "http://127.0.0.1:8080"},
		"all of IPv6":               {variables{"IP": "::", "PORT": "81"}, "http://[::1]:81"},
		"one address":               {variables{"IP": "10.0.0.7"}, "http://10.0.0.7:8080"},
		"IPv6 in brackets":          {variables{"IP": "[fd00::1]"}, "http://[fd00::1]:8080"},
		"the flag's own":            {variables{"IP": "::1", "SLUICE_API_ADDR": ":9"}, "http://127.0.0.1:9"},
		"a name":                    {variables{"SLUICE_API_ADDR": "localhost:9"}, "http://localhost:9"},
		"a watcher's":               {variables{"SLUICE_METRICS_ADDR": ":9", "SLUICE_API": "http://127.0.0.1:1"}, "http://127.0.0.1:9"},
		"a broker's":                {variables{"SLUICE_HEALTH_ADDR": "[::]:9", "PORT": "81"}, "http://[::1]:9"},
		"the replicas of a watcher": {variables{"SLUICE_API": "http://tasks.proxy:8080,http://other:81", "PORT": "81"}, "http://127.0.0.1:81"},
		"a replica of this machine": {variables{"SLUICE_API": "http://127.0.0.1:9"}, "http://127.0.0.1:9"},
		"the flag's, broken":        {variables{"SLUICE_API_ADDR": "x"}, "http://x"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ownURL(c.env); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestHealthcheckFollowsTheEnvironment(t *testing.T) {
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	var out strings.Builder
	p := program{environ: []string{"SLUICE_API_ADDR=" + strings.TrimPrefix(server.URL, "http://")}, out: &out, err: &out}
	if code := execute(t.Context(), &p, []string{"healthcheck"}); code == 0 {
		t.Error("a replica that is not ready counts as healthy")
	}
	status = http.StatusOK
	if code := execute(t.Context(), &p, []string{"healthcheck"}); code != 0 {
		t.Errorf("exit code %d: %s", code, &out)
	}
}
