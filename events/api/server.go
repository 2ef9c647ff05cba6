// Package api is the HTTP interface of a replica: Docker Flow Proxy's endpoints, the
// native ones, access control, and the Go client that the command line uses.
//
// It decides nothing about state: a change is parsed, validated and protected here, then
// handed to the Replica, and the answer tells what the Replica made of it.
package api

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sluice/crdt/seal"
	"sluice/crdt/service"
)

// Limits of one request.
const (
	maxBody   = 1 << 20          // bytes of a body
	maxQuery  = 256 << 10        // bytes of a query: a whole definition, percent-encoded
	maxHeader = 1<<20 + 256<<10  // bytes of a request head: an oversized query still gets a readable answer
	maxWait   = 5 * time.Minute  // the longest ?timeout=
	slack     = 30 * time.Second // for everything in a request that is not waiting
	stopGrace = 10 * time.Second // for requests under way when the server stops
)

// Config is everything a Server needs. Replica, Waiter, Replicas, Proxy and History are
// required.
type Config struct {
	// Addr is host:port to listen on; port 0 picks a free one.
	Addr string

	Replica  Replica
	Waiter   Waiter
	Replicas Replicas
	Proxy    Proxy
	History  History
	// Certificates is what HAProxy makes of certificates; nil: it has no opinion.
	Certificates Certificates
	// Explainer tells what requests meet; nil: nothing serves here.
	Explainer Explainer
	// Listener asks the Swarm listeners to announce everything again; nil: there is none.
	Listener Listener
	// Recovery is what an operator can do; nil: nothing.
	Recovery Recovery
	// Lookup checks that a host resolves; nil: hosts are not checked.
	Lookup func(ctx context.Context, host string) error

	// Metrics is what /metrics shows; nil: no such route. Register takes the server's own
	// metrics; nil: they are not kept.
	Metrics  prometheus.Gatherer
	Register prometheus.Registerer
	// HAProxyMetrics is what /metrics/haproxy shows; nil: no such route.
	HAProxyMetrics prometheus.Gatherer
	// Statistics is what Docker Flow Proxy's metrics route shows; nil: no such route.
	Statistics Statistics
	// Instances lists the base URLs of the API of every replica, this one included; nil, or an
	// empty list: there is but one.
	Instances func(ctx context.Context) ([]string, error)

	Defaults service.Defaults
	Limits   service.Limits
	// Local are the services, by name, that this replica's environment defines: served
	// unless the state has one of that name. They cannot be removed.
	Local map[string]service.Service
	// Key protects secrets of definitions; nil: a definition with secrets is refused.
	Key *seal.Key

	// Instance is the proxy's instance name. With FilterInstance, services of another
	// instance are answered 200 and not configured.
	Instance       string
	FilterInstance bool

	// Tokens may call; without any, callers on this machine only, unless Insecure.
	Tokens   Tokens
	Insecure bool

	Log zerolog.Logger
}

// Validate reports everything that is missing or wrong, joined.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("api configuration: %s is required", what))
		}
	}
	need(c.Replica != nil, "Replica")
	need(c.Waiter != nil, "Waiter")
	need(c.Replicas != nil, "Replicas")
	need(c.Proxy != nil, "Proxy")
	need(c.History != nil, "History")
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("parse --api-addr (SLUICE_API_ADDR, IP and PORT) %q: want host:port: %w", c.Addr, err))
	}
	return errors.Join(errs...)
}

// Server answers the API. Handler, Drain and Addr are safe for concurrent use.
type Server struct {
	cfg      Config
	log      zerolog.Logger
	handler  http.Handler
	metrics  metrics
	listener net.Listener

	draining atomic.Bool
	wasReady atomic.Bool
	stopping chan struct{} // closed when the server stops: ends the requests that follow
}

// NewServer checks the configuration; it neither listens nor starts anything.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Certificates == nil {
		cfg.Certificates = noCertificates{}
	}
	if cfg.Explainer == nil {
		cfg.Explainer = noExplainer{}
	}
	m, err := newMetrics(cfg.Register)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Log.With().Str("component", "api").Logger(),
		metrics:  m,
		stopping: make(chan struct{}),
	}
	s.handler = s.routes()
	return s, nil
}

// Handler is the whole API; for tests and for other listeners.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen binds the address, so that a busy port is an error at start.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with --api-addr (SLUICE_API_ADDR) or another port with PORT", s.cfg.Addr, err)
	}
	s.listener = l
	return nil
}

// Addr is the bound address; nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Close releases the address if Run was never called; after Run it does nothing.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the API's listener: %w", err)
	}
	return nil
}

// Drain makes /readyz answer 503 from now on, while everything else goes on: load
// balancers turn away before the replica stops.
func (s *Server) Drain() { s.draining.Store(true) }

// Run serves until ctx ends, then lets requests under way finish for at most ten seconds.
// It listens first if Listen was not called. Call it once.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(ctx); err != nil {
			return err
		}
	}
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       slack,
		WriteTimeout:      maxWait + slack,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(s.log, "", 0),
	}
	srv.RegisterOnShutdown(func() { close(s.stopping) })
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	// The parent context has ended already; the grace period needs one of its own.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	err := srv.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop the API: requests still under way after %s: %w", stopGrace, err), srv.Close())
	}
	<-done
	return err
}
