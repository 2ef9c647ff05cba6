package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/events/broker"
	"sluice/events/gossip"
)

func (c Config) checkPeers() error {
	if len(c.Peers.Names) == 0 {
		return nil
	}
	errs := []error{checkAddr(setPeerListen, c.Peers.Listen)}
	if c.NATS.Embedded() {
		errs = append(errs, setPeers.problem(strings.Join(c.Peers.Names, ","), "is for replicas of one log, and this one has a log of its own",
			"give all replicas one log with "+string(setURL)))
	}
	for _, name := range c.Peers.Names {
		errs = append(errs, broker.CheckPeer(name))
	}
	return errors.Join(errs...)
}

// meshSecret is what lets this replica into the mesh.
func (n *Node) meshSecret() (string, error) {
	if path := n.cfg.secret(n.cfg.Peers.SecretFile, "sluice_peers_secret"); path != "" {
		return readSecret(path, setPeerSecret)
	}
	if n.key == nil {
		return "", fmt.Errorf("%s need a secret: give all replicas one with %s, or a cluster key with %s", setPeers, setPeerSecret, setKey)
	}
	return n.key.MeshSecret(), nil
}

// wayLog and wayMesh name the connections to the other replicas.
const (
	wayLog  = "log"
	wayMesh = "mesh"
)

// openMesh connects the replicas with each other: through the log's NATS, and in a mesh of their
// own, which outlives all log nodes. Even then they talk over both: the mesh may be parted where
// the log is not, and who has not heard of a replica does not wait for it.
func (n *Node) openMesh(context.Context) error {
	n.ways = []gossip.Way{{Name: wayLog, NATS: n.conn.NATS()}}
	if len(n.cfg.Peers.Names) == 0 {
		return nil
	}
	var err error
	n.mesh, err = broker.StartMesh(broker.MeshConfig{
		Name: n.id, Cluster: "sluice-" + n.cfg.Namespace, Secret: n.secret,
		Listen: n.cfg.Peers.Listen, Peers: n.cfg.Peers.Names, Logger: n.cfg.Logger,
	})
	if err != nil {
		return err
	}
	n.onClose(func() error { n.mesh.Shutdown(); return nil })
	nc, err := nats.Connect("", nats.InProcessServer(n.mesh), nats.Token(n.mesh.Token()), nats.Name("sluice "+n.cfg.Name),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	if err != nil {
		return fmt.Errorf("connect to the mesh: %w", err)
	}
	n.onClose(func() error { nc.Close(); return nil })
	n.ways = append([]gossip.Way{{Name: wayMesh, NATS: nc}}, n.ways...)
	n.status.reach = newReach(n.cfg.Peers.Listen, time.Now)
	return nil
}

// openExchange lets the replica take part in what the others exchange.
func (n *Node) openExchange(context.Context) error {
	beats, err := gossip.New(n.ways, n.subjects, n.component("gossip"))
	if err != nil {
		return err
	}
	n.exchange, err = gossip.NewExchange(gossip.ExchangeConfig{
		Ways: n.ways, Subjects: n.subjects, Node: n.id, Name: n.cfg.Name,
		Peers: n.status.roster.Others, Store: n.replica, Log: n.component("exchange"),
	})
	if err != nil {
		return err
	}
	n.status.beats, n.status.met = beats, n.exchange.Soon
	return nil
}
