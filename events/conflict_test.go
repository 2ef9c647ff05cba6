package events_test

import (
	"testing"

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
