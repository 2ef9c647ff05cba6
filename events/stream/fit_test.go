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

// copiesOf is how many copies a stream has, 0 if that is not known now.
func copiesOf(tb testing.TB, js jetstream.JetStream, name string) int {
	tb.Helper()
	s, err := js.Stream(tb.Context(), name)
	if err != nil {
		return 0
	}
	return s.CachedInfo().Config.Replicas
}

func openEventually(tb testing.TB, log *stream.Log) {
	tb.Helper()
	eventually(tb, "the log is open", func() bool {
		_, err := log.Open(tb.Context())
		if err != nil && !errors.Is(err, events.ErrUnavailable) {
			tb.Fatal(err)
		}
		return err == nil
	})
}

func fit(tb testing.TB, log *stream.Log) {
	tb.Helper()
	eventually(tb, "the log is fitted", func() bool {
		err := log.Fit(tb.Context())
		if err != nil && !errors.Is(err, events.ErrUnavailable) {
			tb.Fatal(err)
		}
		return err == nil
	})
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
	if n := copiesOf(t, s.js(t), subjects.Stream()); n != 1 {
		t.Errorf("%d copies", n)
	}
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
	if held, err := a.Lease(t.Context(), time.Minute); err != nil || !held {
		t.Errorf("lease: %v, %v", held, err)
	}
}

func TestAutomaticReplicasOfACluster(t *testing.T) {
	members := startCluster(t)
	conn := connect(t, urls(members))
	log := newLog(t, conn, stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
	eventually(t, "the stream has three copies", func() bool {
		if _, err := log.Open(t.Context()); err != nil {
			return false
		}
		return log.Fit(t.Context()) == nil && copiesOf(t, members[0].js(t), subjects.Stream()) == 3
	})
	js := members[0].js(t)
	one := newLog(t, conn, stream.Config{Subjects: subjects, Replicas: 1})
	fit(t, one)
	if n := copiesOf(t, js, subjects.Stream()); n != 1 {
		t.Errorf("explicitly one: %d copies", n)
	}
}

// A log with one copy gets three while it is written to: every answer of Append stays true, and
// the buckets follow.
func TestFitRaisesCopiesUnderLoad(t *testing.T) {
	members := startCluster(t)
	conn := connect(t, urls(members))
	one := newLog(t, conn, stream.Config{Subjects: subjects, MaxBytes: 16 << 20, Replicas: 1})
	openEventually(t, one)
	a := stream.NewArchive(one)
	saveEventually(t, a, snapshotAt(1, 1))
	if _, err := a.Lease(t.Context(), time.Minute); err != nil {
		t.Errorf("lease: %v", err)
	}
	js := members[0].js(t)
	names := []string{subjects.Stream(), objectStream, "KV_" + leaseBucket}
	for _, name := range names {
		if n := copiesOf(t, js, name); n != 1 {
			t.Errorf("%s begins with %d copies", name, n)
		}
	}
	log := newLog(t, conn, stream.Config{Subjects: subjects})
	openEventually(t, log)
	results := appendDuring(t, log, func() { fit(t, log) })
	for _, name := range names {
		eventually(t, name+" has three copies that are current", func() bool { return current(t, js, name) })
	}
	checkTruth(t, log, results)
	if got := list(t, a); len(got) != 1 || got[0].Anchor.Seq != 1 {
		t.Errorf("checkpoints %v", got)
	}
	fit(t, newLog(t, conn, stream.Config{Subjects: subjects}))
	if n := copiesOf(t, js, subjects.Stream()); n != 3 {
		t.Errorf("lowered to %d", n)
	}
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
