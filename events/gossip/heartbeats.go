// Package gossip is how replicas tell each other what they have, over core NATS: nothing of it
// is stored, and any of it may get lost.
package gossip

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"sluice/events"
)

// window is how many messages wait for a slow reader before further ones are dropped.
const window = 1024

// Kinds of messages, the last part of their subjects.
const (
	kindStatus = "status"
	kindPing   = "ping"
)

// Heartbeats exchanges the status of replicas. Safe for concurrent use.
type Heartbeats struct {
	nc           *nats.Conn
	status, ping string
	log          zerolog.Logger
}

// New returns the heartbeats of one namespace on nc.
func New(nc *nats.Conn, s events.Subjects, log zerolog.Logger) (*Heartbeats, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("configure heartbeats: %w", err)
	}
	return &Heartbeats{nc: nc, status: s.Peer(kindStatus), ping: s.Peer(kindPing), log: log}, nil
}

// Publish tells every replica of the namespace, this one too, what s says. It does not wait
// for anybody; an error means that it was not sent.
func (h *Heartbeats) Publish(_ context.Context, s events.Status) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	if err := h.nc.Publish(h.status, data); err != nil {
		return fmt.Errorf("publish status: %w", err)
	}
	return nil
}

// Run hands every status that arrives to handle, one at a time, and answers who asks for this
// replica's own. It asks everybody once at its start and at every reconnect, so that a
// newcomer need not wait for the next beat. It returns nil when ctx ends; a connection that is
// down is waited for.
//
// own and handle are called from Run's goroutine.
func (h *Heartbeats) Run(ctx context.Context, own func() events.Status, handle func(events.Status)) error {
	msgs := make(chan *nats.Msg, window)
	inbox := h.nc.NewInbox()
	for _, subject := range []string{h.status, h.ping, inbox} {
		sub, err := h.nc.ChanSubscribe(subject, msgs)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		defer sub.Unsubscribe() // fails only if the connection is gone already
	}
	connected := h.nc.StatusChanged(nats.CONNECTED)
	defer h.nc.RemoveStatusListener(connected)
	h.ask(inbox, own())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-connected:
			h.ask(inbox, own())
		case m := <-msgs:
			h.receive(m, handle)
			if m.Subject == h.ping {
				h.answer(m, own)
			}
		}
	}
}

// ask sends the ping with this replica's own status: of two that ask at the same time the one
// may not listen yet when the other does. If it gets lost, the beats come anyway.
func (h *Heartbeats) ask(inbox string, own events.Status) {
	data, err := encode(own)
	if err == nil {
		err = h.nc.PublishRequest(h.ping, inbox, data)
	}
	if err != nil {
		h.log.Debug().Err(err).Msg("could not ask the other replicas")
	}
}

// receive leaves out what is no status: anybody may write to the subject.
func (h *Heartbeats) receive(m *nats.Msg, handle func(events.Status)) {
	s, err := decode(m.Data)
	if err != nil {
		h.log.Debug().Err(err).Str("subject", m.Subject).Msg("ignored a message")
		return
	}
	handle(s)
}

// answer sends this replica's status to whoever asked; if it gets lost, the next beat follows.
func (h *Heartbeats) answer(m *nats.Msg, own func() events.Status) {
	if m.Reply == "" {
		return
	}
	data, err := encode(own())
	if err == nil {
		err = h.nc.Publish(m.Reply, data)
	}
	if err != nil {
		h.log.Debug().Err(err).Msg("could not answer")
	}
}
