package e2e_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// echo is what a backend tells about the request that reached it.
type echo struct {
	Backend string
	Method  string
	URI     string
	Host    string
	Header  http.Header
	Body    string
}

// startBackend runs a web server that answers every request with its echo and returns
// its port.
func startBackend(t testing.TB, name string) int {
	t.Helper()
	server := httptest.NewServer(echoing(t, name))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// echoing answers every request with its echo, after ?sleep= milliseconds.
func echoing(t testing.TB, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the proxy gave up; there is nobody to answer
		}
		if ms, err := strconv.Atoi(r.URL.Query().Get("sleep")); err == nil {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Backend", name)
		e := echo{name, r.Method, r.RequestURI, r.Host, r.Header, string(body)}
		if err := json.NewEncoder(w).Encode(e); err != nil {
			t.Logf("backend %s: %v", name, err)
		}
	})
}
