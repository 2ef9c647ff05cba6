package stream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
	"sluice/events/stream"
)

func lease(tb testing.TB, a *stream.Archive) bool {
	tb.Helper()
	held, err := a.Lease(tb.Context(), time.Second)
	if err != nil {
		tb.Fatalf("lease: %v", err)
	}
	return held
}

func TestLeaseHasOneHolder(t *testing.T) {
	a, s := newArchive(t)
	log := s.log(t)
	open(t, log)
	b := stream.NewArchive(log)
	if !lease(t, a) || lease(t, b) {
		t.Fatal("the first who asks has it, the second not")
	}
	since := time.Now()
	eventually(t, "it is prolonged for three times as long as it lasts by itself", func() bool {
		if !lease(t, a) || lease(t, b) {
			since = time.Now() // the machine stood still for too long
		}
		return time.Since(since) > 3*time.Second
	})
	eventually(t, "it is handed over when it is not prolonged", func() bool { return lease(t, b) })
	if lease(t, a) {
		t.Error("the old holder has it still")
	}
	if err := s.js(t).DeleteKeyValue(t.Context(), leaseBucket); err != nil {
		t.Fatal(err)
	}
	if !lease(t, a) || lease(t, b) {
		t.Error("without bucket the first who asks has it again")
	}
}

// claim is a call of Lease that was answered with yes.
type claim struct {
	owner      int
	begin, end time.Time
}

// contend lets archives ask for the lease at the same time until each of them had it. A holder
// prolongs it some times and then stands back until another has it.
func contend(t *testing.T, archives []*stream.Archive) []claim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var mu sync.Mutex
	var claims []claim
	owners := map[int]bool{}
	ask := func(owner int) bool {
		begin := time.Now()
		held, err := archives[owner].Lease(ctx, time.Second)
		if err != nil && ctx.Err() == nil && !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("lease of %d: %v", owner, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if held {
			claims = append(claims, claim{owner, begin, time.Now()})
			if owners[owner] = true; len(owners) == len(archives) {
				cancel()
			}
		}
		return held
	}
	another := func(owner int) bool {
		mu.Lock()
		defer mu.Unlock()
		return len(claims) > 0 && claims[len(claims)-1].owner != owner
	}
	var wg sync.WaitGroup
	for owner := range archives {
		wg.Go(func() {
			for held := 0; ctx.Err() == nil; {
				if ask(owner) {
					held++
				}
				for held > 20 && !another(owner) && ctx.Err() == nil {
					time.Sleep(5 * time.Millisecond)
				}
				if held > 20 {
					held = 0
				}
			}
		})
	}
	wg.Wait()
	if len(owners) != len(archives) {
		t.Errorf("only %v of %d had the lease", owners, len(archives))
	}
	return claims
}

// checkExclusive: whoever had the lease had it for a second from some moment of his call on, so
// nobody else may have been told before a second after its begin that he has it.
func checkExclusive(t *testing.T, claims []claim) {
	t.Helper()
	for _, c := range claims {
		for _, later := range claims {
			if later.owner != c.owner && !later.begin.Before(c.end) && later.end.Before(c.begin.Add(time.Second)) {
				t.Errorf("%d has the lease %v after %d had it for a second", later.owner, later.end.Sub(c.begin), c.owner)
			}
		}
	}
	t.Logf("%d claims", len(claims))
}

func TestLeaseIsExclusive(t *testing.T) {
	s := startServer(t)
	archives := make([]*stream.Archive, 3)
	for i := range archives {
		log := s.log(t)
		open(t, log)
		archives[i] = stream.NewArchive(log)
	}
	checkExclusive(t, contend(t, archives))
}

func TestLeaseLastsAsLongAsTheBucketWasMadeFor(t *testing.T) {
	a, s := newArchive(t)
	log := s.log(t)
	open(t, log)
	b := stream.NewArchive(log)
	if !lease(t, a) {
		t.Fatal("not held")
	}
	if held, err := b.Lease(t.Context(), time.Hour); err != nil || held {
		t.Fatalf("lease of the other: %v, %v", held, err)
	}
	eventually(t, "the first ttl counts", func() bool {
		held, err := b.Lease(t.Context(), time.Hour)
		return err == nil && held
	})
	if got := streamOf(t, s, "KV_"+leaseBucket).CachedInfo().Config.MaxAge; got != time.Second {
		t.Errorf("the bucket keeps for %v", got)
	}
}

// The claim is stored, and its holder loses the connection before the answer.
func TestLeaseAfterALostAnswer(t *testing.T) {
	a, s := newArchive(t)
	held, err := a.Lease(t.Context(), time.Minute) // so that there is a bucket
	if err != nil || !held {
		t.Fatalf("lease: %v, %v", held, err)
	}
	bucket := streamOf(t, s, "KV_"+leaseBucket)
	state := func() jetstream.StreamState {
		si, err := bucket.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return si.State
	}
	if err := bucket.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := state().LastSeq

	proxy := startSilence(t, s.Addr().String())
	b := stream.NewArchive(newLog(t, connect(t, proxy.url), stream.Config{Subjects: subjects}))
	proxy.quietAfter(" $KV." + leaseBucket + ".checkpoints ")
	type result struct {
		held bool
		err  error
	}
	told := make(chan result, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		held, err := b.Lease(context.Background(), time.Minute)
		told <- result{held, err}
	})
	eventually(t, "the claim is stored", func() bool { return state().LastSeq > before })
	proxy.cut()
	if got := <-told; got.err != nil || !got.held {
		t.Errorf("lease after a lost answer: %v, %v", got.held, got.err)
	}
	if got := state(); got.LastSeq != before+2 || got.Msgs != 1 {
		t.Errorf("bucket %+v; want the claim, and once more on top of it", got)
	}
	if lease(t, a) {
		t.Error("the other has it too")
	}
}
