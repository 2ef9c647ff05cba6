package node

import (
	"context"
	"fmt"
	"time"

	"sluice/events/api"
	"sluice/events/swarm"
)

// openWatcher wires a watcher to this replica's own API.
func (n *Node) openWatcher(context.Context) error {
	if n.cfg.Docker.Host == "" {
		return nil
	}
	c, err := api.NewClient(api.ClientConfig{Base: "http://127.0.0.1", Origin: api.OriginSwarm, HTTP: n.api.Inside()})
	if err != nil {
		return err
	}
	cfg := n.cfg.Docker
	cfg.API = WatchAPI{Clients: func(context.Context) ([]*api.Client, error) { return []*api.Client{c}, nil }}
	cfg.Networks, cfg.Registerer, cfg.Logger = OwnNetworks, n.metrics, n.cfg.Logger
	if n.watcher, err = swarm.New(cfg); err != nil {
		return fmt.Errorf("watch Docker: %w", err)
	}
	return nil
}

// watch begins once the state is up to date: before, everything would look absent.
func (n *Node) watch(ctx context.Context) error {
	if err := upToDate(ctx, n.replica.View, n.replica.Changed, time.Second); err != nil {
		return nil
	}
	return n.watcher.Run(ctx)
}
