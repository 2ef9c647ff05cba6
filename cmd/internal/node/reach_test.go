package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/deploy/testport"
	"sluice/events"
	"sluice/events/broker"
)

func TestReach(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	r := newReach(":6222", func() time.Time { return now })
	others := []string{"a", "b", "c"}
	for range 3 {
		r.heard("a", wayMesh)
		r.heard("a", wayLog)
		r.heard("b", wayLog)
		if got := r.trouble(others); got != "" {
			t.Errorf("after %s: %s", now, got)
		}
		now = now.Add(reachWithin / 3)
	}
	r.heard("a", wayMesh)
	r.heard("b", wayLog)
	now = now.Add(1)
	if got := r.trouble(others); !strings.HasPrefix(got, "1 of 3 other replicas cannot be reached through the mesh (--peers): same secret? port 6222 open?") {
		t.Errorf("b is not in the mesh: %q", got)
	}
	r.heard("b", wayMesh)
	if got := r.trouble(others); got != "" {
		t.Errorf("all are in the mesh: %s", got)
	}
	now = now.Add(reachWithin + 1)
	r.heard("a", wayMesh)
	if got := r.trouble([]string{"a"}); got != "" {
		t.Errorf("b is gone: %s", got)
	}
	var none *reach
	none.heard("a", wayLog)
	if got := none.trouble(others); got != "" {
		t.Errorf("without a mesh: %s", got)
	}
}

// What a replica said before its goodbye may arrive later, over the other connection.
func TestGoodbyeIsTheLastWord(t *testing.T) {
	met := 0
	s := &status{roster: events.NewRoster("self", time.Now), met: func() { met++ }}
	alive := events.Status{Node: "other", Name: "other", Ready: true, Time: time.Now()}
	leaving := alive
	leaving.Leaving, leaving.Ready, leaving.Time = true, false, alive.Time.Add(1)
	s.hear(alive, wayMesh)
	s.hear(alive, wayLog)
	if got := len(s.roster.Replicas()); got != 1 || met != 1 {
		t.Fatalf("%d replicas, met %d times", got, met)
	}
	s.hear(leaving, wayMesh)
	s.hear(alive, wayLog)
	s.hear(leaving, wayLog)
	if got := s.roster.Replicas(); len(got) != 0 || met != 1 {
		t.Errorf("after its goodbye there are %+v", got)
	}
	next := alive
	next.Node = "its successor"
	s.hear(next, wayLog)
	if got := len(s.roster.Replicas()); got != 1 {
		t.Errorf("%d replicas, want the successor", got)
	}
}

// startMeshed runs two replicas of one log, each with a secret of the mesh, until the test ends.
func startMeshed(t *testing.T, secrets [2]string) [2]*Node {
	t.Helper()
	log, err := broker.Start(t.Context(), broker.Config{StoreDir: t.TempDir(), Listen: testport.FreeAddr(t), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Shutdown(context.Background()) })
	listen := []string{testport.FreeAddr(t), testport.FreeAddr(t)}
	var out [2]*Node
	for i, secret := range secrets {
		cfg := testConfig(t)
		cfg.Name, cfg.NATS.URL, cfg.Logger = []string{"one", "two"}[i], log.ClientURL(), zerolog.Nop()
		cfg.Peers = Peers{Names: listen, Listen: listen[i], SecretFile: filepath.Join(t.TempDir(), "secret")}
		if err := os.WriteFile(cfg.Peers.SecretFile, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if out[i], err = Open(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		out[i].status.reach.within = time.Second
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- out[i].Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return out
}

// TestReplicasThatDoNotMeetInTheMesh know of each other all the same, and say what is wrong.
func TestReplicasThatDoNotMeetInTheMesh(t *testing.T) {
	both := startMeshed(t, [2]string{"a secret of sixteen bytes", "another one of sixteen"})
	for _, n := range both {
		eventually(t, func() string {
			problem := n.status.current().Problem
			if len(n.status.roster.Others()) == 1 && strings.Contains(problem, "1 of 1 other replicas cannot be reached") {
				return ""
			}
			return fmt.Sprintf("%s knows of %v, problem %q", n.cfg.Name, n.status.roster.Others(), problem)
		})
		if n.mesh.Members() != 0 {
			t.Error("they are in one mesh")
		}
	}
}

func TestReplicasThatMeetInTheMesh(t *testing.T) {
	both := startMeshed(t, [2]string{"a secret of sixteen bytes", "a secret of sixteen bytes"})
	for _, n := range both {
		first := time.Time{}
		eventually(t, func() string { // only what comes through the mesh makes it younger
			n.status.reach.mu.Lock()
			defer n.status.reach.mu.Unlock()
			for _, at := range n.status.reach.since {
				if first.IsZero() {
					first = at
				}
				if at.After(first) {
					return ""
				}
			}
			return fmt.Sprintf("%s has %d members in the mesh, heard of %v", n.cfg.Name, n.mesh.Members(), n.status.reach.since)
		})
		eventually(t, func() string {
			if problem := n.status.current().Problem; strings.Contains(problem, "cannot be reached") {
				return problem
			}
			return ""
		})
	}
}
