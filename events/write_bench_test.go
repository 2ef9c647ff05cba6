package events_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/api/apitest"
)

// BenchmarkWrite measures a change from the call until it is durable in a real NATS, which
// syncs what it acknowledges to the disk, and folded here.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []struct{ writers, held int }{{1, 100}, {50, 100}, {50, 1000}, {50, 10_000}} {
		b.Run(fmt.Sprintf("writers-%d/held-%d", size.writers, size.held), func(b *testing.B) {
			r := heldReplica(b, startServer(b), size.held)
			b.ResetTimer()
			apitest.AtOnce(b, size.writers, 1, b.N, r.change(size.held))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			b.StopTimer()
		})
	}
}

// BenchmarkWriteShare lets 50 writers and 50 bare publishers take turns at one log, since a
// disk is not equally fast at all times, while somebody reads the state after every change.
// "share" is the writers' rate in the publishers'.
func BenchmarkWriteShare(b *testing.B) {
	const writers, turn = 50, 250
	for _, held := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("held-%d", held), func(b *testing.B) {
			s := startServer(b)
			r := heldReplica(b, s, held)
			js := s.jetstream()
			defer r.watched()()
			bare := func(i int) error {
				_, err := js.PublishMsg(b.Context(), bareMessage(b, i, held))
				return err
			}
			var written, published time.Duration
			b.ResetTimer()
			for from := 1; from <= b.N; from += turn {
				to := min(b.N, from+turn-1)
				published += apitest.AtOnce(b, writers, from, to, bare)
				written += apitest.AtOnce(b, writers, from, to, r.change(held))
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/published.Seconds(), "bare/s")
			b.ReportMetric(float64(b.N)/written.Seconds(), "changes/s")
			b.ReportMetric(published.Seconds()/written.Seconds(), "share")
		})
	}
}

func benchKey(i int) string { return fmt.Sprintf("service/service-%d", i) }

// watched reads the state at every change, as a proxy does, until the returned function is
// called.
func (r *replica) watched() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			changed := r.Changed()
			r.Live("")
			select {
			case <-changed:
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// change writes a version of one of the held services that it does not have yet.
func (r *replica) change(held int) func(i int) error {
	return func(i int) error {
		_, err := r.Write(r.tb.Context(), events.Change{Key: benchKey(i % held), Value: document(i + held)})
		return err
	}
}

// bareMessage is what change makes, of a process that is not under test.
func bareMessage(b *testing.B, i, held int) *nats.Msg {
	e := crdt.Entry{
		Key: benchKey(i % held), Value: document(i),
		Stamp: crdt.Stamp{HLC: uint64(time.Now().UnixMilli())<<16 | uint64(i)&0xffff, Node: 1<<63 | 7},
	}
	data, err := events.EntryEvent("bench", e).Encode()
	if err != nil {
		b.Error(err)
	}
	m := nats.NewMsg(testLog.Event(e.Key))
	m.Data = data
	m.Header.Set(jetstream.MsgIDHeader, e.Stamp.String())
	return m
}

// heldReplica holds n services, its log begins with them.
func heldReplica(b *testing.B, server *server, n int) *replica {
	b.Helper()
	m, now := crdt.NewMap(), uint64(time.Now().UnixMilli())
	for i := range n {
		m.Merge(crdt.Entry{Key: benchKey(i), Stamp: crdt.Stamp{HLC: now << 16, Node: 1 << 63}, Value: document(i)})
	}
	s := snapshot(b, m)
	s.Namespace, s.State.Ref = testLog.Namespace, now
	kept := &shelf{data: encoded(b, s)}
	r := startReplica(server, func(c *events.ReplicaConfig) {
		c.Snapshots, c.Logger = []events.Snapshots{kept}, zerolog.Nop()
		c.RestoreAfter, c.SaveAfter, c.AuditEvery = time.Minute, 0, 0 // the defaults
	})
	r.until("fresh with all", func(v events.View) bool {
		entries, _ := r.Live("")
		return v.Stale == "" && len(entries) == n
	})
	return r
}
