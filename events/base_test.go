package events_test

import (
	"context"
	"testing"

	"sluice/events"
)

// Who was away while the log lost its head goes on from the state of a replica that was not, and
// offers what only it has.
func TestBaseFromAnotherReplica(t *testing.T) {
	s, old := startServer(t), &shelf{}
	away := startReplica(s, withShelf(old))
	away.fresh()
	away.put("old", `{"v":1}`)
	away.stop()
	audited := &shelf{}
	there := startReplica(s, withShelf(audited))
	there.fresh()
	last := there.put("new", `{"v":2}`)
	there.until("audited to the end", func(events.View) bool { return audited.seq() >= last.Seq })
	s.trim(last.Seq)
	var asked, fitting int
	away = startReplica(s, func(c *events.ReplicaConfig) {
		c.Snapshots, c.Journal = []events.Snapshots{old}, &pad{}
		c.PeerState = func(_ context.Context, fits func(events.Position) bool) (events.Transfer, bool) {
			t, ok := there.Export()
			if asked++; !ok || !fits(t.Position()) {
				return events.Transfer{}, false
			}
			fitting++
			wrong := t.Position()
			wrong.Anchor.Time++
			return t, !fits(wrong)
		}
	})
	away.fresh()
	away.holds("old", `{"v":1}`)
	away.holds("new", `{"v":2}`)
	if x, y := away.View(), there.View(); x.Digest != y.Digest || fitting == 0 {
		t.Errorf("digests %x and %x, asked %d times, %d fitted", x.Digest, y.Digest, asked, fitting)
	}
}
