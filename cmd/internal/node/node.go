package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sluice/crdt/hlc"
	"sluice/crdt/seal"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/events/broker"
	"sluice/events/gossip"
	"sluice/events/stream"
	"sluice/events/swarm"
	"sluice/proxy"
	"sluice/proxy/haproxy"
)

// Node is a replica with all its parts. Create it with Open, then call Run once.
type Node struct {
	cfg      Config
	subjects events.Subjects
	metrics  *prometheus.Registry
	// native holds HAProxy's counters under its own exporter's names.
	native     *prometheus.Registry
	statistics haproxy.Statistics
	key        *seal.Key // nil in a cluster that was given none
	access     api.Tokens
	haproxy    haproxy.Binary
	local      []service.Service // of the environment, sorted by name
	users      service.Service   // has the users of the environment
	client     string            // address of the embedded NATS's clients, empty without one
	// What the settings' files hold: the token of the embedded NATS's clients, that for
	// Consul, and the mesh's secret.
	token, consulToken, secret string

	id         string // of this process, in hex
	conn       *stream.Conn
	mesh       *broker.Mesh // nil without --peers
	ways       []gossip.Way // to the other replicas
	exchange   *gossip.Exchange
	log        *stream.Log
	replica    *events.Replica
	controller *proxy.Controller
	status     *status
	api        *api.Server
	mirror     *mirror        // nil without Consul
	listener   *listener      // nil without LISTENER_ADDRESS
	siblings   *siblings      // nil with a shared log, and outside of Docker's networks
	watcher    *swarm.Watcher // nil without a Docker to watch

	dataDir *broker.DirLock
	closers []func() error // in the order of opening
}

// Open checks everything that can be checked, waits for another process that still has the
// data directory, binds the API's port and starts the embedded log. Its errors tell an operator what to do; all configuration problems come
// at once. After an error nothing is left running.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{cfg: cfg, subjects: events.Subjects{Namespace: cfg.Namespace}, metrics: prometheus.NewRegistry(), native: prometheus.NewRegistry()}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.close(), n.dataDir.Close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	if err := n.check(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{n.openLog, n.openReplica, n.openMesh, n.openExchange, n.openProxy, n.openStatus, n.openAPI, n.openWatcher} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// onClose adds what Run's end, or a failing Open, has to undo.
func (n *Node) onClose(f func() error) { n.closers = append(n.closers, f) }

func (n *Node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// openReplica wires the state: the log below it, the snapshots beside it.
func (n *Node) openReplica(context.Context) error {
	node, err := hlc.NewNode(rand.Reader)
	if err != nil {
		return fmt.Errorf("make the node's identity: %w", err)
	}
	snapshots := []events.Snapshots{diskSnapshots{filepath.Join(n.cfg.DataDir, "state.snapshot")}}
	if len(n.cfg.Consul.Addrs) > 0 {
		store, err := n.openConsul()
		if err != nil {
			return err
		}
		snapshots = append(snapshots, store)
	}
	n.id = fmt.Sprintf("%016x", node)
	roster := events.NewRoster(n.id, time.Now)
	n.siblings = newSiblings(n.cfg, n.component("siblings"))
	n.status = &status{roster: roster, siblings: n.siblings, log: n.component("status")}
	n.replica, err = events.NewReplica(events.ReplicaConfig{
		Subjects: n.subjects, Name: n.cfg.Name, Node: node, Log: n.log, Snapshots: snapshots,
		Archive: stream.NewArchive(n.log), CheckpointEvery: n.cfg.CheckpointEvery,
		PeerHasState: roster.HasState, PeerFollows: roster.Follows, Bootstrap: n.bootstrap(),
		PeerState: func(ctx context.Context, fits func(events.Position) bool) (events.Transfer, bool) {
			return n.exchange.State(ctx, fits) // it is there before Run
		},
		Journal:   newJournal(filepath.Join(n.cfg.DataDir, "pending.journal"), n.component("journal")),
		Broadcast: func(list []events.Event) { n.exchange.Broadcast(list) }, // it is there before Run
		Logger:    n.component("replica"), Registerer: n.metrics,
	})
	if err != nil {
		return err
	}
	n.status.replica = n.replica
	n.status.fixed = events.Status{Node: n.id, Name: n.cfg.Name, Version: n.cfg.Version}
	return nil
}

// bootstrap: an embedded log has no other replicas to ask or to race with.
func (n *Node) bootstrap() events.Bootstrap {
	if n.cfg.NATS.Embedded() {
		return events.Bootstrap{Forbid: n.cfg.NoBootstrap}
	}
	return events.Bootstrap{Forbid: n.cfg.NoBootstrap, PeerWait: 10 * time.Second, Jitter: 10 * time.Second}
}

func (n *Node) openStatus(context.Context) error {
	n.status.controller = n.controller
	if n.mirror != nil {
		n.mirror.replica = n.replica
	}
	return nil
}

func (n *Node) openAPI(ctx context.Context) error {
	n.status.fixed.InsecureAPI = n.cfg.InsecureAPI
	cfg := n.apiConfig()
	if len(n.cfg.Listener.Addrs) > 0 {
		n.listener = n.newListener()
		cfg.Listener = n.listener
	}
	server, err := api.NewServer(cfg)
	if err != nil {
		return err
	}
	n.api = server
	if err := n.api.Listen(ctx); err != nil {
		return err
	}
	n.onClose(n.api.Close)
	return nil
}

// Run serves until ctx ends or a part fails, then stops everything in reverse order.
func (n *Node) Run(ctx context.Context) error {
	n.announce()
	stages := []stage{
		{"state", n.runState, 15 * time.Second},
		{"proxy", n.controller.Run, 20 * time.Second},
		{"gossip", func(ctx context.Context) error { return n.status.beats.Run(ctx, n.status.current, n.status.hear) }, 3 * time.Second},
		{"exchange", n.exchange.Run, 5 * time.Second},
		{"status", n.status.run, 3 * time.Second},
	}
	if n.mesh != nil {
		stages = append([]stage{{"mesh", n.mesh.Run, 5 * time.Second}}, stages...)
	}
	if n.mirror != nil {
		stages = append(stages, stage{"consul mirror", n.mirror.run, 5 * time.Second})
	}
	if n.listener != nil {
		stages = append(stages, stage{"listener", n.listener.run, 5 * time.Second})
	}
	if n.watcher != nil {
		stages = append(stages, stage{"watcher", n.watch, 25 * time.Second})
	}
	stages = append(stages, stage{"api", n.api.Run, 15 * time.Second})
	err := errors.Join(runStages(ctx, stages, n.drain, n.cfg.Logger), n.close())
	if err == nil { // else a part may still write there, and the process's end unlocks it
		err = n.dataDir.Close()
	}
	n.cfg.Logger.Info().Msg("sluice has stopped")
	return err
}

// runState keeps the state, and makes sure that replicas with logs of their own do not drift
// apart: without a state a replica is not ready and takes no change.
func (n *Node) runState(ctx context.Context) error {
	if n.siblings != nil {
		if err := n.siblings.await(ctx); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.replica.Run(ctx) })
	group.Go(func() error { n.fitLog(ctx); return nil })
	if n.siblings != nil {
		group.Go(func() error { return n.siblings.watch(ctx) })
	}
	return group.Wait()
}

// announce tells what the node runs as, and what an operator should know.
func (n *Node) announce() {
	log := n.cfg.Logger
	for _, w := range n.cfg.Warnings {
		log.Warn().Msg(w)
	}
	if n.cfg.InsecureAPI {
		log.Warn().Msg("--insecure-api: anybody who reaches the API can change the proxy; give callers tokens instead (--tokens-file)")
	}
	log.Info().Str("version", n.cfg.Version).Str("name", n.cfg.Name).Stringer("api", n.api.Addr()).
		Str("namespace", n.cfg.Namespace).Bool("embedded_log", n.cfg.NATS.Embedded()).Str("nats", n.client).Msg("sluice runs")
}

// drain lets load balancers turn away while everything still works.
func (n *Node) drain(cause error) {
	n.api.Drain()
	if !errors.Is(cause, ErrDrain) {
		return
	}
	n.cfg.Logger.Info().Dur("drain", n.cfg.Drain).Msg("stopping: not ready any more, serving on for a moment")
	t := time.NewTimer(n.cfg.Drain)
	defer t.Stop()
	<-t.C
}

func (n *Node) component(name string) zerolog.Logger {
	return n.cfg.Logger.With().Str("component", name).Logger()
}

func (n *Node) apiConfig() api.Config {
	cfg := api.Config{
		Addr: n.cfg.APIAddr, Tokens: n.access, Insecure: n.cfg.InsecureAPI, Log: n.cfg.Logger,
		Replica: state{n.replica, n.status}, Waiter: n.status.roster, Replicas: n.status.roster,
		Proxy: gateway{n.controller}, Certificates: gateway{n.controller}, Explainer: explainer{n.controller.Why},
		History:  history{replica: n.replica, subjects: n.subjects, read: n.readLog},
		Recovery: n.replica,
		Metrics:  n.metrics, Register: n.metrics, HAProxyMetrics: n.native,
		Statistics: n.statistics, Instances: n.instances,
		Defaults: service.Defaults{Separator: n.cfg.Separator, DomainAlgo: n.cfg.DomainAlgo},
		Limits:   n.limits(),
		Local:    byName(n.local),
		Key:      n.key,
		Instance: n.cfg.Instance, FilterInstance: n.cfg.FilterInstance,
	}
	if n.cfg.LookupHosts {
		cfg.Lookup = func(ctx context.Context, host string) error {
			_, err := net.DefaultResolver.LookupHost(ctx, host)
			return err
		}
	}
	return cfg
}

func (n *Node) readLog(ctx context.Context, after uint64, subject string, handle func(events.Message) error) error {
	return n.log.Read(ctx, stream.Query{After: after, Subject: subject}, handle)
}
