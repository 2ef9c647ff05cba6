package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTrafficCountsWhatFails: the load generator sees what a proxy can do wrong, and only that.
func TestTrafficCountsWhatFails(t *testing.T) {
	cut := func(w http.ResponseWriter) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}
	for _, c := range []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request)
		fails bool
	}{
		{"a connection closed without an answer", func(w http.ResponseWriter, _ *http.Request) { cut(w) }, true},
		{"a status that is not 200", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, true},
		{"the answer of another backend", func(w http.ResponseWriter, r *http.Request) { echoing(t, "two").ServeHTTP(w, r) }, true},
		{"the answer to another request", func(w http.ResponseWriter, r *http.Request) {
			r.RequestURI = "/other"
			r.Body = http.NoBody
			echoing(t, "one").ServeHTTP(w, r)
		}, true},
		{"a connection whose end is announced", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			echoing(t, "one").ServeHTTP(w, r)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n, faults atomic.Int64
			good := echoing(t, "one")
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1)%10 == 0 {
					faults.Add(1)
					c.fault(w, r)
					return
				}
				good.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			tr := startTraffic(t, strings.TrimPrefix(server.URL, "http://"), "one", "/a", "/b")
			eventually(t, 10*time.Second, "200 requests", func() error {
				if tr.sent.Load() < 200 {
					return strconv.ErrRange
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
