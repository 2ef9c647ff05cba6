package events

import (
	"context"
	"errors"
	"fmt"
)

// errNoBase: the log does not hold what the state was folded from, nor its own beginning.
var errNoBase = errors.New("the head of the log is gone, and no snapshot, checkpoint or other replica's state fits what is left")

// anchorOf reads the message at the position of state, nil if there is none or if it could
// not make the state valid.
func (r *Replica) anchorOf(ctx context.Context, info LogInfo, state *State) (*Message, error) {
	r.mu.Lock()
	within := r.core.Within(info, state)
	seq := uint64(0)
	if within {
		seq = state.Seq()
	}
	r.mu.Unlock()
	if !within {
		return nil, nil
	}
	m, err := r.cfg.Log.Get(ctx, seq)
	switch {
	case errors.Is(err, ErrNoMessage):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read message %d: %w", seq, err)
	}
	return &m, nil
}

// base is what a rebuild starts from: a valid checkpoint of any kind, a peer's state, or nothing if the
// log is whole (rule 17).
func (r *Replica) base(ctx context.Context, info LogInfo) (*Transfer, error) {
	var unknown []error
	for _, find := range []func(context.Context, LogInfo) (*Transfer, error){r.baseFromSnapshots, r.baseFromArchive, r.baseFromPeer} {
		t, err := find(ctx, info)
		switch {
		case errors.Is(err, ErrUnavailable):
			return nil, err // of the log: whatever is found could not be checked
		case err != nil:
			unknown = append(unknown, err)
		case t != nil:
			return t, nil
		}
	}
	if info.First <= 1 {
		return nil, nil
	}
	return nil, r.baseless(errors.Join(unknown...))
}

// baseless tells the operator what there is to do.
func (r *Replica) baseless(unknown error) error {
	err, remedy := errNoBase, "run `sluice recover new-log` at a replica that has a state (its READY is yes): the log begins anew from that"
	if unknown != nil {
		err, remedy = fmt.Errorf("%w; not known: %w", err, unknown), "make that readable"
	}
	r.setProblem(err.Error() + ": " + remedy)
	r.mu.Lock()
	defer r.mu.Unlock()
	if unknown == nil {
		r.unfoldable = errNoBase
	}
	return err
}

func (r *Replica) baseFromSnapshots(ctx context.Context, info LogInfo) (*Transfer, error) {
	var failed []error
	for _, store := range r.cfg.Snapshots {
		snap, err := r.load(ctx, store)
		if errors.Is(err, ErrNoSnapshot) {
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("load the snapshot from %s: %w", store.Name(), err))
			continue
		}
		if t, err := r.usable(ctx, info, Transfer{State: snap.State}); t != nil || err != nil {
			return t, err
		}
	}
	return nil, errors.Join(failed...)
}

// baseFromArchive takes the newest checkpoint that fits the log.
func (r *Replica) baseFromArchive(ctx context.Context, info LogInfo) (*Transfer, error) {
	if r.cfg.Archive == nil {
		return nil, nil
	}
	list, err := r.cfg.Archive.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	kept, err := r.sift(ctx, info, list)
	if err != nil {
		return nil, err
	}
	var failed []error
	for i := len(kept.valid) - 1; i >= 0; i-- {
		snap, err := r.cfg.Archive.Load(ctx, kept.valid[i].Name)
		if err != nil {
			failed = append(failed, fmt.Errorf("load checkpoint %s: %w", kept.valid[i].Name, err))
			continue
		}
		if t, err := r.usable(ctx, info, Transfer{State: snap.State}); t != nil || err != nil {
			return t, err
		}
	}
	return nil, errors.Join(failed...)
}

// baseFromPeer asks the other replicas, if nothing else will do.
func (r *Replica) baseFromPeer(ctx context.Context, info LogInfo) (*Transfer, error) {
	if info.First <= 1 {
		return nil, nil
	}
	t, ok := r.cfg.PeerState(ctx, func(p Position) bool {
		fits, err := r.inLog(ctx, info, p.StreamID, p.Anchor)
		return fits && err == nil
	})
	if !ok {
		return nil, nil
	}
	return r.usable(ctx, info, t)
}

// usable is t if the log continues it.
func (r *Replica) usable(ctx context.Context, info LogInfo, t Transfer) (*Transfer, error) {
	m, err := r.anchorOf(ctx, info, t.State)
	if err != nil || !t.Consistent() || !r.core.Usable(info, t, m) {
		return nil, err
	}
	return &t, nil
}
