package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"sluice/events"
)

// commit publishes the messages of a group as one batch, which is stored as a whole or not at
// all, and returns what became of the first one. The batch gets one attempt: whatever hinders
// it is found out, message by message, by publishing each by itself. Message ids keep a message
// from being stored twice.
func (l *Log) commit(ctx context.Context, batch []*waiter) turn {
	last, err := l.publishBatch(context.WithoutCancel(ctx), batch) // it is not the first one's alone
	if err != nil {
		return l.group.batchDone(batch, 0, classify(err) == noAnswer)
	}
	return l.group.batchDone(batch, last-uint64(len(batch))+1, false)
}

// publishBatch returns the sequence of the last message; those before it have the ones before.
func (l *Log) publishBatch(ctx context.Context, batch []*waiter) (uint64, error) {
	if !l.conn.writes.IsConnected() {
		return 0, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	// The stream's owner is known to take batches, so nothing is asked before the commit.
	p, err := jetstreamext.NewBatchPublisher(l.writes, jetstreamext.BatchFlowControl{})
	if err != nil {
		return 0, fmt.Errorf("begin batch: %w", err)
	}
	expected := jetstreamext.WithBatchExpectStream(l.cfg.Subjects.Stream())
	end := len(batch) - 1
	for _, w := range batch[:end] {
		if err := p.AddMsg(message(w.m), expected); err != nil {
			return 0, errors.Join(err, p.Discard())
		}
	}
	ack, err := p.CommitMsg(ctx, message(batch[end].m), expected)
	if err != nil {
		return 0, fmt.Errorf("commit batch of %d: %w", len(batch), err)
	}
	return ack.Sequence, nil
}

func message(m events.Outgoing) *nats.Msg {
	return &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{jetstream.MsgIDHeader: {m.ID}}}
}
