package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// meshed prepares replicas that know each other's mesh ports beside a shared log.
func meshed(t testing.TB, n int, natsURL string) []*replica {
	t.Helper()
	key := filepath.Join(t.TempDir(), "cluster.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	var ports, peers []string
	for range n {
		ports = append(ports, loopback(freePort(t)))
	}
	peers = append(peers, ports...)
	var replicas []*replica
	for i := range n {
		replicas = append(replicas, newReplica(t, fmt.Sprintf("replica-%d", i+1), "--nats-url", natsURL,
			"--cluster-key-file", key, "--peers", strings.Join(peers, ","), "--peers-listen", ports[i]))
	}
	return replicas
}

func startAll(t testing.TB, replicas []*replica) {
	t.Helper()
	for _, r := range replicas {
		r.start(t)
	}
	for _, r := range replicas {
		r.ready(t, 2*patience)
	}
}

// unburdened is nil if all replicas follow one log with one map and nothing is pending.
func unburdened(replicas []*replica) error {
	for _, r := range replicas {
		s, err := r.own()
		if err != nil {
			return err
		}
		if s.Pending != 0 {
			return fmt.Errorf("%s holds %d pending changes", r.name, s.Pending)
		}
	}
	return sameState(replicas...)
}

// heardAll is nil if a replica has all that was told to n replicas in TestMesh.
func heardAll(r *replica, n int) error {
	for i := range n {
		if err := r.routed(fmt.Sprintf("/via-%d", i), "one"); err != nil {
			return err
		}
	}
	if err := r.routed("/old", "two"); err != nil {
		return err
	}
	if err := expectStatus(r.request("/gone"), http.StatusServiceUnavailable); err != nil {
		return fmt.Errorf("the removal has not reached %s: %w", r.name, err)
	}
	return nil
}

// TestMesh: without any log node the replicas go on taking changes, tell each other, and one
// that starts anew gets everything from the others; what happened is in the log afterwards.
func TestMesh(t *testing.T) {
	for _, c := range []struct {
		name string
		lost bool
	}{{"the log comes back with its data", false}, {"the log comes back empty", true}} {
		t.Run(c.name, func(t *testing.T) {
			log := startNATSCluster(t)
			replicas := meshed(t, 5, log.url())
			startAll(t, replicas)
			one, two := startBackend(t, "one"), startBackend(t, "two")
			replicas[0].reconfigure(t, "old", one, "wait", "all")
			replicas[1].reconfigure(t, "gone", one, "wait", "all")
			log.stop()
			for _, r := range replicas {
				eventually(t, patience, r.name+" is stale", r.isStale)
			}

			for i, r := range replicas {
				a := send(t.Context(), http.MethodPut, r.url(fmt.Sprintf("/v1/services/via-%d", i)), fmt.Sprintf(
					`{"destinations":[{"port":%d,"outboundHostname":"127.0.0.1","servicePath":["/via-%d"]}]}`, one, i), "Content-Type: application/json")
				mustStatus(t, a, http.StatusAccepted)
			}
			replicas[2].reconfigure(t, "old", one, "servicePath", "/older") // DFP's answer is 200
			replicas[3].reconfigure(t, "old", two)
			replicas[4].remove(t, "gone")
			// Side by side: what it takes to ask one of them is none of another's time.
			err := inParallel(len(replicas), func(i int) error {
				return await(t.Context(), 2*time.Second, func() error { return heardAll(replicas[i], len(replicas)) })
			})
			if err != nil {
				t.Error(err)
			}

			again := replicas[2]
			again.kill()
			again.wipe(t)
			again.start(t).ready(t, 2*patience)
			for _, path := range []string{"/via-0", "/via-4"} {
				routedByAll(t, []*replica{again}, path, "one")
			}
			routedByAll(t, []*replica{again}, "/old", "two")

			if c.lost {
				log.wipe()
			}
			log.start()
			eventually(t, 3*patience, "one state, nothing pending", func() error { return unburdened(replicas) })
			for i := range replicas {
				routedByAll(t, replicas, fmt.Sprintf("/via-%d", i), "one")
			}
			routedByAll(t, replicas, "/old", "two")
			mustStatus(t, replicas[2].request("/gone"), http.StatusServiceUnavailable)
		})
	}
}
