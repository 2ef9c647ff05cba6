package node

import (
	"context"
	"sync"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/api"
	"sluice/proxy"
)

// source shows the replica's services and certificates to the proxy. Safe for concurrent use.
type source struct {
	replica *events.Replica

	mu           sync.Mutex
	items        carried[proxy.Item]
	overlays     carried[proxy.Item]
	certificates carried[proxy.Bundle]
}

var _ proxy.Source = (*source)(nil)

// newSource opens certificates with open; nil: this replica has no cluster key.
func newSource(r *events.Replica, open func(box string) ([]byte, error)) *source {
	return &source{replica: r, items: carried[proxy.Item]{make: item}, overlays: carried[proxy.Item]{make: overlay}, certificates: certificates(open)}
}

func (s *source) Changed() <-chan struct{} { return s.replica.Changed() }

// Desired costs little more than what has changed since the last call: what has not is the
// same as it was, versions and values included.
func (s *source) Desired() proxy.Desired {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, view := s.replica.Live("") // all kinds at one position
	return proxy.Desired{
		Ready: view.Restored, StreamID: view.StreamID, Seq: view.Seq,
		Items:        s.items.of(events.Below(entries, service.Key(""))),
		Overlays:     s.overlays.of(events.Below(entries, service.OverlayKey(""))),
		Certificates: s.certificates.of(events.Below(entries, api.CertificateKey(""))),
	}
}

// item leaves out what no service can be called.
func item(e *crdt.Entry) (proxy.Item, bool) {
	name, ok := service.Name(e.Key)
	return proxy.Item{Name: name, Version: e.Stamp.String(), Value: e.Value}, ok
}

// overlay leaves out what is over no service's name.
func overlay(e *crdt.Entry) (proxy.Item, bool) {
	name, ok := service.Overlaid(e.Key)
	return proxy.Item{Name: name, Version: e.Stamp.String(), Value: e.Value}, ok
}

// state shows the replica to the API.
type state struct {
	*events.Replica
	status *status
}

var _ api.Replica = state{}

func (s state) Entries(prefix string) []crdt.Entry {
	list, _ := s.Live(prefix)
	entries := make([]crdt.Entry, len(list))
	for i, e := range list {
		entries[i] = *e
	}
	return entries
}

func (s state) Status() events.Status { return s.status.current() }

// gateway shows the controller to the API.
type gateway struct{ *proxy.Controller }

var _ api.Proxy = gateway{}

func (g gateway) Ready() bool { return g.Report().Ready }

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
		return h.rejected(q, handle)
	}
	subject, err := q.Subject(h.subjects)
	if err != nil {
		return err
	}
	for after := q.After; ; {
		changed := h.replica.Changed()
		if end := h.replica.View().Seq; end > after {
			err := h.read(ctx, after, subject, func(m events.Message) error {
				after = m.Seq
				return h.record(ctx, q, m, handle)
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

func (h history) record(ctx context.Context, q events.Query, m events.Message, handle func(events.Record) error) error {
	r := events.NewRecord(m)
	r.Result, r.Reason = h.replica.Verdict(m.Seq)
	rival, won := h.replica.Rival(m.Seq)
	if rival.IsZero() {
		if q.Conflicts {
			return nil
		}
		return handle(r)
	}
	r.Conflict = &events.Conflict{Stamp: rival.String(), Won: won}
	var err error
	if r.Conflict.Actor, err = h.actor(ctx, r.Key, rival); err != nil {
		return err
	}
	return handle(r)
}

// rejected hands out what was given up, which is in no log.
func (h history) rejected(q events.Query, handle func(events.Record) error) error {
	for _, r := range h.replica.Rejected() {
		if q.Key != "" && r.Key != q.Key {
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
