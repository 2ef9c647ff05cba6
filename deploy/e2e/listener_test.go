package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// swarmListener answers as Docker Flow Swarm Listener does. It is the network edge of
// these tests: the real one needs a Swarm.
type swarmListener struct {
	address string

	mu       sync.Mutex
	broken   bool
	services []map[string]string
	asked    int
	notified int
}

func startListener(t testing.TB) *swarmListener {
	t.Helper()
	l := &swarmListener{}
	s := httptest.NewServer(http.HandlerFunc(l.answer))
	t.Cleanup(s.Close)
	l.address = strings.TrimPrefix(s.URL, "http://")
	return l
}

func (l *swarmListener) answer(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken:
		http.Error(w, "not now", http.StatusInternalServerError)
	case r.URL.Path == "/v1/docker-flow-swarm-listener/get-services":
		l.asked++
		_ = json.NewEncoder(w).Encode(l.services) // the client sees a broken answer
	case r.URL.Path == "/v1/docker-flow-swarm-listener/notify-services":
		l.notified++
	default:
		http.NotFound(w, r)
	}
}

func (l *swarmListener) lists(broken bool, services ...map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken, l.services = broken, services
}

// counts are the requests for a listing and for notifications so far.
func (l *swarmListener) counts() (asked, notified int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked, l.notified
}

// listed is what the listener tells about a service behind /name.
func listed(name string, port int) map[string]string {
	return map[string]string{
		"serviceName": name, "servicePath": "/" + name, "port": strconv.Itoa(port), "outboundHostname": "127.0.0.1",
		"replicas": "1", "distribute": "true", "nodeInfo": `[["node","10.0.0.1","id"]]`,
	}
}

// TestListener: what it lists is taken over, and never wins against anybody else.
func TestListener(t *testing.T) {
	l := startListener(t)
	one, two := startBackend(t, "one"), startBackend(t, "two")
	r := newReplica(t, "local")
	r.start(t).ready(t, 2*patience)
	r.reconfigure(t, "changed", two)
	r.reconfigure(t, "gone", two)
	mustStatus(t, r.dfp("remove", demo("gone", two)), http.StatusOK)
	r.stop(t, syscall.SIGINT)

	l.lists(true)
	r.env = append(r.env, "LISTENER_ADDRESS="+l.address, "RELOAD_INTERVAL=100", "REPEAT_RELOAD=true")
	r.start(t).ready(t, 2*patience)
	eventually(t, patience, "it tells that the listener fails", func() error {
		return mentions(r.output(), "LISTENER_ADDRESS")
	})
	bad := listed("bad", one)
	bad["port"] = "none"
	l.lists(false, bad, listed("new", one), listed("changed", one), listed("gone", one))
	eventually(t, patience, "the new one is routed", func() error { return r.routed("/new", "one") })
	eventually(t, patience, "the bad one is named", func() error { return mentions(r.output(), `"service":"bad"`) })
	if err := r.routed("/changed", "two"); err != nil {
		t.Errorf("a change by somebody else: %v", err)
	}
	if a := r.request("/gone"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a removal by somebody else: %v", a)
	}

	l.lists(false, listed("new", two))
	eventually(t, patience, "its own changes follow", func() error { return r.routed("/new", "two") })
	before, _ := l.counts()
	eventually(t, patience, "it is asked again and again", func() error {
		if now, _ := l.counts(); now < before+4 {
			return fmt.Errorf("%d times more", now-before)
		}
		return nil
	})
	events := mustStatus(t, get(t, r.url("/v1/events?service=new")), http.StatusOK)
	if n := strings.Count(events.Body, `"origin":"listener"`); n != 2 {
		t.Errorf("%d events of the listener, want the first and the change:\n%s", n, events.Body)
	}
	mustStatus(t, get(t, r.url("/v1/docker-flow-proxy/reload?fromListener=true")), http.StatusOK)
	if _, n := l.counts(); n != 1 {
		t.Errorf("%d notifications asked for", n)
	}
	l.lists(true)
	a := mustStatus(t, get(t, r.url("/v1/docker-flow-proxy/reload?fromListener=true")), http.StatusInternalServerError)
	says(t, a.Body, `"NOK"`, "LISTENER_ADDRESS")
}

// mentions expects a text in an output.
func mentions(output, text string) error {
	if !strings.Contains(output, text) {
		return fmt.Errorf("the output does not mention %q", text)
	}
	return nil
}
