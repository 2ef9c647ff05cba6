package node

import (
	"context"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/api"
)

// history reads the log for people.
type history struct {
	replica  *events.Replica
	subjects events.Subjects
	read     func(ctx context.Context, after uint64, subject string, handle func(events.Message) error) error
}

var _ api.History = history{}

// Records hands out the events that q selects, in order.
func (h history) Records(ctx context.Context, q events.Query, handle func(events.Record) error) error {
	if q.Kind == events.KindRejected {
		return each(h.replica.Rejected(), q.Key, "", handle)
	}
	subject, err := q.Subject(h.subjects)
	if err != nil {
		return err
	}
	after := q.After
	if q.Conflicts {
		if err := each(h.replica.Contests(), q.Key, q.Kind, handle); err != nil {
			return err
		}
		after = 0 // what a write competed with may lie far back
	}
	rivals := events.NewRivals()
	for {
		changed := h.replica.Changed()
		if end := h.replica.View().Seq; end > after {
			err := h.read(ctx, after, subject, func(m events.Message) error {
				after = m.Seq
				return h.record(ctx, q, m, rivals, handle)
			})
			if err != nil {
				return err
			}
			after = max(after, end)
		}
		if !q.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func (h history) record(ctx context.Context, q events.Query, m events.Message, rivals *events.Rivals, handle func(events.Record) error) error {
	r := events.NewRecord(m)
	r.Result, r.Reason = h.replica.Verdict(m.Seq)
	conflict := rivals.Read(m, r.Result)
	if m.Seq <= q.After {
		return nil
	}
	if r.Result != "" { // this process folded it and knows better
		var err error
		if conflict, err = h.conflict(ctx, q, &r, rivals); err != nil {
			return err
		}
	}
	if r.Conflict = conflict; conflict == nil && q.Conflicts {
		return nil
	}
	return handle(r)
}

// conflict is what the fold of this process found at the record's sequence; nil: nothing.
func (h history) conflict(ctx context.Context, q events.Query, r *events.Record, rivals *events.Rivals) (*events.Conflict, error) {
	rival, won := h.replica.Rival(r.Seq)
	c := rivals.Conflict(r.Key, r.Stamp, rival, won)
	if c == nil || c.Actor != "" || q.Conflicts {
		return c, nil
	}
	var err error // it may stand before what was asked for
	c.Actor, err = h.actor(ctx, r.Key, rival)
	return c, err
}

// each hands out records that are in no log, of one key and kind; empty: of all.
func each(list []events.Record, key, kind string, handle func(events.Record) error) error {
	for _, r := range list {
		if key != "" && r.Key != key || kind != "" && r.Kind != kind {
			continue
		}
		if err := handle(r); err != nil {
			return err
		}
	}
	return nil
}

// actor is who asked for a write of a key; empty if the log does not hold it any more.
func (h history) actor(ctx context.Context, key string, stamp crdt.Stamp) (string, error) {
	actor := ""
	err := h.read(ctx, 0, h.subjects.Event(key), func(m events.Message) error {
		if e, err := events.DecodeEvent(m.Data); err == nil && e.Stamp == stamp {
			actor = e.Actor
		}
		return nil
	})
	return actor, err
}
