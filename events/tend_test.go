package events_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/stream"
)

// keeper is a replica whose checkpoints come within fractions of a second.
func keeper(s *server, change func(*events.ReplicaConfig)) (*replica, *stream.Archive) {
	var archive *stream.Archive
	r := startReplicaOn(s, func(c *events.ReplicaConfig, log *stream.Log) {
		archive = stream.NewArchive(log)
		c.Archive, c.CheckpointEvery = archive, 600*time.Millisecond
		if change != nil {
			change(c)
		}
	})
	return r, archive
}

// checkpointsIn waits until the archive has at least n checkpoints and returns their sequences, sorted.
func checkpointsIn(r *replica, a *stream.Archive, n int) []uint64 {
	r.tb.Helper()
	var seqs []uint64
	r.until(fmt.Sprintf("%d checkpoints are kept", n), func(events.View) bool {
		list, err := a.List(r.tb.Context())
		if err != nil && !errors.Is(err, events.ErrUnavailable) {
			r.tb.Fatal(err)
		}
		seqs = seqs[:0]
		for _, c := range list {
			if c.StreamID != "" { // else it is being written
				seqs = append(seqs, c.Anchor.Seq)
			}
		}
		slices.Sort(seqs)
		return len(seqs) >= n
	})
	return seqs
}

// A changing state is kept beside the log. When the head of the log is gone, who has nothing, and
// who was away for long, go on from there.
func TestCheckpoints(t *testing.T) {
	s, old := startServer(t), &shelf{}
	away := startReplica(s, withShelf(old))
	away.fresh()
	away.put("old", `{"v":1}`)
	away.stop()

	a, archive := keeper(s, nil)
	a.fresh()
	for i := range 3 {
		a.put("new", fmt.Sprintf(`{"v":%d}`, i))
		checkpointsIn(a, archive, i+1)
	}
	seqs := checkpointsIn(a, archive, 3)
	a.stop()
	s.trim(seqs[len(seqs)-3])

	b, _ := keeper(s, nil)
	c, _ := keeper(s, withShelf(old))
	for _, r := range []*replica{b, c} {
		r.fresh()
		r.holds("old", `{"v":1}`)
		r.holds("new", `{"v":2}`)
	}
	if x, y, z := a.View(), b.View(), c.View(); x.Digest != y.Digest || x.Digest != z.Digest {
		t.Errorf("digests %x, %x, %x", x.Digest, y.Digest, z.Digest)
	}
	if result, _ := b.Verdict(seqs[len(seqs)-1]); result != "" {
		t.Errorf("the newest checkpoint was not used: it was folded to %s", result)
	}
}

// Checkpoints of other logs and of lost branches make room once there are enough others.
func TestForeignCheckpointsAreForgotten(t *testing.T) {
	s := startServer(t)
	a, archive := keeper(s, nil)
	a.fresh()
	foreign := snapshot(t, crdt.NewMap())
	foreign.Namespace = testLog.Namespace
	if err := archive.Save(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		a.put("a", fmt.Sprintf(`{"v":%d}`, i))
		checkpointsIn(a, archive, min(i+2, 3)) // the foreign one among them, until it goes
	}
	a.until("the foreign one is forgotten", func(events.View) bool {
		return !slices.Contains(checkpointsIn(a, archive, 3), foreign.State.Anchor.Seq)
	})
}
