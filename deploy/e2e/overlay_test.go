package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
)

// TestOverlays: drain, maintenance and weights are in force on every replica without a load,
// outlive reconfigures and restarts, and go with their service.
func TestOverlays(t *testing.T) {
	n := startNATS(t)
	a := newReplica(t, "a", "--nats-url", n.url()).start(t)
	b := newReplica(t, "b", "--nats-url", n.url()).start(t)
	replicas := []*replica{a.ready(t, 2*patience), b.ready(t, 2*patience)}
	one, two, entry := startBackend(t, "one"), startBackend(t, "two"), fmt.Sprint(freePort(t))
	a.reconfigure(t, "demo", one)
	a.reconfigure(t, "first", one, "reqMode", "tcp", "srcPort", entry, "serviceGroup", "pair")
	a.reconfigure(t, "second", two, "reqMode", "tcp", "srcPort", entry, "serviceGroup", "pair", "distribute", "true")
	converged(t, replicas)

	command := func(r *replica, args ...string) {
		t.Helper()
		if code, output := cli(t, r, append(args, "--wait", "all")...); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, output)
		}
	}
	answers := func(status int) {
		t.Helper()
		for _, r := range replicas {
			mustStatus(t, r.request("/demo"), status)
		}
	}
	generations := func() string {
		t.Helper()
		var list []uint64
		for _, r := range replicas {
			s, err := r.own()
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, s.Generation)
		}
		return fmt.Sprint(list)
	}
	before := generations()

	t.Run("every replica follows at once, without a load", func(t *testing.T) {
		command(a, "drain", "demo")
		answers(http.StatusServiceUnavailable)
		command(b, "ready", "demo")
		answers(http.StatusOK)
		command(b, "maintenance", "demo", "--server", fmt.Sprintf("127.0.0.1:%d", one))
		answers(http.StatusServiceUnavailable)
		command(a, "weight", "first", "3", "--server", "127.0.0.1")
		counts := map[string]int{}
		for range 20 {
			var e echo
			if err := json.Unmarshal([]byte(send(t.Context(), http.MethodGet, "http://127.0.0.1:"+entry, "").Body), &e); err != nil {
				t.Fatal(err)
			}
			counts[e.Backend]++
		}
		if counts["one"] < 12 || counts["one"] > 18 {
			t.Errorf("of 20 requests %v, want three to one", counts)
		}
		if now := generations(); now != before {
			t.Errorf("generations %s, were %s", now, before)
		}
	})
	t.Run("a reconfigure and a restart leave it in force", func(t *testing.T) {
		a.reconfigure(t, "demo", one, "servicePath", "/demo,/more", "distribute", "true")
		answers(http.StatusServiceUnavailable)
		b.stop(t, syscall.SIGTERM)
		b.start(t).ready(t, 2*patience)
		answers(http.StatusServiceUnavailable)
	})
	t.Run("it goes with its service", func(t *testing.T) {
		a.remove(t, "demo")
		b.reconfigure(t, "demo", one, "distribute", "true")
		answers(http.StatusOK)
		mustStatus(t, send(t.Context(), http.MethodGet, a.url("/v1/services/other/overlay"), ""), http.StatusNotFound)
		converged(t, replicas)
	})
}
