package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// startThree runs three replicas on one NATS.
func startThree(t testing.TB, args ...string) (*natsServer, []*replica) {
	t.Helper()
	n := startNATS(t)
	var replicas []*replica
	for i := range 3 {
		r := newReplica(t, fmt.Sprintf("replica-%d", i+1), append([]string{"--nats-url", n.url()}, args...)...)
		replicas = append(replicas, r.start(t))
	}
	for _, r := range replicas {
		r.ready(t, 2*patience)
	}
	return n, replicas
}

// routedByAll waits until every replica routes path to the backend.
func routedByAll(t testing.TB, replicas []*replica, path, backend string) {
	t.Helper()
	for _, r := range replicas {
		eventually(t, patience, path+" through "+r.name, func() error { return r.routed(path, backend) })
	}
}

func converged(t testing.TB, replicas []*replica) {
	t.Helper()
	eventually(t, patience, "one state everywhere", func() error { return sameState(replicas...) })
}

// TestThreeReplicas: a change sent to any replica is routed by all of them.
func TestThreeReplicas(t *testing.T) {
	_, replicas := startThree(t)
	port := startBackend(t, "one")

	t.Run("a reconfigure of any replica is routed by all", func(t *testing.T) {
		for i, r := range replicas {
			r.reconfigure(t, fmt.Sprintf("via-%d", i), port)
		}
		for i := range replicas {
			routedByAll(t, replicas, fmt.Sprintf("/via-%d/x", i), "one")
		}
		converged(t, replicas)
	})
	t.Run("the last of conflicting writers wins everywhere", func(t *testing.T) {
		two := startBackend(t, "two")
		replicas[0].reconfigure(t, "via-0", port)
		replicas[1].reconfigure(t, "via-0", two)
		routedByAll(t, replicas, "/via-0", "two")
	})
	for _, c := range []struct{ name, param, value string }{
		{"wait=all is answered when it is live everywhere", "wait", "all"},
		{"distribute=true means the same", "distribute", "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n := range 5 {
				name := fmt.Sprintf("%s-%d", c.param, n)
				replicas[n%3].reconfigure(t, name, port, c.param, c.value)
				for _, r := range replicas {
					if err := r.routed("/"+name, "one"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	t.Run("distribute=true answers as Docker Flow Proxy does", func(t *testing.T) {
		a := replicas[0].dfp("reconfigure", demo("dist", port, "distribute", "true"))
		body := decode[struct{ Status, Message string }](t, a)
		if body.Status != "OK" || !strings.Contains(body.Message, "istributed to all instances") {
			t.Errorf("answer %+v", body)
		}
	})
	t.Run("a remove sent to any replica reaches all", func(t *testing.T) {
		q := url.Values{"serviceName": {"via-1"}, "wait": {"all"}}
		mustStatus(t, replicas[2].dfp("remove", q), http.StatusOK)
		for _, r := range replicas {
			mustStatus(t, r.request("/via-1"), http.StatusServiceUnavailable)
		}
	})
	t.Run("every replica knows the others", func(t *testing.T) {
		for _, r := range replicas {
			eventually(t, patience, "three names", func() error {
				all, err := r.statuses()
				if err == nil && len(all) != 3 {
					err = fmt.Errorf("%s knows %d replicas", r.name, len(all))
				}
				return err
			})
		}
	})
}

// TestReplacedReplicaRecovers: kill -9, empty directories, a new start; the same state,
// and no 503 for any route from the moment it says that it is ready.
func TestReplacedReplicaRecovers(t *testing.T) {
	_, replicas := startThree(t)
	port := startBackend(t, "one")
	var names []string
	for n := range 20 {
		name := fmt.Sprintf("s%02d", n)
		replicas[n%3].reconfigure(t, name, port, "wait", "none")
		names = append(names, name)
	}
	converged(t, replicas)

	for _, victim := range replicas {
		t.Run(victim.name, func(t *testing.T) {
			victim.kill()
			others := without(replicas, victim)
			added := "while-" + victim.name + "-was-away"
			others[0].reconfigure(t, added, port)
			others[1].remove(t, names[0])
			gone := names[0]
			names = append(names[1:], added)

			victim.wipe(t)
			victim.start(t).ready(t, 2*patience)
			for _, name := range names {
				if err := victim.routed("/"+name, "one"); err != nil {
					t.Errorf("right after ready: %v", err)
				}
			}
			mustStatus(t, victim.request("/"+gone), http.StatusServiceUnavailable)
			converged(t, replicas)
		})
	}
}

func without(replicas []*replica, one *replica) []*replica {
	var rest []*replica
	for _, r := range replicas {
		if r != one {
			rest = append(rest, r)
		}
	}
	return rest
}
