package events

import (
	"context"
	"errors"
	"fmt"
)

// ErrNothingToRecover: the log is in order, or its replica can mend it without an operator.
var ErrNothingToRecover = errors.New("there is nothing to recover")

// NewLog deletes a log that cannot be folded any more, because its head is gone and nothing fits
// what is left (rule 23): the replicas begin a new one with their states. What was logged since
// those is lost, and only this replica's state is known to be there.
//
// ErrNothingToRecover: this replica does not miss a base. ErrNotReady: it has no state either.
func (r *Replica) NewLog(ctx context.Context) error {
	r.mu.Lock()
	headless, has, streamID := r.headless, r.core.State() != nil, r.info.StreamID
	r.mu.Unlock()
	switch {
	case !headless:
		return fmt.Errorf("%w: this replica does not miss the head of the log", ErrNothingToRecover)
	case !has:
		return fmt.Errorf("%w: this replica could not begin a new log: ask one that has a state", ErrNotReady)
	case r.cfg.Archive == nil:
		return errors.New("this replica may not delete its log")
	}
	if err := r.cfg.Archive.Delete(ctx, streamID); err != nil {
		return fmt.Errorf("delete the log: %w", err)
	}
	r.cfg.Logger.Warn().Str("stream", streamID).Msg("the log was deleted for an operator, a new one begins with the replicas' states")
	return nil
}

// BeginLog lets a log without state begin with this replica's although that is too old, so that
// removals which nobody remembers may be undone, or although Bootstrap.Forbid leaves that to
// the operator (rule 18).
//
// ErrNothingToRecover: the log has begun, or is about to. ErrNotReady: there is no state here either.
func (r *Replica) BeginLog(ctx context.Context) error {
	r.mu.Lock()
	g, has := r.core.Force(r.cfg.Wall())
	unbegun := r.unbegun
	r.mu.Unlock()
	switch {
	case !unbegun:
		return fmt.Errorf("%w: the log has a beginning, or gets one without help", ErrNothingToRecover)
	case !has:
		return fmt.Errorf("%w: ask a replica that has a state, or start one without --no-bootstrap", ErrNotReady)
	}
	g.ID = r.genesisID()
	if err := r.publishGenesis(ctx, g); err != nil {
		return fmt.Errorf("publish the genesis: %w", err)
	}
	return nil
}
