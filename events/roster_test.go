package events_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/events"
)

func status(name string, live uint64) events.Status {
	return events.Status{Node: "node-" + name, Name: name, StreamID: "s", Live: live, Ready: true, Time: time.Now()}
}

func wait(t *testing.T, r *events.Roster, w events.Wait, d time.Duration) events.WaitResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	w.StreamID = "s"
	result, err := r.Wait(ctx, w)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestWaitScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("a", 7))
		behind := status("b", 5)
		behind.Problem = "its disk is full"
		r.Observe(behind)
		if got := wait(t, r, events.Wait{Scope: events.WaitLocal, Seq: 7}, time.Second); !got.Live {
			t.Errorf("local: %+v", got)
		}
		got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second)
		if got.Live || !cmp.Equal(got.Missing, []string{"b"}) || got.Problems["b"] != behind.Problem {
			t.Errorf("all, with b behind: %+v", got)
		}
		time.AfterFunc(time.Second, func() { r.Observe(status("b", 7)) })
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Minute); !got.Live {
			t.Errorf("all, once b has it: %+v", got)
		}
	})
}

// Who waits for one service does not wait for those that keep the position from being live.
func TestReachedIsLiveButForThoseBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		ahead := status("a", 5)
		ahead.Reached, ahead.Behind = 7, []string{"slow"}
		r.Observe(ahead)
		for key, want := range map[string]bool{"service/quick": true, "service/slow": false, "overlay/slow": false, "cert/quick": false, "": false} {
			if got := wait(t, r, events.Wait{Scope: events.WaitLocal, StreamID: "s", Seq: 7, Key: key}, time.Second); got.Live != want {
				t.Errorf("%q: live %v, want %v", key, got.Live, want)
			}
		}
		if got := wait(t, r, events.Wait{Scope: events.WaitLocal, StreamID: "s", Seq: 8, Key: "service/quick"}, time.Second); got.Live {
			t.Error("live before it is reached")
		}
	})
}

func TestOtherLogIsNotLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		s := status("a", 99)
		s.StreamID = "another"
		r.Observe(s)
		if got := wait(t, r, events.Wait{Scope: events.WaitLocal, Seq: 7}, time.Second); got.Live {
			t.Errorf("%+v", got)
		}
	})
}

func TestSilentReplicaCountsAsMissingForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("b", 7))
		for range 20 {
			time.Sleep(time.Second)
			r.Observe(status("a", 7))
		}
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second); got.Live {
			t.Errorf("b fell silent 20 s ago: %+v", got)
		}
		for range 60 {
			time.Sleep(time.Second)
			r.Observe(status("a", 7))
		}
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second); !got.Live {
			t.Errorf("b fell silent 80 s ago: %+v", got)
		}
	})
}

func TestReplicaThatLeavesIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("a", 7))
		r.Observe(status("b", 1))
		r.Forget("node-b")
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second); !got.Live {
			t.Errorf("%+v", got)
		}
	})
}

func TestSuccessorTakesThePlaceOfASilentReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("b", 1))
		time.Sleep(5 * time.Second)
		next := status("b", 7)
		next.Node = "node-b2"
		r.Observe(next)
		r.Observe(status("a", 7))
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second); !got.Live {
			t.Errorf("%+v", got)
		}
	})
}

func TestUnreadyReplicaIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("a", 7))
		starting := status("b", 0)
		starting.Ready = false
		r.Observe(starting)
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second); !got.Live {
			t.Errorf("%+v", got)
		}
	})
}

func TestQuarantineAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		s := status("a", 7)
		s.Quarantine = []events.Quarantined{{Service: "bad", Reason: "no"}}
		r.Observe(s)
		r.Observe(status("b", 1))
		began := time.Now()
		got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7, Key: "service/bad"}, time.Minute)
		if got.Live || got.Quarantined["a"].Reason != "no" || time.Since(began) > 0 {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		if got := wait(t, r, events.Wait{Scope: events.WaitLocal, Seq: 7, Key: "service/good"}, time.Second); !got.Live {
			t.Errorf("another service: %+v", got)
		}
	})
}

func TestOldStatusDoesNotReplaceANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		old := status("b", 1)
		time.Sleep(time.Second)
		r.Observe(status("b", 7))
		r.Observe(old)
		got := r.Replicas()
		if len(got) != 1 || got[0].Live != 7 {
			t.Errorf("%+v", got)
		}
		if !r.Follows(got[0].StreamID) || r.Follows("another") {
			t.Errorf("b follows %q", got[0].StreamID)
		}
		if !r.HasState() {
			t.Error("b has a state")
		}
	})
}

func TestReplicaThatHasNotSpokenYetIsNotLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("b", 7))
		for _, scope := range []events.Scope{events.WaitLocal, events.WaitAll} {
			if got := wait(t, r, events.Wait{Scope: scope, Seq: 7}, time.Second); got.Live {
				t.Errorf("%s, and a was never heard of: %+v", scope, got)
			}
		}
	})
}

func TestPeerWhoseClockWasSetBackIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := events.NewRoster("node-a", time.Now)
		r.Observe(status("a", 7))
		ahead := status("b", 5)
		ahead.Time = ahead.Time.Add(time.Hour)
		r.Observe(ahead)
		time.Sleep(time.Second)
		r.Observe(status("b", 7))
		if got := wait(t, r, events.Wait{Scope: events.WaitAll, Seq: 7}, time.Second); !got.Live {
			t.Errorf("%+v", got)
		}
	})
}
