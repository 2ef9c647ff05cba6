package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
	"sluice/events/stream"
)

// hasCopies waits until it is known how many copies a stream has: a cluster that elects a
// leader cannot tell.
func hasCopies(tb testing.TB, js jetstream.JetStream, name string, want int) {
	tb.Helper()
	n := 0
	eventually(tb, "the copies of "+name+" are known", func() bool {
		s, err := js.Stream(tb.Context(), name)
		if err == nil {
			n = s.CachedInfo().Config.Replicas
		}
		return err == nil
	})
	if n != want {
		tb.Errorf("%s has %d copies, want %d", name, n, want)
	}
}

func fit(tb testing.TB, log *stream.Log) {
	tb.Helper()
	if err := answered(func() error { return log.Fit(tb.Context()) }); err != nil {
		tb.Fatalf("fit: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	conn := connect(t, startServer(t).ClientURL())
	for says, cfg := range map[string]stream.Config{
		"namespace": {Subjects: events.Subjects{Namespace: "A"}},
		"MaxBytes":  {Subjects: subjects, MaxBytes: 1000},
		"Replicas":  {Subjects: subjects, Replicas: 6},
	} {
		if _, err := stream.New(conn, cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("configuration %+v: %v, want it to name %s", cfg, err, says)
		}
	}
}

func TestAutomaticReplicasOfOneServer(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	open(t, log)
	fit(t, log)
	hasCopies(t, s.js(t), subjects.Stream(), 1)
	three := s.logWith(t, stream.Config{Subjects: subjects, Replicas: 3})
	if err := three.Fit(t.Context()); !errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "Replicas") {
		t.Errorf("fit three copies to one server: %v", err)
	}
	missing := s.logWith(t, stream.Config{Subjects: events.Subjects{Namespace: "other"}, MaxBytes: 1 << 20, Replicas: 3})
	if _, err := missing.Open(t.Context()); !errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "fewer copies") {
		t.Errorf("open with three copies on one server: %v", err)
	}
	if err := missing.Fit(t.Context()); !errors.Is(err, events.ErrNoLog) {
		t.Errorf("fit without stream: %v", err)
	}
}

func TestFitChangesTheSize(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	id := open(t, log).StreamID
	for i := range 8 {
		appendOne(t, log, events.Outgoing{Subject: key, ID: fmt.Sprint(i), Data: make([]byte, 100<<10)})
	}
	with := func(maxBytes int64) *stream.Log {
		return s.logWith(t, stream.Config{Subjects: subjects, MaxBytes: maxBytes})
	}
	for _, c := range []struct {
		set, want int64
		refused   bool
	}{
		{set: 0, want: 16 << 20},
		{set: 32 << 20, want: 32 << 20},
		{set: 32 << 20, want: 32 << 20},
		{set: 2 << 20, want: 2 << 20},
		{set: 600 << 10, want: 2 << 20, refused: true},
		{set: 1 << 40, want: 2 << 20, refused: true},
	} {
		err := with(c.set).Fit(t.Context())
		if (err != nil) != c.refused || err != nil && (!errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "MaxBytes")) {
			t.Errorf("fit %d: %v", c.set, err)
		}
		if info := open(t, log); info.MaxBytes != uint64(c.want) || info.StreamID != id || info.Last != 8 {
			t.Errorf("after fit to %d: %+v", c.set, info)
		}
	}
}

// An account admits less than the default: each copy is charged to it, and there must be room
// for the checkpoints beside the log.
func TestOpenLeavesRoomInTheAccount(t *testing.T) {
	s := startServer(t)
	s.stop()
	if err := s.opts.ProcessConfigString(`accounts: {A: {jetstream: {max_file: 16MB}, users: [{user: a, password: b}]}}`); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	log := newLog(t, connect(t, "nats://a:b@"+s.Addr().String()), stream.Config{Subjects: subjects})
	limit := uint64(16_000_000)
	if info := open(t, log); info.MaxBytes < limit/2 || info.MaxBytes >= limit {
		t.Errorf("log of %d bytes", info.MaxBytes)
	}
	a := stream.NewArchive(log)
	save(t, a, snapshotAt(1, 1))
	if !leaseFor(t, a, time.Minute) {
		t.Error("no lease")
	}
}

func TestAutomaticReplicasOfACluster(t *testing.T) {
	members := startCluster(t)
	conn := connect(t, urls(members))
	log := newLog(t, conn, stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
	js := members[0].js(t)
	eventually(t, "the stream has three copies", func() bool {
		if _, err := log.Open(t.Context()); err != nil || log.Fit(t.Context()) != nil {
			return false
		}
		s, err := js.Stream(t.Context(), subjects.Stream())
		return err == nil && s.CachedInfo().Config.Replicas == 3
	})
	one := newLog(t, conn, stream.Config{Subjects: subjects, Replicas: 1})
	fit(t, one)
	hasCopies(t, js, subjects.Stream(), 1) // as it says
}

// A log with one copy gets three while it is written to: every answer of Append stays true, and
// the buckets follow.
func TestFitRaisesCopiesUnderLoad(t *testing.T) {
	members := startCluster(t)
	conn := connect(t, urls(members))
	one := newLog(t, conn, stream.Config{Subjects: subjects, MaxBytes: 16 << 20, Replicas: 1})
	open(t, one)
	a := stream.NewArchive(one)
	save(t, a, snapshotAt(1, 1))
	leaseFor(t, a, time.Minute)
	js := members[0].js(t)
	names := []string{subjects.Stream(), objectStream, "KV_" + leaseBucket}
	for _, name := range names {
		hasCopies(t, js, name, 1)
	}
	log := newLog(t, conn, stream.Config{Subjects: subjects})
	open(t, log)
	results := appendDuring(t, log, func() { fit(t, log) })
	for _, name := range names {
		eventually(t, name+" has three copies that are current", func() bool {
			fit(t, log) // it leaves as it is what a busy cluster cannot raise just then
			return current(t, js, name)
		})
	}
	checkTruth(t, log, results)
	if got := list(t, a); len(got) != 1 || got[0].Anchor.Seq != 1 {
		t.Errorf("checkpoints %v", got)
	}
	fit(t, newLog(t, conn, stream.Config{Subjects: subjects}))
	hasCopies(t, js, subjects.Stream(), 3) // nothing is lowered
}

func current(tb testing.TB, js jetstream.JetStream, name string) bool {
	tb.Helper()
	s, err := js.Stream(tb.Context(), name)
	if err != nil {
		return false
	}
	info := s.CachedInfo()
	if info.Config.Replicas != 3 || info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
		return false
	}
	return info.Cluster.Replicas[0].Current && info.Cluster.Replicas[1].Current
}
