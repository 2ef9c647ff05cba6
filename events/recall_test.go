package events_test

import (
	"os"
	"testing"

	"sluice/events"
)

// A replica that starts on a log that has lost its tail gives back what its own snapshot holds.
func TestRestartedReplicaOffersWhatTheLogHasLost(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	a.put("old", `{"v":1}`)
	s.stop()
	a.stalled()
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	s.start()
	a.fresh()
	lost := a.put("young", `{"v":2}`)
	a.until("saved", func(events.View) bool { return kept.seq() >= lost.Seq })
	a.stop()
	s.stop()
	s.dir = backup
	s.start()
	b := startReplica(s, withShelf(kept))
	b.until("offered and folded", func(v events.View) bool { return v.Stale == "" && v.Pending == 0 && v.Seq >= lost.Seq })
	b.holds("young", `{"v":2}`)
	c := startReplica(s, nil)
	c.fresh()
	c.holds("young", `{"v":2}`)
}
