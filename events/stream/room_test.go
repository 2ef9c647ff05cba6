package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/events"
	"sluice/events/stream"
)

// startServerOf starts a server with a store of that size.
func startServerOf(tb testing.TB, maxStore int64) *testServer {
	tb.Helper()
	s := startServer(tb)
	s.stop()
	s.opts.JetStreamMaxStore = maxStore
	s.start(tb)
	return s
}

// automatic is a log whose size nobody set, and what is logged about it.
func automatic(tb testing.TB, s *testServer, namespace string) (*stream.Log, *buffer) {
	tb.Helper()
	out := &buffer{}
	conn, err := stream.Connect(stream.ConnConfig{URL: s.ClientURL(), Name: "test", Logger: zerolog.New(out)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if err := conn.WaitConnected(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return newLog(tb, conn, stream.Config{Subjects: events.Subjects{Namespace: namespace}}), out
}

// keeps makes the buckets beside a log.
func keeps(tb testing.TB, log *stream.Log) {
	tb.Helper()
	a := stream.NewArchive(log)
	if !leaseFor(tb, a, time.Minute) {
		tb.Error("no lease")
	}
	save(tb, a, snapshotAt(1, 1))
}

// A store smaller than the default gets the greatest half, quarter, … of it, and there is room for
// the checkpoints.
func TestOpenTakesTheRoomThatThereIs(t *testing.T) {
	for _, c := range []struct{ store, log, beside int64 }{
		{9 << 30, 4 << 30, 4 << 30},
		{4 << 30, 4 << 30, 3 << 30}, // all of it: a quarter is given back
		{4<<30 - 1, 2 << 30, 2 << 30},
		{134_217_728, 128 << 20, 96 << 20},
		{100 << 20, 64 << 20, 64 << 20},
		{64 << 20, 64 << 20, 48 << 20},
	} {
		t.Run(fmt.Sprint("store of ", c.store), func(t *testing.T) {
			log, out := automatic(t, startServerOf(t, c.store), subjects.Namespace)
			if got := open(t, log).MaxBytes; got != uint64(c.log) {
				t.Errorf("a new log has %d bytes, want %d", got, c.log)
			}
			if told := out.String(); (c.log < stream.DefaultMaxBytes) != strings.Contains(told, "--log-size") {
				t.Errorf("it is told %q", told)
			} else if c.log < stream.DefaultMaxBytes && (!strings.Contains(told, fmt.Sprint(`"bytes":`, c.log)) || !strings.Contains(told, fmt.Sprint("no server has room for ", 2*c.log, " bytes"))) {
				t.Errorf("size and reason are not in %q", told)
			}
			keeps(t, log)
			if got := open(t, log).MaxBytes; got != uint64(c.beside) {
				t.Errorf("beside its checkpoints the log has %d bytes, want %d", got, c.beside)
			}
		})
	}
}

func TestOpenTakesTheRoomBesideAnotherLog(t *testing.T) {
	s := startServerOf(t, 8<<30)
	for _, namespace := range []string{"one", "two"} {
		log, _ := automatic(t, s, namespace)
		open(t, log)
	}
	log, _ := automatic(t, s, "two")
	a := stream.NewArchive(log)
	if !leaseFor(t, a, time.Minute) {
		t.Error("no lease")
	}
	if got := open(t, log).MaxBytes; got != 3<<30 {
		t.Errorf("the second log has %d bytes", got)
	}
}

func TestAllWhoTakeTheRoomAtOnceGetOneLog(t *testing.T) {
	s := startServerOf(t, 128<<20)
	var all [4]events.LogInfo
	var wg sync.WaitGroup
	for i := range all {
		log, _ := automatic(t, s, subjects.Namespace)
		a := stream.NewArchive(log)
		wg.Go(func() {
			err := answered(func() (err error) { all[i], err = log.Open(t.Context()); return err })
			if err == nil { // the buckets too
				err = answered(func() error { _, err := a.Lease(t.Context(), time.Minute); return err })
			}
			if err == nil {
				err = answered(func() (err error) { all[i], err = log.Info(t.Context()); return err })
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, info := range all {
		if info.StreamID != all[0].StreamID || info.MaxBytes != 96<<20 {
			t.Errorf("one has the log %s of %d bytes, another %s of %d", info.StreamID, info.MaxBytes, all[0].StreamID, all[0].MaxBytes)
		}
	}
}

// A size that somebody set is neither halved nor shrunk.
func TestRoomThatIsMissingIsTold(t *testing.T) {
	s := startServerOf(t, 50<<20)
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "--log-size") || !strings.Contains(err.Error(), "--max-store") {
			t.Errorf("%s: %v", what, err)
		}
	}
	small, _ := automatic(t, s, subjects.Namespace)
	_, err := small.Open(t.Context())
	refused("a store that is too small for a log", err)
	_, err = s.logWith(t, stream.Config{Subjects: subjects, MaxBytes: 64 << 20}).Open(t.Context())
	refused("a log that is set larger than the store", err)

	set := s.logWith(t, stream.Config{Subjects: subjects, MaxBytes: 50 << 20})
	open(t, set)
	_, err = stream.NewArchive(set).Lease(t.Context(), time.Minute)
	refused("a log that is set as large as the store", err)
	if got := open(t, set).MaxBytes; got != 50<<20 {
		t.Errorf("it has %d bytes now", got)
	}
}

// The members of a cluster keep three copies of a smaller log rather than one of a larger one.
func TestOpenTakesTheRoomOfACluster(t *testing.T) {
	members := startCluster(t) // of 64 MiB each
	log, _ := automatic(t, members[0], subjects.Namespace)
	eventually(t, "the log is there", func() bool { _, err := log.Open(t.Context()); return err == nil })
	hasCopies(t, members[0].js(t), subjects.Stream(), 3)
	if got := open(t, log).MaxBytes; got != 64<<20 {
		t.Errorf("it has %d bytes", got)
	}
	keeps(t, log)
}
