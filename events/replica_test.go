package events_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/events"
)

func withShelf(s *shelf) func(*events.ReplicaConfig) {
	return func(c *events.ReplicaConfig) { c.Snapshots = []events.Snapshots{s} }
}

func TestFirstInstallationStartsTheLog(t *testing.T) {
	r := startReplica(startServer(t), nil)
	r.fresh()
	got := r.put("a", `{"v":1}`)
	if got.Result != events.ResultApplied || got.Seq == 0 || got.NoOp {
		t.Errorf("receipt %+v", got)
	}
	r.holds("a", `{"v":1}`)
}

func TestEqualContentMakesNoEvent(t *testing.T) {
	r := startReplica(startServer(t), nil)
	r.fresh()
	first := r.put("a", `{"v":1}`)
	again := r.put("a", `{"v":1}`)
	if !again.NoOp || again.Seq < first.Seq {
		t.Errorf("receipt %+v after %+v", again, first)
	}
	gone, err := r.Write(t.Context(), events.Change{Key: "service/never", Delete: true})
	if err != nil || !gone.NoOp {
		t.Errorf("delete of nothing: %+v, %v", gone, err)
	}
	if v := r.View(); v.Seq != first.Seq {
		t.Errorf("the log grew to %d", v.Seq)
	}
}

func TestReplicasConverge(t *testing.T) {
	s := startServer(t)
	a := startReplica(s, nil)
	a.fresh()
	b := startReplica(s, nil)
	b.fresh()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			[]*replica{a, b}[i%2].put(fmt.Sprint("s", i%7), fmt.Sprintf(`{"v":%d}`, i))
		})
	}
	wg.Wait()
	if _, err := b.Write(t.Context(), events.Change{Key: "service/s3", Delete: true}); err != nil {
		t.Fatal(err)
	}
	end := max(a.View().Seq, b.View().Seq)
	for _, r := range []*replica{a, b} {
		r.until("at the end", func(v events.View) bool { return v.Seq >= end && v.Pending == 0 })
	}
	if x, y := a.View(), b.View(); x.Digest != y.Digest || x.Seq != y.Seq {
		t.Errorf("digests %x at %d and %x at %d", x.Digest, x.Seq, y.Digest, y.Seq)
	}
	a.holds("s3", "")
}

func TestSnapshotShortensTheStart(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	a.put("a", `{"v":1}`)
	last := a.put("b", `{"v":2}`)
	a.stop()
	if kept.seq() != last.Seq {
		t.Fatalf("the last snapshot is of %d, want %d", kept.seq(), last.Seq)
	}
	b := startReplica(s, withShelf(kept))
	b.fresh()
	b.holds("a", `{"v":1}`)
	if result, _ := b.Verdict(last.Seq); result != "" {
		t.Errorf("sequence %d was folded again: %s", last.Seq, result)
	}
}

func TestSnapshotIsSavedAfterChanges(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	last := a.put("a", `{"v":1}`)
	a.until("saved", func(events.View) bool { return kept.seq() >= last.Seq })
	if v := a.View(); v.Stale != "" {
		t.Errorf("stale after an audit: %s", v.Stale)
	}
}

func TestOutage(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	last := a.put("a", `{"v":1}`)
	a.until("saved", func(events.View) bool { return kept.seq() >= last.Seq })
	s.stop()
	a.stalled()
	a.holds("a", `{"v":1}`)
	if _, err := a.Write(t.Context(), events.Change{Key: "service/b", Value: []byte(`{}`)}); !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("write without a log: %v", err)
	}
	b := startReplica(s, withShelf(kept))
	b.until("serving the snapshot", func(v events.View) bool { return v.Restored && v.Stale != "" })
	b.holds("a", `{"v":1}`)
	s.start()
	a.fresh()
	b.fresh()
	b.put("b", `{"v":2}`)
	a.holds("b", `{"v":2}`)
	if x, y := a.View(), b.View(); x.Digest != y.Digest {
		t.Errorf("digests %x and %x", x.Digest, y.Digest)
	}
}

func TestRecreatedLogGetsTheStateBack(t *testing.T) {
	s := startServer(t)
	a, b := startReplica(s, nil), (*replica)(nil)
	a.fresh()
	a.put("a", `{"v":1}`)
	b = startReplica(s, nil)
	b.fresh()
	old := a.View().StreamID
	if err := s.jetstream().DeleteStream(t.Context(), testLog.Stream()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{a, b} {
		r.until("on the new log", func(v events.View) bool { return v.StreamID != old && v.Stale == "" && v.Pending == 0 })
		r.holds("a", `{"v":1}`)
	}
	b.put("b", `{"v":2}`)
	a.holds("b", `{"v":2}`)
	c := startReplica(s, nil)
	c.fresh()
	c.holds("a", `{"v":1}`)
}

func TestLostTailIsOfferedAgain(t *testing.T) {
	s := startServer(t)
	a := startReplica(s, nil)
	a.fresh()
	a.put("old", `{"v":1}`)
	backup := s.backup(a)
	lost := a.put("young", `{"v":2}`)
	s.stop()
	a.stalled()
	s.dir = backup // the log comes back without its newest message
	s.start()
	a.until("offered and folded", func(v events.View) bool { return v.Stale == "" && v.Pending == 0 && v.Seq >= lost.Seq })
	a.holds("young", `{"v":2}`)
	b := startReplica(s, nil)
	b.fresh()
	b.holds("young", `{"v":2}`)
	if x, y := a.View(), b.View(); x.Digest != y.Digest {
		t.Errorf("digests %x and %x", x.Digest, y.Digest)
	}
}

func TestConditions(t *testing.T) {
	r := startReplica(startServer(t), nil)
	r.fresh()
	first := r.put("a", `{"v":0}`)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			_, err := r.Write(t.Context(), events.Change{
				Key: "service/a", Value: fmt.Appendf(nil, `{"v":%d}`, i+1), IfMatch: first.Stamp.String(),
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, events.ErrPrecondition):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d writers met one If-Match", won.Load())
	}
	if _, err := r.Write(t.Context(), events.Change{Key: "service/a", Value: []byte(`{}`), IfAbsent: true}); !errors.Is(err, events.ErrPrecondition) {
		t.Errorf("create of what exists: %v", err)
	}
	if _, err := r.Write(t.Context(), events.Change{Key: "service/b", Value: []byte(`{}`), IfAbsent: true}); err != nil {
		t.Errorf("create of what is absent: %v", err)
	}
}

func TestRawEventIsLegal(t *testing.T) {
	s := startServer(t)
	r := startReplica(s, nil)
	r.fresh()
	raw := `{"specversion":"1.0","id":"1","source":"/ci","type":"sluice.service.put","subject":"service/raw","data":{"v": 7}}`
	js := s.jetstream()
	if _, err := js.Publish(t.Context(), testLog.Event("service/raw"), []byte(raw)); err != nil {
		t.Fatal(err)
	}
	r.holds("raw", `{"v":7}`)
	if _, err := js.Publish(t.Context(), testLog.Event("service/raw"), []byte(`nonsense`)); err != nil {
		t.Fatal(err)
	}
	after := r.put("b", `{"v":1}`)
	if result, reason := r.Verdict(after.Seq - 1); result != events.ResultIgnored || reason == "" {
		t.Errorf("verdict on nonsense: %q %q", result, reason)
	}
}

func TestBlankStartIsRefusedWhileAStateMayExist(t *testing.T) {
	s, kept := startServer(t), &shelf{down: true}
	r := startReplica(s, withShelf(kept))
	r.until("told why", func(v events.View) bool { return !v.Restored && v.Stale != "" && v.StreamID == "" })
	if info, err := s.jetstream().Stream(t.Context(), testLog.Stream()); err == nil && info.CachedInfo().State.LastSeq != 0 {
		t.Error("a genesis was published")
	}
	kept.set(false)
	r.fresh()
}

func TestPeerWithStateIsWaitedFor(t *testing.T) {
	s := startServer(t)
	var peer atomic.Bool
	peer.Store(true)
	r := startReplica(s, func(c *events.ReplicaConfig) { c.PeerHasState = peer.Load })
	r.until("told why", func(v events.View) bool { return !v.Restored && v.Problem != "" })
	peer.Store(false)
	r.fresh()
}

func TestNoBootstrap(t *testing.T) {
	r := startReplica(startServer(t), func(c *events.ReplicaConfig) { c.Bootstrap.Forbid = true })
	r.until("told why", func(v events.View) bool { return !v.Restored && v.Problem != "" })
}

func TestSkewedClockIsRefused(t *testing.T) {
	s := startServer(t)
	late := func(c *events.ReplicaConfig) {
		c.Wall = func() time.Time { return time.Now().Add(-40 * time.Second) }
	}
	r := startReplica(s, late)
	r.until("told why it starts no log", func(v events.View) bool {
		return !v.Restored && strings.Contains(v.Stale, "clock")
	})
	startReplica(s, nil).fresh()
	r.fresh()
	// The first write may pass: only a live message tells how far the clocks are apart.
	for range 2 {
		written, err := r.Write(t.Context(), events.Change{Key: "service/a", Value: []byte(`{}`)})
		if errors.Is(err, events.ErrClock) {
			return
		}
		r.until("it has seen what it wrote", func(v events.View) bool { return v.Seq >= written.Seq })
	}
	t.Error("a clock 40 s behind the log's was not refused")
}
