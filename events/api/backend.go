package api

import (
	"context"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
)

// Replica is the state that this API reads and changes. Safe for concurrent use.
type Replica interface {
	// Write makes the change durable; errors are those of package events. With
	// events.ErrUnknownOutcome the receipt names the event.
	Write(ctx context.Context, c events.Change) (events.Receipt, error)
	// Entry is the visible entry of a key, tombstones included.
	Entry(key string) (crdt.Entry, bool)
	// Entries are the visible entries whose key begins with prefix, sorted by key.
	Entries(prefix string) []crdt.Entry
	// Status is this replica's own.
	Status() events.Status
}

// Waiter waits until a position is live, or ctx ends; then it tells what is missing.
type Waiter interface {
	Wait(ctx context.Context, w events.Wait) (events.WaitResult, error)
}

// Replicas lists every replica heard of, this one included.
type Replicas interface {
	Replicas() []events.Status
}

// Proxy is this replica's HAProxy.
type Proxy interface {
	// Config is the configuration file as it is on disk.
	Config(ctx context.Context) ([]byte, error)
	// Reload loads the files as they are, with recreate after rendering them again.
	Reload(ctx context.Context, recreate bool) error
	// Check asks HAProxy about one definition alone. An error with a method
	// Refused() (param, reason string) is the definition's fault; param may be empty.
	Check(ctx context.Context, s service.Service) error
	// Ready reports whether HAProxy runs and serves a configuration.
	Ready() bool
}

// History reads the log for people.
type History interface {
	Records(ctx context.Context, q events.Query, handle func(events.Record) error) error
}

// Listener is the Swarm listener that can be asked to announce its services again.
type Listener interface {
	Notify(ctx context.Context) error
}

// refusal is what a Proxy's Check returns when HAProxy does not take the definition.
type refusal interface {
	error
	Refused() (param, reason string)
}

// Statistics are HAProxy's counters.
type Statistics interface {
	// CSV is HAProxy's table, with the names of haproxy.cfg.
	CSV(ctx context.Context) ([]byte, error)
}
