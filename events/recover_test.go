package events_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/stream"
)

// A log without state begins, on an operator's word, with one that is older than removals are
// remembered; nobody else's word is needed, and there is no second time.
func TestBeginLog(t *testing.T) {
	long := uint64(time.Now().Add(-90 * 24 * time.Hour).UnixMilli())
	m := crdt.NewMap()
	m.Merge(crdt.Entry{Key: "service/old", Stamp: crdt.Stamp{HLC: long << 16, Node: 1 << 63}, Value: []byte(`{"v":1}`)})
	snap := snapshot(t, m)
	snap.Namespace, snap.State.Ref = testLog.Namespace, long
	a := startReplica(startServer(t), func(c *events.ReplicaConfig) {
		c.Snapshots, c.Bootstrap.Forbid = []events.Snapshots{&shelf{data: encoded(t, snap)}}, true
	})
	a.until("told what to do", func(v events.View) bool { return strings.Contains(v.Problem, "sluice recover begin-log") })
	if err := a.NewLog(t.Context()); !errors.Is(err, events.ErrNothingToRecover) {
		t.Errorf("delete a log that is whole: %v", err)
	}
	if err := a.BeginLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.fresh()
	a.holds("old", `{"v":1}`)
	a.put("new", `{"v":2}`)
	if v := a.View(); v.Problem != "" || v.Rejected > 0 {
		t.Errorf("problem %q, %d given up", v.Problem, v.Rejected)
	}
	if err := a.BeginLog(t.Context()); !errors.Is(err, events.ErrNothingToRecover) {
		t.Errorf("begin it again: %v", err)
	}
}

func TestBeginLogNeedsAState(t *testing.T) {
	a := startReplica(startServer(t), func(c *events.ReplicaConfig) { c.Bootstrap.Forbid = true })
	a.until("told", func(v events.View) bool { return v.Problem != "" })
	if err := a.BeginLog(t.Context()); !errors.Is(err, events.ErrNotReady) {
		t.Errorf("begin a log with nothing: %v", err)
	}
}

// The head of the log is gone, and nothing fits what is left: on an operator's word the log is
// deleted and begins anew with the state of the replica that was asked.
func TestNewLog(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	a.put("a", `{"v":1}`)
	a.stop()
	b := startReplica(s, nil)
	b.fresh()
	last := b.put("b", `{"v":2}`)
	b.stop()
	s.trim(last.Seq + 1)
	a = startReplicaOn(s, func(c *events.ReplicaConfig, log *stream.Log) {
		c.Snapshots, c.Archive = []events.Snapshots{kept}, stream.NewArchive(log)
	})
	a.until("told what to do", func(v events.View) bool { return strings.Contains(v.Problem, "sluice recover new-log") })
	a.holds("a", `{"v":1}`)
	c := startReplica(s, nil)
	c.until("told too", func(v events.View) bool { return strings.Contains(v.Problem, "sluice recover new-log") })
	if err := c.NewLog(t.Context()); !errors.Is(err, events.ErrNotReady) {
		t.Errorf("new log from a replica without state: %v", err)
	}
	if err := a.BeginLog(t.Context()); !errors.Is(err, events.ErrNothingToRecover) {
		t.Errorf("begin a log that has begun: %v", err)
	}
	other := startReplicaOn(s, func(cfg *events.ReplicaConfig, log *stream.Log) {
		cfg.Snapshots, cfg.Archive = []events.Snapshots{kept}, stream.NewArchive(log)
	})
	other.until("told too", func(v events.View) bool { return strings.Contains(v.Problem, "sluice recover new-log") })
	if err := a.NewLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{a, other} { // whoever asks again, before or after a new log is there
		if err := r.NewLog(t.Context()); !errors.Is(err, events.ErrNothingToRecover) {
			t.Errorf("delete it again: %v", err)
		}
	}
	for _, r := range []*replica{a, c, other} {
		r.fresh()
		r.holds("a", `{"v":1}`)
		r.holds("b", "")
	}
	if v := a.View(); v.Problem != "" {
		t.Errorf("still told: %s", v.Problem)
	}
}

// Before a log has begun, somebody writes a genesis into it that no program understands.
func TestNewLogAfterAGenesisOfNoVersion(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	var peer, follows atomic.Bool
	forbidden := startReplica(s, func(c *events.ReplicaConfig) { c.Bootstrap.Forbid = true })
	forbidden.until("there is a log", func(v events.View) bool { return v.Problem != "" })
	poison := func() {
		t.Helper()
		genesis := `{"specversion":"1.0","id":"x","source":"/hand","type":"sluice.genesis","data":{"version":99}}`
		if _, err := s.jetstream().Publish(t.Context(), testLog.Control(events.ControlGenesis), []byte(genesis)); err != nil {
			t.Fatal(err)
		}
	}
	told := func(r *replica) {
		t.Helper()
		r.until("told what to do", func(v events.View) bool { return strings.Contains(v.Problem, "sluice recover new-log") })
	}
	poison()
	a := startReplicaOn(s, func(c *events.ReplicaConfig, log *stream.Log) {
		c.Snapshots, c.Archive = []events.Snapshots{kept}, stream.NewArchive(log)
		c.AuditEvery = 200 * time.Millisecond
		c.PeerHasState, c.PeerFollows = peer.Load, func(string) bool { return follows.Load() }
	})
	told(a)
	refuses := func(why string, cond *atomic.Bool, want error) {
		t.Helper()
		cond.Store(true)
		defer cond.Store(false)
		a.until("refused: "+why, func(events.View) bool {
			err := a.NewLog(t.Context())
			return errors.Is(err, want) && strings.Contains(err.Error(), why)
		})
	}
	refuses("another replica reads the log", &follows, events.ErrNothingToRecover)
	refuses("ask one that has a state", &peer, events.ErrNotReady)
	a.until("deleted", func(events.View) bool { return a.NewLog(t.Context()) == nil })
	a.fresh()
	a.put("a", `{"v":1}`)
	a.until("saved", func(v events.View) bool { return kept.seq() == v.Seq })
	if v := a.View(); v.Problem != "" {
		t.Errorf("still told: %s", v.Problem)
	}
}
