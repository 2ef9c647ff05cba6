package events_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// Two writers that do not know of each other leave a record, whichever is stored first; one who
// knew the other's write does not.
func TestConflicts(t *testing.T) {
	log := newMemLog()
	a := runReplica(t, log, func() {}, nil)
	a.fresh()
	rival := func(r events.Receipt) (string, bool) {
		stamp, won := a.Rival(r.Seq)
		if stamp.IsZero() {
			return "", won
		}
		return stamp.String(), won
	}
	first := a.put("x", `{"v":1}`)
	if stamp, _ := rival(first); stamp != "" {
		t.Errorf("a first write competes with %s", stamp)
	}
	second := a.put("x", `{"v":2}`)
	if stamp, _ := rival(second); stamp != "" {
		t.Errorf("a write that knew the other competes with %s", stamp)
	}
	e, _ := a.Entry("service/x")
	store := func(hlc uint64, seen string) events.Receipt {
		e := put("x", e.Stamp, `{"v":3}`)
		e.Stamp.HLC, e.Stamp.Node = hlc, 1<<63|9
		event := events.EntryEvent("elsewhere", e)
		event.Seen = seen
		data, err := event.Encode()
		if err != nil {
			t.Fatal(err)
		}
		seq, err := log.Append(t.Context(), events.Outgoing{Subject: testLog.Event("service/x"), Data: data})
		if err != nil {
			t.Fatal(err)
		}
		a.until("folded", func(v events.View) bool { return v.Seq >= seq })
		return events.Receipt{Seq: seq}
	}
	for _, c := range []struct {
		name  string
		hlc   uint64
		seen  string
		rival string
		won   bool
	}{
		{"beaten", e.Stamp.HLC - 1, first.Stamp.String(), second.Stamp.String(), true},
		{"overwrites what it did not know", e.Stamp.HLC + 1, first.Stamp.String(), second.Stamp.String(), false},
		{"of a writer that does not tell", e.Stamp.HLC + 2, "", "", false},
		{"of a writer that tells nonsense", e.Stamp.HLC + 3, "7", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if stamp, won := rival(store(c.hlc, c.seen)); stamp != c.rival || won != c.won {
				t.Errorf("competes with %q, won %v; want %q, %v", stamp, won, c.rival, c.won)
			}
		})
	}
	t.Run("a key that the writer did not know", func(t *testing.T) {
		now, _ := a.Entry("service/x")
		if stamp, _ := rival(store(now.Stamp.HLC+1, "none")); stamp != now.Stamp.String() {
			t.Errorf("competes with %q, want %s", stamp, now.Stamp)
		}
	})
}

// Two replicas accept changes of one key without the log and without hearing each other: the
// loser gets into no log, so whoever meets both keeps the record.
func TestContests(t *testing.T) {
	a := runReplica(t, newMemLog(), func() {}, func(c *events.ReplicaConfig) { c.Journal = &pad{} })
	a.fresh()
	now := uint64(time.Now().UnixMilli())
	change := func(ms uint64, node uint64, seen string) events.Event {
		e := put("x", crdt.Stamp{HLC: ms << 16, Node: 1<<63 | node}, fmt.Sprintf(`{"v":%d}`, node))
		event := events.EntryEvent("elsewhere", e)
		event.Seen, event.Actor = seen, fmt.Sprint("actor-", node)
		return event
	}
	first := change(now-300, 1, "none")
	for _, event := range []events.Event{
		first,
		change(now-200, 2, first.Stamp.String()), // knew the first
		change(now-100, 3, first.Stamp.String()), // did not know the second
		change(now-150, 4, "none"),               // comes late
		change(now-150, 4, "none"),               // and again
	} {
		a.Admit([]events.Event{event})
	}
	var got []string
	for _, r := range a.Contests() {
		got = append(got, fmt.Sprintf("%s of %s lost to %s: %v %s", r.Key, r.Actor, r.Conflict.Actor, r.Conflict.Won, r.Result))
	}
	want := []string{"service/x of actor-2 lost to actor-3: true beaten", "service/x of actor-4 lost to actor-3: true beaten"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A clock that is known to be wrong makes no promises that the log will break, with the log or
// without it.
func TestWrongClockIsRefusedWithoutTheLogToo(t *testing.T) {
	s := startServer(t)
	var off atomic.Int64
	a := startReplica(s, func(c *events.ReplicaConfig) {
		c.Journal = &pad{}
		c.Wall = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	})
	b := startReplica(s, nil)
	a.fresh()
	b.fresh()
	off.Store(int64(10 * time.Minute))
	b.put("tells the time", `{}`)
	a.until("told", func(v events.View) bool { return strings.Contains(v.Problem, "clock") })
	write := func(when string) {
		t.Helper()
		if _, err := a.Write(t.Context(), events.Change{Key: "service/a", Value: []byte(`{}`)}); !errors.Is(err, events.ErrClock) {
			t.Errorf("%s: %v", when, err)
		}
	}
	write("with the log")
	s.stop()
	a.stalled()
	write("without the log")
	if v := a.View(); v.Pending > 0 {
		t.Errorf("%d pending", v.Pending)
	}
}
