package events

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

const saveTimeout = 10 * time.Second

// save keeps the snapshots up to date: after a change it lets things settle, asks for an
// audit and stores the audited copy.
func (r *Replica) save(ctx context.Context) error {
	var saved Anchor
	rest := r.cfg.SaveAfter
	for {
		if err := r.savable(ctx, saved); err != nil {
			return err
		}
		if err := pause(ctx, rest); err != nil {
			return err
		}
		state, err := r.auditedCopy(ctx)
		if err != nil {
			return err
		}
		if err := r.secured(ctx); err != nil {
			return err
		}
		began := r.cfg.Wall()
		r.saveTo(ctx, state)
		saved = state.Anchor
		// A large state must not keep the replica busy with saving.
		rest = max(r.cfg.SaveAfter, 10*r.cfg.Wall().Sub(began))
	}
}

// savable waits until the replica follows the log and has folded past the saved position.
func (r *Replica) savable(ctx context.Context, saved Anchor) error {
	for {
		changed := r.Changed()
		if r.unsaved(saved) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (r *Replica) unsaved(saved Anchor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Online() && r.core.State().Anchor != saved
}

// auditedCopy asks the session for an audit until one hands over a copy, which nobody may change.
func (r *Replica) auditedCopy(ctx context.Context) (*State, error) {
	copied := r.askCopy()
	for {
		poke(r.audit)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case s := <-copied:
			return s, nil
		case <-time.After(saveTimeout):
		}
	}
}

// askCopy asks for the copy of the next audited state.
func (r *Replica) askCopy() <-chan *State {
	c := make(chan *State, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.copies = append(r.copies, c)
	return c
}

// saveTo stores the state in every store at once; a store that fails is only reported.
func (r *Replica) saveTo(ctx context.Context, state *State) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	snap := Snapshot{Namespace: r.cfg.Subjects.Namespace, Taken: r.cfg.Wall(), State: state}
	var g errgroup.Group
	for _, store := range r.cfg.Snapshots {
		g.Go(func() error {
			r.saved(store, snap, store.Save(ctx, snap))
			return nil
		})
	}
	_ = g.Wait()
}

func (r *Replica) saved(store Snapshots, snap Snapshot, err error) {
	if err != nil {
		r.metrics.snapshots.WithLabelValues(store.Name(), "save", "failed").Inc()
		r.cfg.Logger.Warn().Err(err).Str("store", store.Name()).Msg("snapshot not saved")
		return
	}
	r.metrics.snapshots.WithLabelValues(store.Name(), "save", "done").Inc()
	r.metrics.snapshotSeq.WithLabelValues(store.Name()).Set(float64(snap.State.Seq()))
	r.cfg.Logger.Debug().Str("store", store.Name()).Uint64("seq", snap.State.Seq()).Msg("snapshot saved")
}

// saveLast audits once more when the replica stops and stores the result.
func (r *Replica) saveLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if !r.unsaved(Anchor{}) {
		return nil
	}
	s, err := r.connect(ctx)
	if err != nil || !s.serving {
		return nil // the log is gone: what was saved before stands
	}
	copied := r.askCopy()
	err = r.cfg.Log.Follow(ctx, s.steps.From(), func(m Message) error {
		if err := s.handle(m); err != nil || s.auditing() {
			return err
		}
		return errAudit
	})
	r.tidyJournal()
	if errors.Is(err, errAudit) && r.secure() {
		r.saveTo(ctx, <-copied)
	}
	return nil
}
