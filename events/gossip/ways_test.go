package gossip_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

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
	tell := func(t *testing.T) { // again, if a machine that stands still makes a way look as if it hangs
		t.Helper()
		until(t, "it is told", nil, func() bool { return a.Publish(t.Context(), a.own) == nil })
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

// blockedDialer dials once, then hangs until it is released: a name server that does not answer.
type blockedDialer struct {
	dialled atomic.Bool
	hanging chan struct{} // closed when it hangs
	release chan struct{}
}

func (d *blockedDialer) Dial(network, address string) (net.Conn, error) {
	if d.dialled.CompareAndSwap(false, true) {
		return net.Dial(network, address)
	}
	select {
	case <-d.hanging:
	default:
		close(d.hanging)
	}
	<-d.release
	return nil, errors.New("released")
}

// TestWayThatHangs: a connection that looks for its server makes callers wait; others are told all
// the same, at once.
func TestWayThatHangs(t *testing.T) {
	mesh, log := startServer(t, -1), startServer(t, -1)
	d := &blockedDialer{hanging: make(chan struct{}), release: make(chan struct{})}
	hung, err := nats.Connect(log.ClientURL(), nats.SetCustomDialer(d), nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hung.Close)
	released := sync.OnceFunc(func() { close(d.release) })
	ways := []gossip.Way{{Name: "log", NATS: hung}, {Name: "mesh", NATS: connect(t, mesh.ClientURL())}}
	a, b := newStore(1), newStore(2)
	x := joinOver(t, ways, "a", a, "b")
	join(t, connect(t, mesh.ClientURL()), "b", b)
	until(t, "both have met", nil, func() bool { return x.Round(t.Context()) })
	stop(log)
	<-d.hanging
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := range 3 {
			x.Broadcast(told(entries(fmt.Sprint("late-", n), 1, 10)))
			for deadline := time.Now().Add(patience); !x.Round(t.Context()); { // a machine that stands still makes the other way look so, too
				if time.Now().After(deadline) {
					t.Error("no round over the other way")
					break
				}
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("telling the others waits for a connection that hangs")
		released()
		<-ended
	}
	until(t, "the others are told", nil, func() bool {
		for n := range 3 {
			x.Broadcast(told(entries(fmt.Sprint("late-", n), 1, 10)))
		}
		return len(b.Accepted()) == 3
	})
	released() // before anything ends that needs the connection
}
