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
	if receipt, ok := r.acceptedBefore(c, crdt.Stamp{}); ok {
		return receipt, nil
	}
	if receipt, ok := r.needless(c); ok {
		return receipt, nil
	}
	e, err := r.stamp(c)
	if err != nil {
		return Receipt{}, err
	}
	return r.acceptEntry(e)
}

// needless answers the removal of what is not there as far as this replica knows. The receipt
// has no sequence: the log was not asked.
func (r *Replica) needless(c Change) (Receipt, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, _ := r.core.Visible(c.Key)
	if !c.Delete || e.Live() || r.core.Unseen(c.Key) {
		return Receipt{}, false
	}
	return Receipt{StreamID: r.view().StreamID, Stamp: e.Stamp, NoOp: true}, true
}

// acceptedBefore answers a change that is accepted and kept already: what is announced again
// and again during an outage costs nothing. The write of the key stamped with own, if there is one, is the change's.
func (r *Replica) acceptedBefore(c Change, own crdt.Stamp) (Receipt, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held, ok := r.core.Held(c, own)
	if _, appending := r.appending[held.Stamp]; !ok || appending || r.lacks > 0 {
		return Receipt{}, false
	}
	return Receipt{StreamID: r.view().StreamID, Stamp: held.Stamp, EventID: held.Stamp.String()}, true
}

// acceptEntry makes a stamped change a promise: first on disk, then to readers, the other
// replicas and the caller. ErrUnavailable: it could not be kept, nothing remains of it.
// ErrUnknownOutcome: nothing but perhaps a copy that is found at the next start.
func (r *Replica) acceptEntry(e crdt.Entry) (Receipt, error) {
	if receipt, ok := r.acceptedBefore(Change{Key: e.Key, Value: e.Value, Delete: e.Deleted}, e.Stamp); ok {
		r.drop(e)
		return receipt, nil
	}
	event, err := r.keep(e)
	if errors.Is(err, ErrUnknownOutcome) {
		return Receipt{Stamp: e.Stamp, EventID: e.Stamp.String()}, fmt.Errorf("keep the change: %w", err)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("%w, and the change cannot be kept without it: %w", ErrUnavailable, err)
	}
	r.mu.Lock()
	accepted := r.core.Accept(e)
	delete(r.appending, e.Stamp)
	r.kept = true
	r.told.add(event, r.core.Pending())
	r.touched.add(e.Key)
	streamID := r.view().StreamID
	r.mu.Unlock()
	r.changed.raise()
	poke(r.offers)
	if accepted {
		r.cfg.Broadcast([]Event{event})
		r.cfg.Logger.Info().Str("key", e.Key).Stringer("stamp", e.Stamp).Msg("change accepted without the log, to be offered to it later")
	}
	return Receipt{StreamID: streamID, Stamp: e.Stamp, EventID: e.Stamp.String()}, nil
}

// keep brings the event of e to disk, or drops e.
func (r *Replica) keep(e crdt.Entry) (Event, error) {
	r.mu.Lock()
	event := r.eventOf(e)
	r.appending[e.Stamp] = r.cfg.Journal.Mark()
	r.mu.Unlock()
	err := r.cfg.Journal.Append([]Event{event})
	if err != nil {
		r.mu.Lock()
		delete(r.appending, e.Stamp)
		r.dropped(e, r.core.Refuse)
		r.mu.Unlock()
		poke(r.offers) // which looks whether the journal can be read again
	}
	return event, err
}
