package events

import (
	"context"
	"sync"
)

// asking asks the log for its end, once for all who came before the question was sent. Who
// comes later needs a later answer. Safe for concurrent use.
type asking struct {
	turn chan struct{} // capacity 1, filled while a question is under way

	mu   sync.Mutex
	next *answer // of the question not sent yet; nil: nobody has come since the last one
}

type answer struct {
	given chan struct{} // closed when the rest is known
	info  LogInfo
	err   error
}

func newAsking() *asking { return &asking{turn: make(chan struct{}, 1)} }

// info is the answer to a question sent after the call. ask bounds itself in time.
func (q *asking) info(ctx context.Context, ask func(context.Context) (LogInfo, error)) (LogInfo, error) {
	q.mu.Lock()
	a, first := q.next, q.next == nil
	if first {
		a = &answer{given: make(chan struct{})}
		q.next = a
	}
	q.mu.Unlock()
	if first {
		q.send(context.WithoutCancel(ctx), a, ask) // others share it: it must not end with the first
	}
	select {
	case <-a.given:
		return a.info, a.err
	case <-ctx.Done():
		return LogInfo{}, ctx.Err()
	}
}

// send waits for its turn and asks for all who have come until then.
func (q *asking) send(ctx context.Context, a *answer, ask func(context.Context) (LogInfo, error)) {
	q.turn <- struct{}{}
	defer func() { <-q.turn }()
	q.mu.Lock()
	q.next = nil
	q.mu.Unlock()
	a.info, a.err = ask(ctx)
	close(a.given)
}
