package events

import (
	"context"
	"errors"
	"fmt"
)

// ErrNothingToRecover: the log is in order, or its replica can mend it without an operator.
var ErrNothingToRecover = errors.New("there is nothing to recover")

// NewLog deletes a log that cannot be folded any more, because its head is gone and nothing fits
// what is left (rule 23), or because it asks for a program that there is not: the replicas begin a
// new one with their states. What was logged since those is lost, and only this replica's state is
// known to be there.
//
// ErrNothingToRecover: this replica can fold the log, or another one does, or it is gone.
// ErrNotReady: there is no state here to begin with.
func (r *Replica) NewLog(ctx context.Context) error {
	r.mu.Lock()
	why, has, streamID := r.unfoldable, r.core.State() != nil, r.info.StreamID
	r.mu.Unlock()
	first := errors.Is(why, ErrFoldVersion) && !r.cfg.PeerHasState() // that log never began, no state is needed
	switch {
	case why == nil:
		return fmt.Errorf("%w: this replica can read the log", ErrNothingToRecover)
	case r.cfg.PeerFollows(streamID):
		return fmt.Errorf("%w: another replica reads the log, run this one with the version of that", ErrNothingToRecover)
	case !has && !first:
		return fmt.Errorf("%w: this replica could not begin a new log: ask one that has a state", ErrNotReady)
	case r.cfg.Archive == nil:
		return errors.New("this replica may not delete its log")
	}
	switch err := r.cfg.Archive.Delete(ctx, streamID); {
	case errors.Is(err, ErrNoLog):
		return fmt.Errorf("%w: the log was deleted already", ErrNothingToRecover)
	case err != nil:
		return fmt.Errorf("delete the log: %w", err)
	}
	r.mu.Lock()
	if r.info.StreamID == streamID {
		r.unfoldable = nil
	}
	r.mu.Unlock()
	r.cfg.Logger.Warn().Str("stream", streamID).Msg("the log was deleted for an operator, a new one begins with the replicas' states")
	return nil
}

// alien tells the operator that the log's first genesis asks for a fold that this program does not know.
func (r *Replica) alien() {
	r.setProblem("the log is of a newer version of this program: run that, this one does not fold it; " +
		"if there is no such version, somebody else has written into the log: `sluice recover new-log` deletes it, and it begins anew with the replicas' states")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unfoldable = ErrFoldVersion
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
