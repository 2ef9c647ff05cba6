package node

import (
	"context"
	"maps"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/consul"
)

func (n *Node) readConsulToken(context.Context) (err error) {
	if n.cfg.Consul.TokenFile != "" {
		n.consulToken, err = readSecret(n.cfg.Consul.TokenFile, setConsul)
	}
	return err
}

// openConsul makes the snapshot store and the mirror; Consul itself is not asked yet.
func (n *Node) openConsul() (events.Snapshots, error) {
	store, err := consul.New(consul.Config{
		Addrs: n.cfg.Consul.Addrs, Token: n.consulToken, Namespace: n.cfg.Namespace,
		Prefix: n.cfg.Consul.Prefix, Logger: n.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	syncs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_consul_mirror_syncs_total", Help: "Attempts to bring the readable mirror in Consul up to date, by outcome.",
	}, []string{"outcome"})
	if err := n.metrics.Register(syncs); err != nil {
		return nil, err
	}
	n.mirror = &mirror{fields: carried[map[string]string]{make: mirrored}, mirror: store.Mirror(n.cfg.Name), syncs: syncs, log: n.component("consul")}
	return store, nil
}

// mirror keeps the readable copy of the services in Consul.
type mirror struct {
	replica *events.Replica
	fields  carried[map[string]string] // of each service
	mirror  *consul.Mirror
	syncs   *prometheus.CounterVec
	log     zerolog.Logger
	failing bool
}

var _ consul.Source = (*mirror)(nil)

func (m *mirror) Changed() <-chan struct{} { return m.replica.Changed() }

// Mirror is every field of every live service that can be read.
func (m *mirror) Mirror() map[string]string {
	out := map[string]string{}
	entries, _ := m.replica.Live(service.Key(""))
	for _, fields := range m.fields.of(entries) {
		maps.Copy(out, fields)
	}
	return out
}

// mirrored are the fields of one service. What cannot be read the proxy reports.
func mirrored(e *crdt.Entry) (map[string]string, bool) {
	s, err := service.Decode(e.Value)
	if err != nil {
		return nil, false
	}
	return consul.Fields(s), true
}

// run waits for a state first: an empty one would empty the mirror.
func (m *mirror) run(ctx context.Context) error {
	for {
		changed := m.replica.Changed()
		if m.replica.View().Restored {
			return m.mirror.Run(ctx, m, m.report)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// report tells a failure once, and that it is over.
func (m *mirror) report(err error) {
	if err == nil {
		m.syncs.WithLabelValues("done").Inc()
		m.failing = false
		return
	}
	m.syncs.WithLabelValues("failed").Inc()
	if !m.failing {
		m.log.Warn().Err(err).Msg("the mirror in consul is not up to date")
	}
	m.failing = true
}
