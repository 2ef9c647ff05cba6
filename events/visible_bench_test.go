package events_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"sluice/events"
	"sluice/events/gossip"
)

// diskJournal costs what a journal costs: each change is on the disk before it is answered.
type diskJournal struct {
	mu   sync.Mutex
	file *os.File
}

func (j *diskJournal) Append(list []events.Event) error {
	data, err := events.EncodeEvents(list)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(data)
	return errors.Join(err, j.file.Sync())
}

func (*diskJournal) Load() ([]events.Event, error)       { return nil, nil }
func (*diskJournal) Mark() uint64                        { return 0 }
func (*diskJournal) Forget(uint64, []events.Event) error { return nil }
func (*diskJournal) Crowded() bool                       { return false }

// toldReplica tells others of its changes without the log, over mesh.
func toldReplica(b *testing.B, log, mesh *server, i int) *replica {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { file.Close() })
	nc, err := nats.Connect("nats://" + mesh.listen)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	var x *gossip.Exchange
	r := startReplica(log, func(c *events.ReplicaConfig) {
		c.Logger, c.Journal = zerolog.Nop(), &diskJournal{file: file}
		c.Broadcast = func(list []events.Event) { x.Broadcast(list) }
	})
	x, err = gossip.NewExchange(gossip.ExchangeConfig{
		Ways: []gossip.Way{{Name: "mesh", NATS: nc}}, Subjects: testLog, Node: fmt.Sprint(i), Name: fmt.Sprint(i), Peers: func() []string { return nil }, Store: r.Replica, Log: zerolog.Nop(),
	})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = x.Run(b.Context()) }()
	return r
}

// BenchmarkVisible is the time from the call of a change at one of five replicas until all of them
// show it: with the log, and by telling each other without it.
func BenchmarkVisible(b *testing.B) {
	for _, with := range []bool{true, false} {
		b.Run(map[bool]string{true: "log", false: "told"}[with], func(b *testing.B) {
			log, mesh := startServer(b), startServer(b)
			var replicas []*replica
			for i := range 5 {
				replicas = append(replicas, toldReplica(b, log, mesh, i))
				replicas[i].fresh()
			}
			if !with {
				log.stop()
				for _, r := range replicas {
					r.stalled()
				}
			}
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				want, began := document(i), time.Now()
				receipt, err := replicas[i%5].Write(b.Context(), events.Change{Key: benchKey(i % 100), Value: want})
				if err != nil || with != (receipt.Seq > 0) {
					b.Fatalf("%+v, %v", receipt, err)
				}
				for _, r := range replicas {
					r.until("it is there", func(events.View) bool {
						e, _ := r.Entry(benchKey(i % 100))
						return string(e.Value) == string(want)
					})
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
}
