package stream

import (
	"context"
	"slices"
	"sync"

	"sluice/events"
)

const (
	// leastBatch is from how many messages on a batch is faster than one after the other: the
	// server prepares each batch on disk, and then makes all of it durable at once.
	leastBatch = 24
	// mostBatch bounds a batch in messages; the server takes 1000.
	mostBatch = 256
	// mostSingle is how many messages are under way by themselves before others wait for them.
	mostSingle = 8
)

// group shares the cost of making messages durable among those who append at the same time:
// few are published at once and each by itself; when many wait, all of them go as one batch.
// Safe for concurrent use.
type group struct {
	mu     sync.Mutex
	single int  // messages under way by themselves
	batch  bool // a batch is under way
	queue  []*waiter
}

// waiter is a message that waits for its turn.
type waiter struct {
	m    events.Outgoing
	turn chan turn // capacity 1
}

// turn is what becomes of a waiter. Without batch and seq: publish your message by yourself.
type turn struct {
	// batch begins with the waiter, who is to publish the whole.
	batch []*waiter
	// seq is where the message is stored: it went with another waiter's batch.
	seq uint64
	// unknown: a batch with the message was sent and not answered.
	unknown bool
}

// enter waits until it is the turn of m. Its end is told with batchDone if there is a batch,
// with left unless m is stored. An error is ctx's: m was not sent.
func (g *group) enter(ctx context.Context, m events.Outgoing) (turn, error) {
	g.mu.Lock()
	if !g.batch && g.single < mostSingle {
		g.single++
		g.mu.Unlock()
		return turn{}, nil
	}
	w := &waiter{m, make(chan turn, 1)}
	g.queue = append(g.queue, w)
	g.mu.Unlock()
	select {
	case t := <-w.turn:
		return t, nil
	case <-ctx.Done():
	}
	if g.withdraw(w) {
		return turn{}, ctx.Err()
	}
	return <-w.turn, nil // its turn had come already
}

// withdraw reports whether w has not had its turn, and takes it out of the queue.
func (g *group) withdraw(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, w)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	return i >= 0
}

// left ends the turn of a message by itself.
func (g *group) left() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.single--
	g.next()
}

// batchDone ends the turn of a batch and returns what became of its first message. seq is that
// one's sequence; 0: the batch was not stored, so each of its messages goes by itself.
func (g *group) batchDone(batch []*waiter, seq uint64, unknown bool) turn {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batch = false
	if seq == 0 {
		g.single += len(batch)
	}
	for i, w := range batch[1:] {
		t := turn{unknown: unknown}
		if seq > 0 {
			t.seq = seq + 1 + uint64(i)
		}
		w.turn <- t
	}
	g.next()
	return turn{seq: seq, unknown: unknown}
}

// next gives turns to those who wait. The caller holds mu.
func (g *group) next() {
	if g.batch {
		return
	}
	if n := min(len(g.queue), mostBatch); n >= leastBatch {
		batch := slices.Clone(g.queue[:n])
		g.queue = slices.Delete(g.queue, 0, n)
		g.batch = true
		batch[0].turn <- turn{batch: batch}
		return
	}
	for len(g.queue) > 0 && g.single < mostSingle {
		g.single++
		g.queue[0].turn <- turn{}
		g.queue = slices.Delete(g.queue, 0, 1)
	}
}
