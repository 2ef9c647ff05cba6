package events_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/events"
)

// memLog is a log in memory whose consumers, unlike those of a real server, can be made to
// live on while its tail is lost.
type memLog struct {
	// intercept, if not nil, is asked before a message is stored; its error is Append's.
	intercept func(m events.Outgoing) error
	// deliver, if not nil, is called before a consumer gets a message.
	deliver func(m events.Message)
	// opened, if not nil, is called after Open has looked at the log, got after Get has.
	opened, got func()
	// silent, if not nil, decides whether a message that is stored is not answered.
	silent func() bool
	// loose: the expected last sequence is not compared.
	loose bool

	mu       sync.Mutex
	messages []events.Message
	changed  chan struct{}
}

var _ events.Log = (*memLog)(nil)

func newMemLog() *memLog { return &memLog{changed: make(chan struct{})} }

func (l *memLog) Open(ctx context.Context) (events.LogInfo, error) {
	info, err := l.Info(ctx)
	if l.opened != nil {
		l.opened()
	}
	return info, err
}

func (l *memLog) Info(context.Context) (events.LogInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return events.LogInfo{StreamID: "mem", First: 1, Last: uint64(len(l.messages))}, nil
}

func (l *memLog) Get(_ context.Context, seq uint64) (events.Message, error) {
	if l.got != nil {
		defer l.got()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq == 0 || seq > uint64(len(l.messages)) {
		return events.Message{}, events.ErrNoMessage
	}
	return l.messages[seq-1], nil
}

func (l *memLog) LastOf(_ context.Context, subject string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastOf(subject), nil
}

// lastOf is LastOf for a caller that holds mu.
func (l *memLog) lastOf(subject string) uint64 {
	for i := len(l.messages) - 1; i >= 0; i-- {
		if l.messages[i].Subject == subject {
			return uint64(i + 1)
		}
	}
	return 0
}

func (l *memLog) Append(_ context.Context, m events.Outgoing) (uint64, error) {
	if l.intercept != nil {
		if err := l.intercept(m); err != nil {
			return 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.ExpectLast != nil && *m.ExpectLast != l.lastOf(m.Subject) && !l.loose {
		return 0, events.ErrConflict
	}
	seq := l.store(m)
	if l.silent != nil && l.silent() {
		return 0, events.ErrUnknownOutcome
	}
	return seq, nil
}

// store appends m. The caller holds mu.
func (l *memLog) store(m events.Outgoing) uint64 {
	seq := uint64(len(l.messages) + 1)
	l.messages = append(l.messages, events.Message{Seq: seq, Time: time.Now(), Subject: m.Subject, Data: m.Data})
	close(l.changed)
	l.changed = make(chan struct{})
	return seq
}

// loseTail forgets the newest n messages and stores others in their place, at one moment:
// a consumer that has delivered the lost ones goes on behind them and notices nothing.
func (l *memLog) loseTail(n int, others ...events.Outgoing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append([]events.Message(nil), l.messages[:len(l.messages)-n]...)
	for _, m := range others {
		l.store(m)
	}
}

func (l *memLog) Follow(ctx context.Context, from uint64, handle func(events.Message) error) error {
	for next := from; ; {
		l.mu.Lock()
		changed := l.changed
		end := uint64(len(l.messages))
		var m events.Message
		if next <= end {
			m = l.messages[next-1]
		}
		l.mu.Unlock()
		switch {
		case next > end+1:
			return fmt.Errorf("follow from %d: the log ends at %d", next, end)
		case next <= end:
			if l.deliver != nil {
				l.deliver(m)
			}
			if err := handle(m); err != nil {
				return err
			}
			next++
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
