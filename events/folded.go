package events

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// awaited are callers who wait for a position to be folded. Each is woken once, by the fold
// that gets there: waking all of them at each change would cost more than the changes.
type awaited struct{ callers []caller }

type caller struct {
	seq    uint64
	folded chan struct{} // closed when seq is folded
}

func (a *awaited) add(seq uint64) caller {
	c := caller{seq, make(chan struct{})}
	a.callers = append(a.callers, c)
	return c
}

func (a *awaited) remove(c caller) {
	a.callers = slices.DeleteFunc(a.callers, func(o caller) bool { return o == c })
}

// reached wakes those who wait for seq or less.
func (a *awaited) reached(seq uint64) {
	a.callers = slices.DeleteFunc(a.callers, func(c caller) bool {
		if c.seq > seq {
			return false
		}
		close(c.folded)
		return true
	})
}

// folded waits, at most foldPatience, until seq is folded here. ErrUnavailable otherwise.
func (r *Replica) folded(ctx context.Context, seq uint64) error {
	r.mu.Lock()
	if r.core.Seq() >= seq {
		r.mu.Unlock()
		return nil
	}
	c := r.awaited.add(seq)
	r.mu.Unlock()
	t := time.NewTimer(foldPatience)
	defer t.Stop()
	select {
	case <-c.folded:
		return nil
	case <-ctx.Done():
	case <-t.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.awaited.remove(c)
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: this replica is at %d and lags behind %d", ErrUnavailable, r.core.Seq(), seq)
}

// foldedToEnd asks the log for its last sequence and waits until that is folded here.
func (r *Replica) foldedToEnd(ctx context.Context) error {
	info, err := r.asking.info(ctx, r.cfg.Log.Info)
	if err != nil {
		return fmt.Errorf("ask the log for its end: %w", err)
	}
	r.mu.Lock()
	online, stale := r.core.Online(), r.stale
	same := online && info.StreamID == r.core.State().StreamID
	r.info = info
	r.mu.Unlock()
	switch {
	case !online:
		return fmt.Errorf("%w: %s", ErrUnavailable, stale)
	case !same:
		return fmt.Errorf("%w: the log has been replaced", ErrUnavailable)
	}
	return r.folded(ctx, info.Last)
}
