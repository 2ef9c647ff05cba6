package stream

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/events"
)

// Whatever becomes of batches, everybody has a turn, one batch is under way at a time, and at
// the end nobody is left.
func TestGroupServesEverybody(t *testing.T) {
	var g group
	var stored, alone, batches atomic.Int64
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			turn, err := g.enter(context.Background(), events.Outgoing{})
			if err != nil {
				t.Error(err)
			}
			if batch := turn.batch; len(batch) > 0 {
				if len(batch) < leastBatch || len(batch) > mostBatch {
					t.Errorf("a batch of %d", len(batch))
				}
				if n := batches.Add(1); n > 1 {
					t.Errorf("%d batches at once", n)
				}
				seq := uint64(rand.IntN(2)) * 100
				batches.Add(-1)
				if turn = g.batchDone(batch, seq, seq == 0); turn.unknown != (seq == 0) {
					t.Errorf("turn %+v of a batch at %d", turn, seq)
				}
			}
			if turn.seq > 0 {
				stored.Add(1)
				return
			}
			alone.Add(1)
			g.left()
		})
	}
	wg.Wait()
	if stored.Load()+alone.Load() != 500 || g.single != 0 || g.batch || len(g.queue) != 0 {
		t.Errorf("%d stored, %d alone; left: %d alone, batch %v, %d waiting", stored.Load(), alone.Load(), g.single, g.batch, len(g.queue))
	}
}

func TestGroupNumbersABatch(t *testing.T) {
	g := group{single: mostSingle}
	seqs := make([]uint64, leastBatch)
	var wg sync.WaitGroup
	for i := range seqs {
		wg.Go(func() {
			turn, err := g.enter(context.Background(), events.Outgoing{Data: []byte{byte(i)}})
			if err != nil {
				t.Error(err)
			}
			if len(turn.batch) > 0 {
				turn = g.batchDone(turn.batch, 10, false)
			}
			seqs[i] = turn.seq
		})
	}
	for waiting := 0; waiting < leastBatch; {
		g.mu.Lock()
		waiting = len(g.queue)
		g.mu.Unlock()
	}
	g.left()
	wg.Wait()
	seen := map[uint64]bool{}
	for _, seq := range seqs {
		seen[seq] = seq >= 10 && seq < 10+leastBatch
	}
	if len(seen) != leastBatch || seen[0] {
		t.Errorf("sequences %v, want each from 10 to %d", seqs, 10+leastBatch-1)
	}
}
