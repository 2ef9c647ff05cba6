package stream_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sluice/events"
	"sluice/events/stream"
)

// One of three servers is gone, the leader of one of the archive's parts: everything goes on
// after the election, and nothing is lost.
func TestArchiveLosesAMember(t *testing.T) {
	for _, part := range []string{subjects.Stream(), objectStream, "KV_" + leaseBucket} {
		t.Run("leader of "+part, func(t *testing.T) {
			members := startCluster(t)
			conn := connect(t, urls(members))
			cfg := stream.Config{Subjects: subjects, MaxBytes: 16 << 20, Replicas: 3}
			log := newLog(t, conn, cfg)
			open(t, log)
			archives := []*stream.Archive{stream.NewArchive(log), stream.NewArchive(newLog(t, conn, cfg))}
			a := archives[0]
			for i := range 6 {
				appendOne(t, log, events.Outgoing{Subject: key, ID: fmt.Sprint(i), Data: []byte("x")})
			}
			save(t, a, snapshotAt(2, 400))
			eventually(t, "the lease is held", func() bool { return tryLease(t, a) })
			js := members[0].js(t)
			for _, name := range []string{objectStream, "KV_" + leaseBucket} {
				hasCopies(t, js, name, 3)
			}
			stopLeader(t, members, part)

			checkExclusive(t, contend(t, archives))
			eventually(t, "the checkpoint is listed", func() bool {
				got, err := a.List(t.Context())
				return err == nil && len(got) == 1 && got[0].Anchor.Seq == 2
			})
			save(t, a, snapshotAt(4, 400))
			got := map[uint64]string{}
			eventually(t, "both are listed", func() bool {
				list, err := a.List(t.Context())
				for _, c := range list {
					got[c.Anchor.Seq] = c.Name
				}
				return err == nil && len(list) == 2
			})
			for _, want := range []events.Snapshot{snapshotAt(2, 400), snapshotAt(4, 400)} {
				var back events.Snapshot
				eventually(t, "it is loaded", func() (ok bool) {
					s, err := a.Load(t.Context(), got[want.State.Seq()])
					back = s
					return err == nil
				})
				if !bytes.Equal(encode(t, back), encode(t, want)) {
					t.Errorf("checkpoint of %d came back differently", want.State.Seq())
				}
			}
			eventually(t, "one is removed", func() bool {
				err := a.Remove(t.Context(), got[2])
				list, listErr := a.List(t.Context())
				return err == nil && listErr == nil && len(list) == 1 && list[0].Name == got[4]
			})
			eventually(t, "the log is trimmed", func() bool {
				info, err := log.Info(t.Context())
				return err == nil && a.Trim(t.Context(), info.StreamID, 4) == nil
			})
			eventually(t, "4 and later are left", func() bool {
				info, err := log.Info(t.Context())
				return err == nil && info.First == 4 && info.Last == 6
			})
		})
	}
}

// tryLease bears that a bucket has no leader yet.
func tryLease(tb testing.TB, a *stream.Archive) bool {
	tb.Helper()
	held, err := a.Lease(tb.Context(), 0)
	if err != nil && !errors.Is(err, events.ErrUnavailable) {
		tb.Fatal(err)
	}
	return held
}

// stopLeader returns who it was.
func stopLeader(tb testing.TB, members []*testServer, name string) (leader int) {
	tb.Helper()
	eventually(tb, name+" has a leader", func() bool {
		leader = slices.IndexFunc(members, func(m *testServer) bool { return m.JetStreamIsStreamLeader("$G", name) })
		return leader >= 0
	})
	members[leader].stop()
	return leader
}
