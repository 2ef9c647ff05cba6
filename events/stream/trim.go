package stream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
)

// Trim removes the log's messages before sequence first, never that one or a later one; it does
// nothing if they are gone already. ErrUnavailable, ErrUnfit, ErrRefused, ErrNoLog (also when
// the stream has another identity), ErrNoMessage (the log ends before first).
//
// The purge cannot be made conditional: a stream that is replaced by another of that name
// between the question for its identity and the purge, milliseconds later, is trimmed.
func (a *Archive) Trim(ctx context.Context, streamID string, first uint64) error {
	what := fmt.Sprintf("trim log before message %d", first)
	info, err := a.log.Info(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case info.StreamID != streamID:
		return fmt.Errorf("%s: %w with identity %.40q: now it is %s; list the checkpoints again", what, events.ErrNoLog, streamID, info.StreamID)
	case first <= info.First:
		return nil
	case first > info.Last+1:
		return fmt.Errorf("%s: %w: it ends at %d", what, events.ErrNoMessage, info.Last)
	}
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	s, err := a.log.stream(ctx)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(first))
	}
	if err != nil {
		return a.log.serverError(what, err)
	}
	return nil
}

// Delete removes the log itself. The checkpoints stay. ErrUnavailable, ErrUnfit, ErrNoLog (also when the stream has
// another identity).
func (a *Archive) Delete(ctx context.Context, streamID string) error {
	info, err := a.log.Info(ctx)
	if err == nil && info.StreamID != streamID {
		err = fmt.Errorf("%w with identity %.40q: now it is %s", events.ErrNoLog, streamID, info.StreamID)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	if err := a.log.reads.DeleteStream(ctx, a.log.cfg.Subjects.Stream()); err != nil {
		return a.log.serverError("delete log", err)
	}
	return nil
}
