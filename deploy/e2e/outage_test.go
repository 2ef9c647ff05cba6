package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestOutageOfTheLog: without NATS everybody goes on serving, a new replica serves the
// snapshot of Consul and says so, and all of them catch up when NATS is back.
func TestOutageOfTheLog(t *testing.T) {
	consul := startConsul(t)
	n, replicas := startThree(t, "--consul-addr", consul.addr)
	port := startBackend(t, "one")
	for i, name := range []string{"a", "b", "c"} {
		replicas[i].reconfigure(t, name, port)
	}
	converged(t, replicas)
	position, err := replicas[0].own()
	if err != nil {
		t.Fatal(err)
	}
	waitForSnapshot(t, consul, position.Seq)
	n.stop()

	t.Run("all replicas keep serving and say that they may be behind", func(t *testing.T) {
		for _, r := range replicas {
			for _, path := range []string{"/a", "/b", "/c"} {
				if err := r.routed(path, "one"); err != nil {
					t.Error(err)
				}
			}
			eventually(t, patience, r.name+" is stale", r.isStale)
			mustStatus(t, get(t, r.url("/readyz")), http.StatusOK)
		}
	})
	t.Run("a change is accepted, and pending", func(t *testing.T) {
		late := `{"destinations":[{"port":` + strconv.Itoa(port) + `,"outboundHostname":"127.0.0.1","servicePath":["/late"]}]}`
		put := func(headers ...string) answer {
			return send(t.Context(), http.MethodPut, replicas[0].url("/v1/services/late"), late, append(headers, "Content-Type: application/json")...)
		}
		if a := mustStatus(t, put(), http.StatusAccepted); !strings.Contains(a.Body, `"outcome":"accepted"`) || !strings.Contains(a.Body, `"stamp"`) {
			t.Errorf("answer %v", a)
		}
		later := mustStatus(t, replicas[1].dfp("reconfigure", demo("later", port, "distribute", "true")), http.StatusOK) // what the listener understands
		if !strings.Contains(later.Body, "Accepted without the log") {
			t.Errorf("answer %v", later)
		}
		eventually(t, patience, "routed", func() error { return replicas[0].routed("/late", "one") })
		eventually(t, patience, "one change is told to be pending", func() error {
			s, err := replicas[0].own()
			if err == nil && s.Pending != 1 {
				err = fmt.Errorf("%d pending", s.Pending)
			}
			return err
		})
		if a := mustStatus(t, put("If-Match: *"), http.StatusServiceUnavailable); a.Header.Get("Retry-After") == "" {
			t.Errorf("with a condition: no Retry-After: %v", a)
		}
	})
	fourth := newReplica(t, "replica-4", "--nats-url", n.url(), "--consul-addr", consul.addr).start(t)
	t.Run("a new, empty replica serves the snapshot and says that it is stale", func(t *testing.T) {
		fourth.ready(t, 2*patience)
		for _, path := range []string{"/a", "/b", "/c"} {
			if err := fourth.routed(path, "one"); err != nil {
				t.Errorf("right after ready: %v", err)
			}
		}
		eventually(t, patience, fourth.name+" is stale", fourth.isStale)
	})
	n.start()
	t.Run("when NATS is back all catch up and say so", func(t *testing.T) {
		all := append(replicas, fourth)
		eventually(t, patience, "one fresh state", func() error { return sameState(all...) })
		fourth.reconfigure(t, "d", port, "wait", "all")
		routedByAll(t, all, "/d", "one")
		for _, path := range []string{"/a", "/b", "/c", "/late", "/later"} {
			routedByAll(t, all, path, "one")
		}
	})
}

// TestColdStartFromSnapshot: the log is lost for ever; the state comes back from Consul.
func TestColdStartFromSnapshot(t *testing.T) {
	consul := startConsul(t)
	r := newReplica(t, "local", "--consul-addr", consul.addr).start(t).ready(t, 2*patience)
	port := startBackend(t, "one")
	r.reconfigure(t, "kept", port)
	position, err := r.own()
	if err != nil {
		t.Fatal(err)
	}
	waitForSnapshot(t, consul, position.Seq)
	r.kill()
	r.wipe(t)
	r.start(t).ready(t, 2*patience)
	if err := r.routed("/kept", "one"); err != nil {
		t.Error(err)
	}
	eventually(t, patience, "handed over to the new log", r.fresh)
}

// TestConsulIsOptional: an unreachable Consul disturbs nothing once there is a state.
func TestConsulIsOptional(t *testing.T) {
	consul := startConsul(t)
	r := newReplica(t, "local", "--consul-addr", consul.addr).start(t).ready(t, 2*patience)
	port := startBackend(t, "one")
	r.reconfigure(t, "before", port)
	consul.kill()
	r.reconfigure(t, "after", port)
	for _, path := range []string{"/before", "/after"} {
		if err := r.routed(path, "one"); err != nil {
			t.Error(err)
		}
	}
	mustStatus(t, get(t, r.url("/readyz")), http.StatusOK)
}

// TestMirror: people read routes in Consul under the names that they know.
func TestMirror(t *testing.T) {
	consul := startConsul(t)
	r := newReplica(t, "local", "--consul-addr", consul.addr).start(t).ready(t, 2*patience)
	port := startBackend(t, "one")
	if err := consul.put("docker-flow/somebody-elses", "untouched"); err != nil {
		t.Fatal(err)
	}
	r.reconfigure(t, "go-demo", port, "servicePath", "/demo", "serviceDomain", "acme.com")
	want := map[string]string{
		"docker-flow/go-demo/path": "/demo", "docker-flow/go-demo/port": fmt.Sprint(port), "docker-flow/go-demo/domain": "acme.com",
	}
	eventually(t, patience, "mirrored", func() error {
		seen := consul.mirror(t, "docker-flow")
		for key, value := range want {
			if seen[key] != value {
				return fmt.Errorf("%s = %q, want %q; all: %v", key, seen[key], value, seen)
			}
		}
		return nil
	})
	r.remove(t, "go-demo")
	eventually(t, patience, "removed from the mirror", func() error {
		seen := consul.mirror(t, "docker-flow")
		for key := range seen {
			if strings.HasPrefix(key, "docker-flow/go-demo/") {
				return fmt.Errorf("%s is still there", key)
			}
		}
		if seen["docker-flow/somebody-elses"] != "untouched" {
			return fmt.Errorf("a foreign key changed: %v", seen)
		}
		return nil
	})
}

func (r *replica) isStale() error {
	s, err := r.own()
	if err == nil && s.Stale == "" {
		err = fmt.Errorf("%s does not say that it is stale: %+v", r.name, s)
	}
	return err
}
