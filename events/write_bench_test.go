package events_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/events"
)

// BenchmarkWrite measures a change from the call until it is durable in a real NATS, which
// syncs what it acknowledges to the disk, and folded here. The bare publishers show what the
// log itself takes.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 50} {
		b.Run(fmt.Sprintf("bare/writers-%d", writers), func(b *testing.B) {
			js := bareLog(b)
			changes(b, writers, func(i int) error {
				_, err := js.PublishMsg(b.Context(), bareMessage(b, i))
				return err
			})
		})
	}
	b.Run("bare/window-256", func(b *testing.B) {
		js := bareLog(b, jetstream.WithPublishAsyncMaxPending(256))
		changes(b, 1, func(i int) error {
			_, err := js.PublishMsgAsync(bareMessage(b, i), jetstream.WithStallWait(10*time.Second))
			if i == b.N {
				<-js.PublishAsyncComplete()
			}
			return err
		})
	})
	for _, size := range []struct{ writers, held int }{{1, 100}, {50, 100}, {50, 1000}, {50, 10_000}} {
		b.Run(fmt.Sprintf("replica/writers-%d/held-%d", size.writers, size.held), func(b *testing.B) {
			r := heldReplica(b, size.held)
			changes(b, size.writers, func(i int) error {
				_, err := r.Write(b.Context(), events.Change{Key: benchKey(i % size.held), Value: document(i)})
				return err
			})
		})
	}
}

// changes makes b.N changes, numbered from 1, by that many writers at once.
func changes(b *testing.B, writers int, change func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := change(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	b.StopTimer()
}

func benchKey(i int) string { return fmt.Sprintf("service/service-%d", i) }

// bareLog is an empty log without a replica.
func bareLog(b *testing.B, opts ...jetstream.JetStreamOpt) jetstream.JetStream {
	b.Helper()
	s := startServer(b)
	r := startReplica(s, func(c *events.ReplicaConfig) { c.Logger = zerolog.Nop() })
	r.fresh()
	r.stop()
	nc, err := nats.Connect("nats://" + s.listen)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc, opts...)
	if err != nil {
		b.Fatal(err)
	}
	return js
}

func bareMessage(b *testing.B, i int) *nats.Msg {
	e := crdt.Entry{Key: benchKey(i), Stamp: at(uint64(i), 1), Value: document(i)}
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
func heldReplica(b *testing.B, n int) *replica {
	b.Helper()
	m, now := crdt.NewMap(), uint64(time.Now().UnixMilli())
	for i := range n {
		m.Merge(crdt.Entry{Key: benchKey(i), Stamp: crdt.Stamp{HLC: now << 16, Node: 1 << 63}, Value: document(i)})
	}
	s := snapshot(b, m)
	s.Namespace, s.State.Ref = testLog.Namespace, now
	kept := &shelf{data: encoded(b, s)}
	r := startReplica(startServer(b), func(c *events.ReplicaConfig) {
		c.Snapshots, c.Logger = []events.Snapshots{kept}, zerolog.Nop()
		c.RestoreAfter, c.SaveAfter, c.AuditEvery = time.Minute, 0, 0 // the defaults
	})
	r.until("fresh with all", func(v events.View) bool {
		entries, _ := r.Live("")
		return v.Stale == "" && len(entries) == n
	})
	return r
}
