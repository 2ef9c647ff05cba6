package events_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"sluice/crdt/hlc"
	"sluice/deploy/testport"
	"sluice/events"
	"sluice/events/broker"
	"sluice/events/stream"
)

// patience bounds every wait of the tests.
const patience = time.Minute

// testLog names the log of the tests against a real NATS.
var testLog = events.Subjects{Namespace: "test"}

// server is a real NATS on a port of its own that can be stopped and started again.
type server struct {
	tb     testing.TB
	dir    string
	listen string
	broker *broker.Server
}

func startServer(tb testing.TB) *server {
	s := &server{tb: tb, dir: tb.TempDir(), listen: testport.FreeAddr(tb)}
	s.start()
	tb.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.tb.Helper()
	b, err := broker.Start(s.tb.Context(), broker.Config{StoreDir: s.dir, Listen: s.listen, Logger: zerolog.Nop()})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.broker = b
}

func (s *server) stop() {
	if s.broker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.broker.Shutdown(ctx); err != nil {
		s.tb.Error(err)
	}
	s.broker = nil
}

func (s *server) jetstream() jetstream.JetStream {
	s.tb.Helper()
	nc, err := nats.Connect("nats://"+s.listen, nats.Timeout(patience))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		s.tb.Fatal(err)
	}
	return js
}

// trim removes the log's head, whatever needs it.
func (s *server) trim(first uint64) {
	s.tb.Helper()
	log, err := s.jetstream().Stream(s.tb.Context(), testLog.Stream())
	if err == nil {
		err = log.Purge(s.tb.Context(), jetstream.WithPurgeSequence(first))
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

// backup copies the store of a server that r follows and that goes on afterwards.
func (s *server) backup(r *replica) string {
	s.tb.Helper()
	s.stop()
	r.stalled()
	dir := s.tb.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		s.tb.Fatal(err)
	}
	s.start()
	r.fresh()
	return dir
}

// shelf is a snapshot store in memory that can be out of reach.
type shelf struct {
	mu   sync.Mutex
	data []byte
	down bool
}

var errDown = errors.New("the shelf is out of reach")

func (s *shelf) Name() string { return "shelf" }

func (s *shelf) Save(_ context.Context, snap events.Snapshot) error {
	data, err := snap.Encode()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	s.data = data
	return err
}

func (s *shelf) Load(context.Context) (events.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return events.Snapshot{}, errDown
	case s.data == nil:
		return events.Snapshot{}, events.ErrNoSnapshot
	}
	return events.DecodeSnapshot(s.data)
}

func (s *shelf) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *shelf) fill(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
}

func (s *shelf) seq() uint64 {
	snap, err := s.Load(context.Background())
	if err != nil {
		return 0
	}
	return snap.State.Seq()
}

// replica is a running Replica.
type replica struct {
	*events.Replica
	tb   testing.TB
	stop func()
}

func startReplica(s *server, change func(*events.ReplicaConfig)) *replica {
	s.tb.Helper()
	return startReplicaOn(s, func(c *events.ReplicaConfig, _ *stream.Log) {
		if change != nil {
			change(c)
		}
	})
}

// startReplicaOn lets the test see the log that the replica follows.
func startReplicaOn(s *server, change func(*events.ReplicaConfig, *stream.Log)) *replica {
	tb := s.tb
	tb.Helper()
	conn, err := stream.Connect(stream.ConnConfig{URL: "nats://" + s.listen, Name: "test", Logger: zerolog.Nop()})
	if err != nil {
		tb.Fatal(err)
	}
	log, err := stream.New(conn, stream.Config{Subjects: testLog, MaxBytes: 64 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	return runReplica(tb, log, func() { _ = conn.Close() }, func(c *events.ReplicaConfig) { change(c, log) })
}

// runReplica runs a replica on any log; after it has stopped, closeLog is called.
func runReplica(tb testing.TB, log events.Log, closeLog func(), change func(*events.ReplicaConfig)) *replica {
	tb.Helper()
	node, err := hlc.NewNode(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := events.ReplicaConfig{
		Subjects: testLog, Name: fmt.Sprintf("r%x", node&0xfff), Node: node, Log: log,
		RestoreAfter: 300 * time.Millisecond, SaveAfter: 50 * time.Millisecond, AuditEvery: time.Second,
		Logger: zerolog.New(zerolog.NewTestWriter(tb)),
	}
	if change != nil {
		change(&cfg)
	}
	r, err := events.NewReplica(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				tb.Error(err)
			}
			closeLog()
		})
	}
	tb.Cleanup(stop)
	return &replica{r, tb, stop}
}

// until waits for a condition on the view.
func (r *replica) until(what string, ok func(events.View) bool) {
	r.tb.Helper()
	deadline := time.After(patience)
	for {
		changed := r.Changed()
		v := r.View()
		if ok(v) {
			return
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			r.tb.Fatalf("waited in vain until %s: %+v", what, v)
		}
	}
}

func (r *replica) fresh() {
	r.tb.Helper()
	r.until("fresh", func(v events.View) bool { return v.Restored && v.Stale == "" })
}

func (r *replica) stalled() {
	r.tb.Helper()
	r.until("stale", func(v events.View) bool { return v.Stale != "" })
}

func (r *replica) put(name, doc string) events.Receipt {
	r.tb.Helper()
	change := events.Change{Key: "service/" + name, Value: []byte(doc), Actor: "test", Origin: "api"}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		receipt, err := r.Write(r.tb.Context(), change)
		if err == nil {
			return receipt
		}
		// A machine that stands still for seconds interrupts the log.
		silent := errors.Is(err, events.ErrUnavailable) || errors.Is(err, events.ErrUnknownOutcome)
		if !silent || time.Now().After(deadline) {
			r.tb.Fatalf("put %s: %v", name, err)
		}
	}
}

// holds waits until name is visible with doc; "" means not live.
func (r *replica) holds(name, doc string) {
	r.tb.Helper()
	r.until(name+" is "+doc, func(events.View) bool {
		e, _ := r.Entry("service/" + name)
		return e.Live() == (doc != "") && string(e.Value) == doc
	})
}
