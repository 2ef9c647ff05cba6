package events

import (
	"errors"
	"fmt"

	"sluice/crdt"
)

// unconditional reports whether the change holds whatever is there.
func (c *Change) unconditional() bool { return c.IfMatch == "" && !c.IfAbsent }

// accept takes a change without the log: it is stamped and pending from now on.
func (r *Replica) accept(c Change) (Receipt, error) {
	if e, _ := r.Entry(c.Key); c.Delete && !e.Live() {
		return Receipt{StreamID: r.View().StreamID, Stamp: e.Stamp, NoOp: true}, nil
	}
	e, err := r.stamp(c)
	if err != nil {
		return Receipt{}, err
	}
	return r.acceptEntry(e)
}

// acceptEntry makes a stamped change a promise: first on disk, then to readers, the other
// replicas and the caller. ErrUnavailable: it could not be kept, nothing remains of it.
// ErrUnknownOutcome: nothing but perhaps a copy that is found at the next start.
func (r *Replica) acceptEntry(e crdt.Entry) (Receipt, error) {
	r.mu.Lock()
	event := []Event{r.eventOf(e)}
	r.mu.Unlock()
	if err := r.cfg.Journal.Append(event); err != nil {
		r.drop(e)
		if errors.Is(err, ErrUnknownOutcome) {
			return Receipt{Stamp: e.Stamp, EventID: e.Stamp.String()}, fmt.Errorf("keep the change: %w", err)
		}
		return Receipt{}, fmt.Errorf("%w, and the change cannot be kept without it: %w", ErrUnavailable, err)
	}
	r.mu.Lock()
	accepted := r.core.Accept(e)
	r.kept = true
	r.touched.add(e.Key)
	streamID := r.view().StreamID
	r.mu.Unlock()
	r.changed.raise()
	poke(r.offers)
	if accepted {
		r.cfg.Broadcast(event)
		r.cfg.Logger.Info().Str("key", e.Key).Stringer("stamp", e.Stamp).Msg("change accepted without the log, to be offered to it later")
	}
	return Receipt{StreamID: streamID, Stamp: e.Stamp, EventID: e.Stamp.String()}, nil
}

// restorePending takes in what was accepted before the restart. What cannot be read stays where
// it is and is told; it keeps nobody from serving.
func (r *Replica) restorePending() {
	list, err := r.cfg.Journal.Load()
	if err != nil {
		r.setUnreadable(fmt.Sprintf("changes that were accepted without the log cannot be read, and no more are accepted so: %v; restore the file, or remove it to give them up", err))
	}
	if len(list) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range list {
		r.core.Restore([]crdt.Entry{e.Entry()})
		r.told.add(e, r.core.Pending())
	}
	r.kept = true
	r.touched.addAll()
	r.cfg.Logger.Info().Int("changes", len(list)).Msg("changes of before the restart are pending still")
}

// setUnreadable tells of a journal that stays as it is until somebody looks at it.
func (r *Replica) setUnreadable(text string) {
	r.cfg.Logger.Error().Msg(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unreadable = text
	r.changed.raise()
}

// tidyJournal forgets what is in the log by now. Whoever is about to append has an entry in
// the pending layer, so the mark is behind everybody who is done with it.
func (r *Replica) tidyJournal() {
	r.mu.Lock()
	settled := r.kept && r.core.Online() && r.core.Pending().Len() == 0
	r.kept = r.kept && !settled
	mark := r.cfg.Journal.Mark()
	r.mu.Unlock()
	if !settled {
		return
	}
	if err := r.cfg.Journal.Forget(mark); err != nil {
		r.cfg.Logger.Warn().Err(err).Msg("pending changes that are in the log by now stay on disk")
	}
}
