package stream

import (
	"context"
	"fmt"
	"slices"

	"sluice/events"
)

// Follow delivers the messages from sequence from on, in order and without gaps, one at a
// time, then the live ones. It returns with handle's error, ctx's error, ErrUnavailable
// (connection lost, heartbeats missed) or ErrReset; it never resumes by itself. A consumer that
// is deleted between two pulls ends it by the missed heartbeats. from may be one past the last
// sequence, not more, and not before the first.
func (l *Log) Follow(ctx context.Context, from uint64, handle func(events.Message) error) error {
	f, err := l.subscribe(ctx, from, "")
	if err != nil {
		return err
	}
	defer f.close()
	// Asked after the consumer exists, so that what comes from now on is delivered by it.
	info, err := l.Info(ctx)
	if err != nil {
		return err
	}
	if from < info.First || from > info.Last+1 {
		return fmt.Errorf("follow from %d: %w: the log holds %d to %d", from, ErrReset, info.First, info.Last)
	}
	for want := from; ; want++ {
		m, _, err := f.next()
		if err != nil {
			return fmt.Errorf("follow at %d: %w", want, err)
		}
		if m.Seq != want {
			return fmt.Errorf("follow at %d: %w: message %d came", want, ErrReset, m.Seq)
		}
		if err := handle(m); err != nil {
			return err
		}
	}
}

// Query selects stored messages.
type Query struct {
	// After is the sequence after which to begin.
	After uint64
	// Subject selects one subject, wildcards allowed; empty: all.
	Subject string
	// Limit ends the reading after that many messages; 0: no limit.
	Limit int
}

// Read delivers the messages that are stored now and match q, oldest first, and returns. It
// ends early with handle's error or ctx's. ErrUnavailable, ErrNoLog, ErrReset.
func (l *Log) Read(ctx context.Context, q Query, handle func(events.Message) error) error {
	info, err := l.Info(ctx)
	if err != nil {
		return err
	}
	if q.After >= info.Last || info.First > info.Last {
		return nil
	}
	f, err := l.subscribe(ctx, max(q.After+1, info.First), q.Subject)
	if err != nil {
		return err
	}
	defer f.close()
	if f.pending == 0 {
		return nil
	}
	for n := 1; ; n++ {
		m, pending, err := f.next()
		if err != nil {
			return fmt.Errorf("read after %d: %w", q.After, err)
		}
		if m.Seq > info.Last { // written meanwhile; a busy log must not keep the reader for ever
			return nil
		}
		if err := handle(m); err != nil {
			return err
		}
		if pending == 0 || m.Seq == info.Last || n == q.Limit {
			return nil
		}
	}
}

// History returns the newest n messages of subject, newest first.
func (l *Log) History(ctx context.Context, subject string, n int) ([]events.Message, error) {
	if n <= 0 {
		return nil, nil
	}
	var kept []events.Message
	err := l.Read(ctx, Query{Subject: subject}, func(m events.Message) error {
		if len(kept) == 2*n { // drop the older half at once instead of shifting for each message
			kept = append(kept[:0], kept[n:]...)
		}
		kept = append(kept, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	kept = kept[max(0, len(kept)-n):]
	slices.Reverse(kept)
	return kept, nil
}
