package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const loadTimeout = 5 * time.Second

// load reads a store's snapshot, bounded in time.
func (r *Replica) load(ctx context.Context, store Snapshots) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	snap, err := store.Load(ctx)
	if err == nil && snap.Namespace != r.cfg.Subjects.Namespace {
		err = fmt.Errorf("%w: it is of %q, this replica of %q", ErrForeignSnapshot, snap.Namespace, r.cfg.Subjects.Namespace)
	}
	if err != nil && !errors.Is(err, ErrNoSnapshot) {
		r.metrics.snapshots.WithLabelValues(store.Name(), "load", "failed").Inc()
		if r.firstTime(store, err) {
			r.cfg.Logger.Warn().Err(err).Str("store", store.Name()).Msg("snapshot cannot be used")
		}
	}
	return snap, err
}

// firstTime reports whether a store failed otherwise than the last time it did.
func (r *Replica) firstTime(store Snapshots, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.failing[store.Name()] != err.Error()
	r.failing[store.Name()] = err.Error()
	return first
}

// adopt lets the newest snapshot serve, marked stale, when the log could not be read in
// time (rule 22). The session hands over to the log once that comes.
func (r *Replica) adopt(ctx context.Context) error {
	for wait := r.cfg.RestoreAfter; ; wait = time.Second {
		if err := pause(ctx, wait); err != nil {
			return err
		}
		if r.View().Restored {
			return nil
		}
		if _, err := r.adoptNewest(ctx); err != nil {
			r.cfg.Logger.Debug().Err(err).Msg("no snapshot to serve")
		}
	}
}

// adoptNewest makes the newest snapshot of all stores the state of a replica that has
// none. It reports whether there is a state now; the error joins those of the stores that
// hold something, or may hold something, that cannot be used.
func (r *Replica) adoptNewest(ctx context.Context) (bool, error) {
	var found []Snapshot
	var names []string // of their stores
	var failed []error
	for _, store := range r.cfg.Snapshots {
		snap, err := r.load(ctx, store)
		switch {
		case errors.Is(err, ErrNoSnapshot):
		case err != nil:
			failed = append(failed, fmt.Errorf("load the snapshot from %s: %w", store.Name(), err))
		default:
			found, names = append(found, snap), append(names, store.Name())
		}
	}
	best := Newest(found)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.core.State() == nil && best >= 0 {
		newest, from := found[best], names[best]
		r.core.Adopt(Transfer{State: newest.State}, true)
		r.restored = true
		r.touched.addAll()
		r.goStale(fmt.Sprintf("serving the snapshot of %s from %s: %s", newest.Taken.UTC().Format(time.RFC3339), from, r.stale))
		r.cfg.Logger.Warn().Str("store", from).Time("taken", newest.Taken).Uint64("seq", newest.State.Seq()).
			Msg("serving a snapshot, the log cannot be read")
	}
	return r.core.State() != nil, errors.Join(failed...)
}
