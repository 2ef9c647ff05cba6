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
	return leaseFor(tb, a, time.Second)
}

func leaseFor(tb testing.TB, a *stream.Archive, ttl time.Duration) (held bool) {
	tb.Helper()
	err := answered(func() (err error) { held, err = a.Lease(tb.Context(), ttl); return err })
	if err != nil {
		tb.Fatalf("lease: %v", err)
	}
	return held
}

// excludes reports whether one has the lease when it asks, and the other, asked next, has not.
// What took as long as a lease lasts tells nothing, and is asked again once the one has it.
func excludes(tb testing.TB, one, other func() bool) bool {
	tb.Helper()
	for again := false; ; again = true {
		if again {
			eventually(tb, "the lease is had again", one)
		}
		began := time.Now()
		first, second := one(), other()
		if time.Since(began) < time.Second {
			return first && !second
		}
	}
}

func TestLeaseHasOneHolder(t *testing.T) {
	a, s := newArchive(t)
	log := s.log(t)
	open(t, log)
	b := stream.NewArchive(log)
	askA, askB := func() bool { return lease(t, a) }, func() bool { return lease(t, b) }
	if !excludes(t, askA, askB) {
		t.Fatal("the first who asks has it, the second not")
	}
	since := time.Now()
	eventually(t, "it is prolonged for three times as long as it lasts by itself", func() bool {
		if !lease(t, a) || lease(t, b) {
			since = time.Now() // the machine stood still for too long
		}
		return time.Since(since) > 3*time.Second
	})
	eventually(t, "it is handed over when it is not prolonged", askB)
	if !excludes(t, askB, askA) {
		t.Error("the old holder has it still")
	}
	if err := s.js(t).DeleteKeyValue(t.Context(), leaseBucket); err != nil {
		t.Fatal(err)
	}
	if !excludes(t, askA, askB) {
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
	forLong := func() bool { return leaseFor(t, b, time.Hour) }
	if !excludes(t, func() bool { return lease(t, a) }, forLong) {
		t.Fatal("the first who asks has it, the second not")
	}
	eventually(t, "the first ttl counts", forLong)
	if got := streamOf(t, s, "KV_"+leaseBucket).CachedInfo().Config.MaxAge; got != time.Second {
		t.Errorf("the bucket keeps for %v", got)
	}
}

// The claim is stored, and its holder loses the connection before the answer.
func TestLeaseAfterALostAnswer(t *testing.T) {
	a, s := newArchive(t)
	if !leaseFor(t, a, time.Minute) { // so that there is a bucket
		t.Fatal("no lease")
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
