// Package consul keeps snapshots of the state in Consul's key-value store, where they outlive
// the log, and a readable mirror of the services for people.
package consul

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/rs/zerolog"

	"sluice/events"
)

// DefaultPrefix is where the mirror is kept if nothing else is set.
const DefaultPrefix = "docker-flow"

// Config says which Consul and where in it.
type Config struct {
	// Addrs are agents, tried in turn: host:port, http://… or https://…
	Addrs []string
	// Token is an ACL token; empty: none.
	Token string
	// Namespace is Sluice's own, not Consul's.
	Namespace string
	// Prefix of the mirror; empty: DefaultPrefix.
	Prefix string
	Logger zerolog.Logger
}

// Store is a namespace's place in Consul. Safe for concurrent use. No request takes longer than
// two seconds for each address.
type Store struct {
	client    *client
	namespace string
	prefix    string
	log       zerolog.Logger
}

var _ events.Snapshots = (*Store)(nil)

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`)

// New checks the settings, all at once, and talks to nobody yet.
func New(cfg Config) (*Store, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	c, err := newClient(cfg.Addrs, cfg.Token)
	problems := []error{err, events.Subjects{Namespace: cfg.Namespace}.Validate()}
	if !prefixPattern.MatchString(cfg.Prefix) || len(cfg.Prefix) > 128 {
		problems = append(problems, fmt.Errorf("consul prefix %.60q: want parts of letters, digits, _, . and -, separated by single slashes", cfg.Prefix))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Store{
		client:    c,
		namespace: cfg.Namespace,
		prefix:    cfg.Prefix + "/",
		log:       cfg.Logger.With().Str("component", "consul").Logger(),
	}, nil
}

// Name is "consul".
func (s *Store) Name() string { return "consul" }

// own is the place for what is Sluice's own.
func (s *Store) own(path string) string { return "sluice/" + s.namespace + "/" + path }
