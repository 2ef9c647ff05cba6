package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const loadTimeout = 5 * time.Second

// source is where a snapshot may be found.
type source interface {
	Name() string
	Load(ctx context.Context) (Snapshot, error)
}

// sources are all places where a state may be found.
func (r *Replica) sources() []source {
	var out []source
	for _, store := range r.cfg.Snapshots {
		out = append(out, store)
	}
	if r.cfg.Archive != nil {
		out = append(out, newest{r.cfg.Archive})
	}
	return out
}

// load reads a store's snapshot, bounded in time.
func (r *Replica) load(ctx context.Context, store source) (Snapshot, error) {
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
func (r *Replica) firstTime(store source, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.failing[store.Name()] != err.Error()
	r.failing[store.Name()] = err.Error()
	return first
}

// recall begins with the newest snapshot (rule 22), which is not served yet: the log will
// confirm it in a moment, or get back what it has lost of it, or be away.
func (r *Replica) recall(ctx context.Context) {
	if _, err := r.adoptNewest(ctx); err != nil {
		r.cfg.Logger.Debug().Err(err).Msg("not all snapshots are known")
	}
}

// adopt lets the state that was recalled serve, marked stale, when the log could not be read
// in time. The session hands over to the log once that comes.
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
		r.serveRecalled()
	}
}

// serveRecalled shows readers a state that the log has not confirmed.
func (r *Replica) serveRecalled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.restored || r.core.State() == nil {
		return
	}
	r.restored = true
	r.goStale(fmt.Sprintf("serving %s: %s", r.recalled, r.stale))
	r.cfg.Logger.Warn().Uint64("seq", r.core.Seq()).Msg("serving " + r.recalled + ", the log cannot be read")
}

// adoptNewest makes the newest snapshot of all stores the state of a replica that has
// none. It reports whether there is a state now; the error joins those of the stores that
// hold something, or may hold something, that cannot be used.
func (r *Replica) adoptNewest(ctx context.Context) (bool, error) {
	var found []Snapshot
	var names []string // of their stores
	var failed []error
	for _, store := range r.sources() {
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
		r.recalled = fmt.Sprintf("the snapshot of %s from %s", found[best].Taken.UTC().Format(time.RFC3339), names[best])
		r.begin(found, best)
	}
	return r.core.State() != nil, errors.Join(failed...)
}

// begin makes one of the snapshots the state. What the others have and it lacks, for instance
// because they are of branches that do not know of each other, is offered. The caller holds mu.
func (r *Replica) begin(found []Snapshot, best int) {
	reports, _ := r.core.Adopt(Transfer{State: found[best].State}, true)
	for i, other := range found {
		if i != best {
			reports = append(reports, r.core.Reconcile(other.State)...)
		}
	}
	r.report(reports)
	r.replaced()
	r.touched.addAll()
	r.changed.raise()
}
