package node

import (
	"context"
	"slices"

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
	next, err := h.reader(q, handle)
	if err != nil {
		return err
	}
	for {
		changed := h.replica.Changed()
		if err := next(ctx); err != nil || !q.Follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// reader hands out, at each call, what there is to be read since the one before.
func (h history) reader(q events.Query, handle func(events.Record) error) (func(context.Context) error, error) {
	var other unseen
	if q.Kind == events.KindRejected {
		return func(context.Context) error { return each(other.of(h.replica.Rejected()), q.Key, "", handle) }, nil
	}
	subject, err := q.Subject(h.subjects)
	if err != nil {
		return nil, err
	}
	after, rivals := q.After, events.NewRivals()
	if q.Conflicts {
		after = 0 // what a write competed with may lie far back
	}
	return func(ctx context.Context) error {
		if q.Conflicts {
			if err := each(other.of(h.replica.Contests()), q.Key, q.Kind, handle); err != nil {
				return err
			}
		}
		end := h.replica.View().Seq
		if end <= after {
			return nil
		}
		err := h.read(ctx, after, subject, func(m events.Message) error {
			after = m.Seq
			return h.record(ctx, q, m, rivals, handle)
		})
		after = max(after, end)
		return err
	}, nil
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

// unseen is the part of a growing list that was not seen yet; its oldest records may be gone.
type unseen struct{ key, stamp string }

func (u *unseen) of(list []events.Record) []events.Record {
	for i, r := range slices.Backward(list) {
		if r.Key == u.key && r.Stamp == u.stamp {
			list = list[i+1:]
			break
		}
	}
	if n := len(list); n > 0 {
		u.key, u.stamp = list[n-1].Key, list[n-1].Stamp
	}
	return list
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
