package gossip_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"sluice/deploy/testport"
	"sluice/events"
	"sluice/events/gossip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var subjects = events.Subjects{Namespace: "edge"}

const patience = time.Minute

func startServer(tb testing.TB, port int) *server.Server {
	tb.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		tb.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		tb.Fatal("the NATS server did not start")
	}
	tb.Cleanup(func() { stop(s) })
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func connect(tb testing.TB, url string) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(url, nats.Timeout(patience), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// replica is one that tells a fixed status and remembers what it hears.
type replica struct {
	*gossip.Heartbeats
	ways  []gossip.Way
	own   events.Status
	heard chan heard
}

// heard is a status and the way that it came.
type heard struct {
	events.Status
	way string
}

// over is the only way to other replicas.
func over(nc *nats.Conn) []gossip.Way { return []gossip.Way{{Name: "log", NATS: nc}} }

func startReplica(tb testing.TB, nc *nats.Conn, node string) *replica {
	tb.Helper()
	return startReplicaOver(tb, over(nc), node)
}

func startReplicaOver(tb testing.TB, ways []gossip.Way, node string) *replica {
	tb.Helper()
	h, err := gossip.New(ways, subjects, zerolog.Nop())
	if err != nil {
		tb.Fatal(err)
	}
	r := &replica{Heartbeats: h, ways: ways, heard: make(chan heard, 1000), own: events.Status{
		Node: node, Name: "name of " + node, StreamID: "s", Seq: 7, Live: 6, Ready: true,
		Quarantine: []events.Quarantined{{Service: "bad", Version: "v", Reason: "r"}},
		Time:       time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx, func() events.Status { return r.own }, func(s events.Status, way string) { r.heard <- heard{s, way} }); err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	tb.Cleanup(func() { cancel(); wg.Wait() })
	return r
}

// hears waits for a status of node.
func (r *replica) hears(tb testing.TB, node string) events.Status {
	tb.Helper()
	return r.hearsOver(tb, node)
}

// hearsOver waits until one came over each of the ways.
func (r *replica) hearsOver(tb testing.TB, node string, ways ...string) events.Status {
	tb.Helper()
	deadline := time.After(patience)
	missing := slices.Clone(ways)
	for {
		select {
		case s := <-r.heard:
			if s.Node != node {
				continue
			}
			missing = slices.DeleteFunc(missing, func(way string) bool { return way == s.way })
			if len(missing) == 0 {
				return s.Status
			}
		case <-deadline:
			tb.Fatalf("%s never heard of %s %v", r.own.Node, node, missing)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	s := startServer(t, server.RANDOM_PORT)
	a := startReplica(t, connect(t, s.ClientURL()), "a")
	a.hears(t, "a") // it runs: it asked, and answered itself

	t.Run("a newcomer is answered at once", func(t *testing.T) {
		b := startReplica(t, connect(t, s.ClientURL()), "b")
		if diff := cmp.Diff(a.own, b.hears(t, "a")); diff != "" {
			t.Errorf("status (-sent +heard):\n%s", diff)
		}
	})
	t.Run("a beat reaches everybody", func(t *testing.T) {
		b := startReplica(t, connect(t, s.ClientURL()), "b")
		b.hears(t, "a")
		next := a.own
		next.Seq = 8
		if err := a.Publish(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		for got := b.hears(t, "a"); got.Seq != 8; got = b.hears(t, "a") {
		}
		for got := a.hears(t, "a"); got.Seq != 8; got = a.hears(t, "a") {
		}
	})
	t.Run("what is no status is ignored", func(t *testing.T) {
		nc := connect(t, s.ClientURL())
		for _, data := range []string{"", "{", "null", `{"node":7}`, `{"name":"nobody"}`, `{"node":"` + strings.Repeat("x", 70_000) + `"}`} {
			for _, kind := range []string{"status", "ping"} {
				if err := nc.Publish(subjects.Peer(kind), []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := nc.Publish(subjects.Peer("status"), []byte(`{"node":"z","unknown":1}`)); err != nil {
			t.Fatal(err)
		}
		a.hears(t, "z")
	})
	t.Run("reasons are cut before a status is too large", func(t *testing.T) {
		big := a.own
		big.Node = "big"
		for range 100 {
			big.Quarantine = append(big.Quarantine, events.Quarantined{Service: "s", Reason: strings.Repeat("r", 1000)})
		}
		if err := a.Publish(t.Context(), big); err != nil {
			t.Fatal(err)
		}
		got := a.hears(t, "big")
		if len(got.Quarantine) != 101 || len(got.Quarantine[5].Reason) >= 1000 {
			t.Errorf("%d quarantined, reason of %d bytes", len(got.Quarantine), len(got.Quarantine[5].Reason))
		}
		if big.Quarantine[5].Reason == "" {
			t.Error("the caller's status was changed")
		}
		big.Name = strings.Repeat("n", 70_000)
		if err := a.Publish(t.Context(), big); err == nil {
			t.Error("published 70 kB")
		}
	})
}

func TestReconnectAsksAgain(t *testing.T) {
	port := testport.Free(t)
	s := startServer(t, port)
	a := startReplica(t, connect(t, s.ClientURL()), "a")
	b := startReplica(t, connect(t, s.ClientURL()), "b")
	b.hears(t, "a")
	stop(s)
	deadline := time.Now().Add(patience)
	for {
		err := a.Publish(t.Context(), a.own)
		if errors.Is(err, nats.ErrReconnectBufExceeded) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("publish without a server: %v", err)
		}
	}
	for _, r := range []*replica{a, b} {
		for len(r.heard) > 0 {
			<-r.heard
		}
	}
	startServer(t, port)
	b.hears(t, "a")
	a.hears(t, "b")
}
