package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// fillDisk makes the file systems refuse all that a process writes, until the returned function
// makes room. (A limit of files' sizes, as a full disk would need one of the test's own.)
func fillDisk(t testing.TB, p *process) (makeRoom func()) {
	t.Helper()
	limit := func(soft string) {
		t.Helper()
		out, err := exec.Command("prlimit", "--pid", fmt.Sprint(p.cmd.Process.Pid), "--fsize="+soft+":").CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit: %v: %s", err, out)
		}
	}
	limit("0")
	return func() { limit("unlimited") }
}

// TestFullDiskOfAReplica: a replica whose own log cannot be written goes on serving, ready and
// healthy, takes no change, and takes changes again as soon as there is room.
func TestFullDiskOfAReplica(t *testing.T) {
	r := startReplica(t, "local")
	r.reconfigure(t, "before", startBackend(t, "one"))
	r.reconfigure(t, "gone", startBackend(t, "two"))
	makeRoom := fillDisk(t, r.process)
	mustStatus(t, send(t.Context(), http.MethodDelete, r.url("/v1/services/gone"), ""), http.StatusGatewayTimeout)
	for _, path := range []string{"/readyz", "/healthz"} {
		mustStatus(t, get(t, r.url(path)), http.StatusOK)
	}
	if err := r.routed("/before", "one"); err != nil {
		t.Error(err)
	}
	makeRoom()
	r.removed(t, "gone")
	r.reconfigure(t, "after", startBackend(t, "two"))
	for path, backend := range map[string]string{"/before": "one", "/after": "two"} {
		if err := r.routed(path, backend); err != nil {
			t.Error(err)
		}
	}
}

// TestFullDiskOfALogNode: its health tells, and it is well again once there is room.
func TestFullDiskOfALogNode(t *testing.T) {
	nats, health := freePort(t), freePort(t)
	b := startProcess(t, "broker", nil, sluice, "broker", "--nats-listen", loopback(nats), "--health-addr", loopback(health), "--data-dir", t.TempDir())
	healthz := "http://" + loopback(health) + "/healthz"
	eventually(t, patience, "the broker is healthy", func() error { return expectStatus(get(t, healthz), http.StatusOK) })
	r := startReplica(t, "local", "--nats-url", "nats://"+loopback(nats))
	r.reconfigure(t, "before", startBackend(t, "one"))

	makeRoom := fillDisk(t, b)
	mustStatus(t, send(t.Context(), http.MethodDelete, r.url("/v1/services/before"), ""), http.StatusGatewayTimeout)
	if a := mustStatus(t, get(t, healthz), http.StatusServiceUnavailable); !strings.Contains(a.Body, "make room") {
		t.Errorf("its health names no remedy: %v", a)
	}
	mustStatus(t, get(t, r.url("/readyz")), http.StatusOK)

	makeRoom()
	eventually(t, patience, "the broker is healthy again", func() error { return expectStatus(get(t, healthz), http.StatusOK) })
	r.reconfigure(t, "after", startBackend(t, "two"))
	r.removed(t, "before")
}

// removed waits until a removal that nobody could confirm is made.
func (r *replica) removed(t testing.TB, service string) {
	t.Helper()
	eventually(t, 2*patience, "the removal that was under way is made", func() error {
		return expectStatus(get(t, r.url("/v1/services/"+service)), http.StatusNotFound)
	})
}
