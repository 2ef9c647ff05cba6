package events

import (
	"context"
	"fmt"
	"time"
)

// folded waits, at most foldPatience, until seq is folded here. ErrUnavailable otherwise.
func (r *Replica) folded(ctx context.Context, seq uint64) error {
	t := time.NewTimer(foldPatience)
	defer t.Stop()
	for {
		changed := r.Changed()
		v := r.View()
		if v.Seq >= seq {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return fmt.Errorf("%w: this replica is at %d and lags behind %d", ErrUnavailable, v.Seq, seq)
		}
	}
}

// foldedToEnd asks the log for its last sequence and waits until that is folded here.
func (r *Replica) foldedToEnd(ctx context.Context) error {
	info, err := r.cfg.Log.Info(ctx)
	if err != nil {
		return fmt.Errorf("ask the log for its end: %w", err)
	}
	r.mu.Lock()
	same := r.online && info.StreamID == r.line.state().StreamID
	r.info = info
	r.mu.Unlock()
	if !same {
		return fmt.Errorf("%w: the log has been replaced", ErrUnavailable)
	}
	return r.folded(ctx, info.Last)
}
