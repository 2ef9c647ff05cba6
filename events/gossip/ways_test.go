package gossip_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"sluice/events"
	"sluice/events/gossip"
)

// TestHeartbeatsOverEveryWay: what one connection does not carry comes over another.
func TestHeartbeatsOverEveryWay(t *testing.T) {
	mesh, log, elsewhere := startServer(t, -1), startServer(t, -1), startServer(t, -1)
	both := func(mesh *server.Server) []gossip.Way {
		return []gossip.Way{{Name: "mesh", NATS: connect(t, mesh.ClientURL())}, {Name: "log", NATS: connect(t, log.ClientURL())}}
	}
	a := startReplicaOver(t, both(mesh), "a")
	a.hearsOver(t, "a", "mesh", "log")
	outside := startReplicaOver(t, both(elsewhere), "outside")
	a.hearsOver(t, "outside", "log")
	inside := startReplicaOver(t, both(mesh), "inside")
	tell := func(t *testing.T) {
		t.Helper()
		if err := a.Publish(t.Context(), a.own); err != nil {
			t.Error(err)
		}
	}
	t.Run("a newcomer is answered the way that it asked", func(t *testing.T) {
		outside.hearsOver(t, "a", "log")
		inside.hearsOver(t, "a", "mesh", "log")
		a.hearsOver(t, "inside", "mesh")
	})
	t.Run("a beat takes all ways", func(t *testing.T) {
		tell(t)
		outside.hearsOver(t, "a", "log")
		inside.hearsOver(t, "a", "mesh", "log")
	})
	t.Run("one way is enough", func(t *testing.T) {
		stop(log)
		until(t, "the connection is known to be lost", nil, func() bool { return a.lost(1) })
		for len(inside.heard) > 0 {
			<-inside.heard
		}
		tell(t)
		inside.hearsOver(t, "a", "mesh")
	})
	t.Run("none is not", func(t *testing.T) {
		stop(mesh)
		until(t, "the connection is known to be lost", nil, func() bool { return a.lost(0) })
		if err := a.Publish(t.Context(), a.own); err == nil {
			t.Error("told nobody without an error")
		}
	})
}

func (r *replica) lost(way int) bool { return !r.ways[way].NATS.IsConnected() }

// TestExchangeOverEveryWay: replicas that do not meet in the mesh exchange over the log's NATS.
func TestExchangeOverEveryWay(t *testing.T) {
	mesh, log, elsewhere := startServer(t, -1), startServer(t, -1), startServer(t, -1)
	both := func(mesh *server.Server) []gossip.Way {
		return []gossip.Way{{Name: "mesh", NATS: connect(t, mesh.ClientURL())}, {Name: "log", NATS: connect(t, log.ClientURL())}}
	}
	a, inside, outside := newStore(1), newStore(2), newStore(3)
	asked, err := connect(t, log.ClientURL()).SubscribeSync(subjects.Peer("exchange.inside"))
	if err != nil {
		t.Fatal(err)
	}
	joinOver(t, both(mesh), "inside", inside)
	joinOver(t, both(elsewhere), "outside", outside)
	x := joinOver(t, both(mesh), "a", a, "inside")
	y := joinOver(t, both(mesh), "y", a, "outside")
	list := told(entries("one", 10, 100))
	t.Run("what is told reaches everybody", func(t *testing.T) {
		until(t, "all hold it", nil, func() bool {
			x.Broadcast(list)
			return len(outside.Accepted()) == 10 && len(inside.Accepted()) == 10
		})
	})
	t.Run("comparing prefers the first way", func(t *testing.T) {
		a.Admit(told(entries("two", 10, 100)))
		until(t, "both hold it", x, func() bool { return inside.AcceptedDigest() == a.AcceptedDigest() })
		if n, _, err := asked.Pending(); n != 0 || err != nil {
			t.Errorf("%d questions over the log, %v", n, err)
		}
	})
	t.Run("and takes the other where it must", func(t *testing.T) {
		until(t, "both hold it", y, func() bool { return outside.AcceptedDigest() == a.AcceptedDigest() })
	})
	t.Run("a state too", func(t *testing.T) {
		outside.Adopt(events.Transfer{State: stateOf(entries("s", 5000, 300))})
		until(t, "it is taken over", y, func() bool { return a.Position() == outside.Position() && a.Position().StreamID != "" })
	})
}
