package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

const (
	pullHeartbeat = time.Second
	pullExpiry    = 2 * time.Second
	pullWindow    = 1000
	// inactive is after how long the server forgets a consumer whose reader died.
	inactive      = 30 * time.Second
	deleteTimeout = time.Second
)

// ErrReset: the consumer did not go on where it was: it was deleted, lost, or left messages out.
var ErrReset = errors.New("the consumer was reset")

// errLost is why a feed's context ends when its connection does.
var errLost = fmt.Errorf("%w: lost the connection", events.ErrUnavailable)

// feed is one consumer of one reader. It belongs to one goroutine.
type feed struct {
	log  *Log
	name string
	msgs jetstream.MessagesContext
	// pending is how many messages matched when the consumer was made.
	pending uint64
	seq     uint64 // last consumer sequence
	ctx     context.Context
	close   func()
}

// subscribe makes a consumer that starts at sequence from, of all subjects or of one. It holds
// no state on disk and no acknowledgements: a reader that loses it makes a new one.
func (l *Log) subscribe(ctx context.Context, from uint64, subject string) (*feed, error) {
	what := fmt.Sprintf("read from %d", from)
	ctx, release := l.untilLost(ctx)
	setup, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cons, err := l.reads.CreateConsumer(setup, l.cfg.Subjects.Stream(), jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(1, from),
		FilterSubject:     subject,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: inactive,
	})
	if err != nil {
		release()
		return nil, l.readError(what, errors.Join(context.Cause(ctx), err))
	}
	f := &feed{log: l, name: cons.CachedInfo().Name, pending: cons.CachedInfo().NumPending, ctx: ctx}
	f.msgs, err = cons.Messages(
		jetstream.PullMaxMessages(pullWindow),
		jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		f.remove()
		release()
		return nil, l.readError(what, err)
	}
	f.close = func() {
		f.msgs.Stop()
		f.remove()
		release()
	}
	return f, nil
}

// untilLost derives a context that ends when the reading connection is lost. release ends it
// and waits for the watcher.
func (l *Log) untilLost(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	nc := l.conn.reads
	status := nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	if !nc.IsConnected() { // lost before anybody listened
		cancel(errLost)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-status:
			cancel(errLost)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-done
		nc.RemoveStatusListener(status)
	}
}

// next returns the following message and how many are still to come.
func (f *feed) next() (events.Message, uint64, error) {
	if f.ctx.Err() != nil {
		return events.Message{}, 0, context.Cause(f.ctx)
	}
	m, err := f.msgs.Next(jetstream.NextContext(f.ctx))
	if err != nil {
		return events.Message{}, 0, f.sort(err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return events.Message{}, 0, fmt.Errorf("%w: %w", ErrReset, err)
	}
	if meta.Sequence.Consumer != f.seq+1 {
		return events.Message{}, 0, fmt.Errorf("%w: delivery %d follows delivery %d", ErrReset, meta.Sequence.Consumer, f.seq)
	}
	f.seq = meta.Sequence.Consumer
	return events.Message{
		Seq:     meta.Sequence.Stream,
		Time:    meta.Timestamp.UTC(),
		Subject: m.Subject(),
		Data:    m.Data(),
	}, meta.NumPending, nil
}

func (f *feed) sort(err error) error {
	switch {
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	case errors.Is(err, jetstream.ErrNoHeartbeat):
		return fmt.Errorf("%w: %w", events.ErrUnavailable, err)
	default:
		return fmt.Errorf("%w: %w", ErrReset, err)
	}
}

// remove deletes the consumer, so that a replica that reconnects often leaves nothing behind.
func (f *feed) remove() {
	if !f.log.conn.reads.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), deleteTimeout)
	defer cancel()
	// Best effort: the server forgets it anyway after the inactive time.
	_ = f.log.reads.DeleteConsumer(ctx, f.log.cfg.Subjects.Stream(), f.name)
}
