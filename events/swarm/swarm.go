// Package swarm watches Docker: services of a Swarm, or containers of a plain host, whose
// labels ask for a route become changes of the state.
//
// A watcher is a client of the API like any other: it never stamps, everything that it
// writes is conditional, and it holds no state that it could not do without. So several
// watchers at once, and one that was away, come to the same result.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sluice/crdt/service"
	"sluice/events"
)

// Errors of an API that a watcher decides by; any other means: not now, try again.
var (
	// ErrRefused: the definition is not acceptable. Its text names field, problem and remedy.
	ErrRefused = errors.New("refused")
	// ErrRaced: somebody else has changed the service meanwhile.
	ErrRaced = errors.New("somebody else was faster")
)

// API is the door to the state. Safe for concurrent use.
type API interface {
	// Services are the live services.
	Services(ctx context.Context) ([]Listed, error)
	// History hands out the events of one service, the oldest first.
	History(ctx context.Context, name string, handle func(events.Record) error) error
	// Announce publishes a definition for which the service must have the stamp match; empty:
	// there must be none. It reports false where nothing had to be changed.
	Announce(ctx context.Context, params url.Values, src service.Source, match string) (bool, error)
	// Remove removes the service that has the stamp match.
	Remove(ctx context.Context, name, match string) error
	// SetTasks replaces what is known of a service's tasks. It reports false where that was
	// known already.
	SetTasks(ctx context.Context, name string, tasks service.Tasks) (bool, error)
}

// Listed is a live service of the state, as far as a watcher looks at it.
type Listed struct {
	Name, Stamp string
	// Source is nil for a service that no watcher made.
	Source *service.Source
	// Replicas is nil for a service without a number.
	Replicas *int
	Tasks    service.Tasks
}

// Config is everything a Watcher is told. DefaultConfig has the defaults.
type Config struct {
	// Host is Docker's address: unix:///var/run/docker.sock or tcp://host:port.
	Host string
	// CertDir holds ca.pem, cert.pem and key.pem for a tcp host with TLS; empty: no TLS.
	CertDir string
	// NotifyLabel asks for a route if it is true.
	NotifyLabel string
	// Prefix, if not empty, goes before every name: <prefix>_<name>.
	Prefix string
	// Interval is how often everything is compared although nothing seems to happen.
	Interval time.Duration
	// Networks are those that the watcher is in: a container's address there comes before its
	// others. Nil: none.
	Networks func() ([]netip.Prefix, error)

	API        API
	Registerer prometheus.Registerer // nil: no metrics
	Logger     zerolog.Logger
}

// DefaultConfig returns the defaults of the command line.
func DefaultConfig() Config {
	return Config{NotifyLabel: "com.df.notify", Interval: 15 * time.Second}
}

// Validate reports everything that is wrong, joined.
func (c Config) Validate() error {
	var errs []error
	if _, err := connect(c); err != nil {
		errs = append(errs, fmt.Errorf("--docker-host (SLUICE_DOCKER_HOST, DF_DOCKER_HOST) %.100q: %w; use for example unix:///var/run/docker.sock or tcp://manager:2376", c.Host, err))
	}
	if c.NotifyLabel == "" {
		errs = append(errs, errors.New("--notify-label (SLUICE_NOTIFY_LABEL, DF_NOTIFY_LABEL) is empty: name a label, e.g. com.df.notify"))
	}
	if c.Prefix != "" && service.CheckName(c.Prefix) != nil {
		errs = append(errs, fmt.Errorf("--service-name-prefix (SLUICE_SERVICE_NAME_PREFIX, DF_SERVICE_NAME_PREFIX) %.60q is not a name: use letters, digits, '_', '.' or '-'", c.Prefix))
	}
	if c.Interval < time.Second {
		errs = append(errs, fmt.Errorf("--docker-interval (SLUICE_DOCKER_INTERVAL) %s is too short: give at least 1s", c.Interval))
	}
	return errors.Join(errs...)
}
