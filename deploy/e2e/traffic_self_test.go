package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTrafficCountsWhatFails: the load generator sees what a proxy can do wrong, and only that.
func TestTrafficCountsWhatFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault http.HandlerFunc
		fails bool
	}{
		{"a connection closed without an answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"a status that is not 200", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, true},
		{"the answer of another backend", echoing(t, "two").ServeHTTP, true},
		{"the answer to another request", func(w http.ResponseWriter, r *http.Request) {
			r.RequestURI, r.Body = "/other", http.NoBody
			echoing(t, "one").ServeHTTP(w, r)
		}, true},
		{"a connection whose end is announced", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			echoing(t, "one").ServeHTTP(w, r)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, faults := startFaulty(t, c.fault)
			tr := startTraffic(t, addr, "one", "/a", "/b")
			eventually(t, patience, "200 requests", func() error {
				if sent := tr.sent.Load(); sent < 200 {
					return fmt.Errorf("only %d", sent)
				}
				return nil
			})
			tr.stop()
			want := int64(0)
			if c.fails {
				want = faults.Load()
			}
			if got := tr.failed.Load(); got != want {
				t.Errorf("%d failures counted, want %d of %d: %v", got, want, tr.sent.Load(), tr.failures())
			}
		})
	}
}

// startFaulty echoes, but commits the fault with every tenth request.
func startFaulty(t *testing.T, fault http.HandlerFunc) (addr string, faults *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	faults = new(atomic.Int64)
	good := echoing(t, "one")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			faults.Add(1)
			fault(w, r)
			return
		}
		good.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), faults
}
