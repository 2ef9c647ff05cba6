// Package gossip is how replicas tell each other what they have, over core NATS: nothing of it
// is stored, and any of it may get lost.
package gossip

import (
	"context"
	"fmt"
	"sync"

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
	paths        []*path
	status, ping string
	log          zerolog.Logger
}

// New returns the heartbeats of one namespace over all ways.
func New(ways []Way, s events.Subjects, log zerolog.Logger) (*Heartbeats, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("configure heartbeats: %w", err)
	}
	return &Heartbeats{paths: newPaths(ways), status: s.Peer(kindStatus), ping: s.Peer(kindPing), log: log}, nil
}

// Publish tells every replica of the namespace, this one too, what s says. It does not wait
// for anybody; an error means that it was not sent.
func (h *Heartbeats) Publish(ctx context.Context, s events.Status) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	if err := tellOver(ctx, h.paths, h.status, data); err != nil {
		return fmt.Errorf("publish status: %w", err)
	}
	return nil
}

// listener is one way as Run uses it.
type listener struct {
	Way
	inbox     string
	connected chan nats.Status
}

// Run hands every status that arrives to handle, one at a time, with the name of the way, and
// answers who asks for this replica's own. It asks everybody once at its start and at every
// reconnect, so that a newcomer need not wait for the next beat. It returns nil when ctx ends; a
// connection that is down is waited for.
//
// own and handle are called from Run's goroutine.
func (h *Heartbeats) Run(ctx context.Context, own func() events.Status, handle func(s events.Status, way string)) error {
	msgs, up := make(chan *nats.Msg, window), make(chan listener)
	from := map[*nats.Subscription]string{}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, w := range h.paths {
		l := listener{w.Way, w.NATS.NewInbox(), w.NATS.StatusChanged(nats.CONNECTED)}
		defer w.NATS.RemoveStatusListener(l.connected)
		for _, subject := range []string{h.status, h.ping, l.inbox} {
			sub, err := w.NATS.ChanSubscribe(subject, msgs)
			if err != nil {
				return fmt.Errorf("subscribe to %s over the %s: %w", subject, w.Name, err)
			}
			defer sub.Unsubscribe() // fails only if the connection is gone already
			from[sub] = w.Name
		}
		watching.Go(func() { l.watch(ctx, up) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-up:
			h.ask(l, own())
		case m := <-msgs:
			h.receive(m, from[m.Sub], handle)
			if m.Subject == h.ping {
				h.answer(m, own)
			}
		}
	}
}

// watch tells that there is a way, now and whenever its connection is restored.
func (l listener) watch(ctx context.Context, up chan<- listener) {
	for open := true; open; {
		select {
		case up <- l:
		case <-ctx.Done():
			return
		}
		select {
		case _, open = <-l.connected:
		case <-ctx.Done():
		}
	}
}

// ask sends the ping with this replica's own status: of two that ask at the same time the one
// may not listen yet when the other does. If it gets lost, the beats come anyway.
func (h *Heartbeats) ask(l listener, own events.Status) {
	data, err := encode(own)
	if err == nil {
		err = l.NATS.PublishRequest(h.ping, l.inbox, data)
	}
	if err != nil {
		h.log.Debug().Err(err).Str("way", l.Name).Msg("could not ask the other replicas")
	}
}

// receive leaves out what is no status: anybody may write to the subject.
func (h *Heartbeats) receive(m *nats.Msg, way string, handle func(events.Status, string)) {
	s, err := decode(m.Data)
	if err != nil {
		h.log.Debug().Err(err).Str("subject", m.Subject).Str("way", way).Msg("ignored a message")
		return
	}
	handle(s, way)
}

// answer sends this replica's status to whoever asked, over the same way; if it gets lost, the
// next beat follows.
func (h *Heartbeats) answer(m *nats.Msg, own func() events.Status) {
	if m.Reply == "" {
		return
	}
	data, err := encode(own())
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		h.log.Debug().Err(err).Msg("could not answer")
	}
}
