package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// refusesToStart expects exit code 1 and an output that holds all hints.
func refusesToStart(t *testing.T, r *replica, hints ...string) {
	t.Helper()
	r.start(t)
	givesUp(t, r, hints...)
}

// givesUp expects of a process that was started what refusesToStart does.
func givesUp(t *testing.T, r *replica, hints ...string) {
	t.Helper()
	if code := r.exitCode(t, patience); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	says(t, r.output(), hints...)
	if strings.Contains(r.output(), "goroutine ") {
		t.Errorf("a panic: %s", r.output())
	}
}

func says(t *testing.T, output string, hints ...string) {
	t.Helper()
	for _, hint := range hints {
		if !strings.Contains(output, hint) {
			t.Errorf("the output does not mention %q:\n%s", hint, tail(output, 20))
		}
	}
}

// TestBadStarts: each says what is wrong and what to do.
func TestBadStarts(t *testing.T) {
	first := startReplica(t, "first")
	// It waits for a while before it gives up.
	second := newReplica(t, "second", "--data-dir", filepath.Join(first.dir, "data")).start(t)
	t.Run("a busy API port", func(t *testing.T) {
		busy := occupy(t)
		refusesToStart(t, newReplica(t, "local", "--api-addr", loopback(busy)), "--api-addr", fmt.Sprint(busy))
	})
	t.Run("a busy NATS port", func(t *testing.T) {
		busy := occupy(t)
		refusesToStart(t, newReplica(t, "local", "--nats-listen", loopback(busy)), "--nats-listen", fmt.Sprint(busy))
	})
	t.Run("a busy traffic port", func(t *testing.T) {
		busy := occupy(t)
		r := newReplica(t, "local")
		r.env = []string{fmt.Sprintf("DEFAULT_PORTS=%d", busy)}
		r.start(t)
		eventually(t, patience, "it says so", func() error {
			if out := r.output(); !strings.Contains(out, fmt.Sprint(busy)) || !strings.Contains(out, "DEFAULT_PORTS") {
				return fmt.Errorf("output: %s", tail(out, 10))
			}
			return nil
		})
		if a := get(t, r.url("/readyz")); a.Status == http.StatusOK {
			t.Error("it says that it is ready")
		}
	})
	for _, flag := range []string{"--data-dir", "--cfg-dir"} {
		t.Run("a file in the way of "+flag, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			refusesToStart(t, newReplica(t, "local", flag, file), flag, file)
		})
	}
	t.Run("no HAProxy", func(t *testing.T) {
		refusesToStart(t, newReplica(t, "local", "--haproxy", "/nowhere/haproxy"), "--haproxy", "/nowhere/haproxy", "install")
	})
	t.Run("all configuration problems at once", func(t *testing.T) {
		r := newReplica(t, "local", "--namespace", "Not A Name", "--api-addr", "nonsense", "--name", "a/b", "--nats-url", "http://x")
		r.env = []string{"DEFAULT_PORTS=eighty"}
		refusesToStart(t, r, "--namespace", "SLUICE_NAMESPACE", "--api-addr", "SLUICE_API_ADDR", "--name", "--nats-url", "DEFAULT_PORTS")
	})
	t.Run("every flag has its variable", func(t *testing.T) {
		r := newReplica(t, "local")
		r.env = append(r.env, "SLUICE_NAMESPACE=Not A Name")
		refusesToStart(t, r, "SLUICE_NAMESPACE")
	})
	t.Run("a data directory in use", func(t *testing.T) {
		givesUp(t, second, "--data-dir", "replica first", "of its own")
		if err := expectStatus(get(t, first.url("/readyz")), http.StatusOK); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
}

// TestStartBesideOneThatStops: as in an update that starts the new process first, or that does
// not wait for the end of the old one.
func TestStartBesideOneThatStops(t *testing.T) {
	first := startReplica(t, "first")
	first.reconfigure(t, "demo", startBackend(t, "demo"))
	second := newReplica(t, "second", "--data-dir", filepath.Join(first.dir, "data")).start(t)
	eventually(t, patience, "it waits, and says so", func() error {
		if out := second.output(); !strings.Contains(out, "waiting for that to stop") || !strings.Contains(out, "replica first") {
			return fmt.Errorf("output: %s", tail(out, 10))
		}
		return nil
	})
	if a := get(t, second.url("/readyz")); a.Status == http.StatusOK {
		t.Error("it says that it is ready")
	}
	first.stop(t, syscall.SIGTERM)
	second.ready(t, 2*patience)
	if err := second.routed("/demo", "demo"); err != nil {
		t.Error(err)
	}
}

// notReady expects that the replica runs, is not ready, takes no traffic and tells why.
func notReady(t *testing.T, r *replica, reason string) {
	t.Helper()
	eventually(t, patience, "it tells why it waits: "+reason, func() error {
		a := get(t, r.url("/readyz"))
		if err := expectStatus(a, http.StatusServiceUnavailable); err != nil {
			return err
		}
		if !strings.Contains(strings.ToLower(a.Body), reason) {
			return fmt.Errorf("/readyz says %s", a.Body)
		}
		return nil
	})
	if a := r.request("/"); a.Err == nil {
		t.Errorf("the traffic port answers before ready: %v", a)
	}
}

// TestWaitingStarts: without anything to restore from, a replica waits and says why.
func TestWaitingStarts(t *testing.T) {
	t.Run("for NATS", func(t *testing.T) {
		n := startNATS(t)
		n.stop()
		r := newReplica(t, "local", "--nats-url", n.url()).start(t)
		notReady(t, r, "log")
		n.start()
		r.ready(t, 2*patience)
	})
	t.Run("for Consul, which may hold a state", func(t *testing.T) {
		r := newReplica(t, "local", "--consul-addr", loopback(freePort(t))).start(t)
		notReady(t, r, "consul")
	})
	t.Run("for the operator", func(t *testing.T) {
		r := newReplica(t, "local", "--no-bootstrap").start(t)
		notReady(t, r, "bootstrap")
	})
}
