package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

const (
	attempts       = 5
	attemptTimeout = time.Second
	retryWait      = 100 * time.Millisecond // plus as much again at random
	// maxSubject keeps a publish far below the line length at which the server would close
	// the whole connection.
	maxSubject = 1024
)

const (
	codeStoreFailed        = jetstream.ErrorCode(10077)
	codeDuplicateInProcess = jetstream.ErrorCode(10158)
)

// outcome is what one attempt to publish came to.
type outcome int

const (
	stored   outcome = iota
	conflict         // the expected last sequence did not hold
	refused          // the server said no, and will say it again
	busy             // the server said, or its absence proves, that nothing was stored now
	unsent           // the connection is down, nothing left the process
	noAnswer         // sent, and nothing came back
)

// Append stores m and returns its sequence once it is durable. It makes up to five attempts of
// one second with one message id, so a message is stored once however often it is sent. Messages
// that many callers append at the same time, without ExpectLast, are made durable together.
//
// ErrUnavailable and ErrRefused: certainly not stored. ErrConflict: ExpectLast did not hold,
// and no earlier attempt of this message is why. ErrUnknownOutcome: something was sent that was
// not answered, whatever later attempts came to; it may be stored now or later.
func (l *Log) Append(ctx context.Context, m events.Outgoing) (uint64, error) {
	if len(m.Subject) > maxSubject {
		return 0, fmt.Errorf("append %s: %w: the subject has %d bytes, at most %d are possible", m.ID, events.ErrRefused, len(m.Subject), maxSubject)
	}
	if m.ID == "" || m.ExpectLast != nil || !l.batches.Load() {
		return l.appendSingle(ctx, m, false)
	}
	t, err := l.group.enter(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrUnavailable, err)
	}
	if len(t.batch) > 0 {
		t = l.commit(ctx, t.batch)
	}
	if t.seq > 0 {
		return t.seq, nil
	}
	defer l.group.left()
	return l.appendSingle(ctx, m, t.unknown)
}

// appendSingle stores a message by itself; unknown: it was sent before and not answered.
func (l *Log) appendSingle(ctx context.Context, m events.Outgoing, unknown bool) (uint64, error) {
	var last error
	for i := range attempts {
		if i > 0 && !pause(ctx) {
			last = ctx.Err()
			break
		}
		seq, result, err := l.publish(ctx, m)
		if err != nil {
			last = err
		}
		switch result {
		case stored:
			return seq, nil
		case conflict:
			return l.settle(ctx, m, err)
		case refused:
			if !unknown {
				return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrRefused, err)
			}
			return 0, unanswered(m, err)
		case unsent:
			if !unknown {
				return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrUnavailable, err)
			}
		case noAnswer:
			unknown = true
		case busy:
		}
	}
	if unknown {
		return 0, unanswered(m, last)
	}
	return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrUnavailable, last)
}

// pause waits before the next attempt, not in step with others who lost the same server. It is
// false when ctx ended.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(retryWait + rand.N(retryWait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func unanswered(m events.Outgoing, err error) error {
	return fmt.Errorf("append %s: %w: %w", m.ID, events.ErrUnknownOutcome, err)
}

// publish makes one attempt.
func (l *Log) publish(ctx context.Context, m events.Outgoing) (uint64, outcome, error) {
	if err := ctx.Err(); err != nil {
		return 0, unsent, err
	}
	if !l.conn.writes.IsConnected() {
		return 0, unsent, nats.ErrDisconnected
	}
	opts := []jetstream.PublishOpt{
		jetstream.WithExpectStream(l.cfg.Subjects.Stream()),
		jetstream.WithRetryAttempts(0), // retries are counted here, not there
	}
	if m.ID != "" {
		opts = append(opts, jetstream.WithMsgID(m.ID))
	}
	if m.ExpectLast != nil {
		opts = append(opts, jetstream.WithExpectLastSequencePerSubject(*m.ExpectLast))
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	ack, err := l.writes.PublishMsg(ctx, &nats.Msg{Subject: m.Subject, Data: m.Data}, opts...)
	if err != nil {
		return 0, classify(err), err
	}
	return ack.Sequence, stored, nil
}

// classify sorts the error of one attempt. What is not known to be harmless counts as sent.
func classify(err error) outcome {
	apiErr := new(jetstream.APIError)
	switch {
	case errors.As(err, &apiErr):
		return classifyAnswer(apiErr)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return busy
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, nats.ErrConnectionDraining), errors.Is(err, nats.ErrDisconnected):
		return unsent
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		return refused
	default:
		return noAnswer
	}
}

func classifyAnswer(e *jetstream.APIError) outcome {
	switch {
	case e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence, e.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return conflict
	case e.ErrorCode == codeDuplicateInProcess:
		return noAnswer // an earlier attempt is on its way through the cluster
	case e.ErrorCode == codeStoreFailed, e.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return refused
	case e.Code >= 500, e.Code == 429:
		return busy
	default:
		return refused
	}
}

// settle decides a conflict. A standalone server compares the expected sequence before it looks
// for duplicates, so an earlier attempt of this very message answers with a conflict too. It
// was ours exactly if ours is the first message of the subject after the expected one.
func (l *Log) settle(ctx context.Context, m events.Outgoing, cause error) (uint64, error) {
	if m.ID == "" || m.ExpectLast == nil {
		return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrConflict, cause)
	}
	got, err := l.get(ctx, *m.ExpectLast+1, m.Subject)
	switch {
	case err == nil && got.Header.Get(jetstream.MsgIDHeader) == m.ID:
		return got.Sequence, nil
	case err == nil:
		return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrConflict, cause)
	case errors.Is(err, events.ErrNoMessage) && *m.ExpectLast > 0:
		// Nothing follows the expected message, so the subject ends before it: the caller
		// expected what is not there.
		return 0, fmt.Errorf("append %s: %w: %w", m.ID, events.ErrConflict, cause)
	default:
		return 0, unanswered(m, errors.Join(cause, err))
	}
}
