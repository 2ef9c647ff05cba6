package events_test

import (
	"fmt"
	"testing"

	"sluice/events"
)

// A replica that starts on a log that has lost its tail gives back what its own snapshot holds,
// also if another place has a newer one, of the branch that went on.
func TestRestartedReplicaOffersWhatTheLogHasLost(t *testing.T) {
	for _, further := range []bool{false, true} {
		t.Run(fmt.Sprintf("the other branch went further %v", further), func(t *testing.T) { restartOnALostTail(t, further) })
	}
}

func restartOnALostTail(t *testing.T, further bool) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	a.put("old", `{"v":1}`)
	backup := s.backup(a)
	lost := a.put("young", `{"v":2}`)
	a.until("saved", func(events.View) bool { return kept.seq() >= lost.Seq })
	a.stop()
	s.stop()
	s.dir = backup
	s.start()
	stores := []events.Snapshots{kept}
	if further {
		other := &shelf{}
		c := startReplica(s, withShelf(other))
		c.fresh()
		c.put("more", `{"v":1}`)
		last := c.put("more", `{"v":2}`)
		c.until("saved", func(events.View) bool { return other.seq() >= last.Seq })
		c.stop()
		stores = append(stores, other)
	}
	b := startReplica(s, func(c *events.ReplicaConfig) { c.Snapshots, c.Journal = stores, &pad{} })
	b.until("offered and folded", func(v events.View) bool { return v.Stale == "" && v.Pending == 0 && v.Seq >= lost.Seq })
	b.holds("young", `{"v":2}`)
	c := startReplica(s, nil)
	c.fresh()
	c.holds("young", `{"v":2}`)
}
