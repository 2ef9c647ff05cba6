package stream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"sluice/deploy/testport"
	"sluice/events"
	"sluice/events/stream"
)

// TestMain looks for goroutines that this package left behind. A NATS server that is shut down
// while it makes a store (a batch that arrives just then, a member's copy of a stream) forgets
// to close it; what runs for such a store is the server's own.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	)
}

var subjects = events.Subjects{Namespace: "edge-1"}

// patience bounds every wait of the tests.
const patience = 30 * time.Second

// testServer is a real NATS server that can be stopped and started again on its store.
type testServer struct {
	*server.Server
	opts *server.Options
}

func startServer(tb testing.TB) *testServer {
	tb.Helper()
	s := &testServer{opts: &server.Options{
		Host: "127.0.0.1", Port: testport.Free(tb), NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: tb.TempDir(), JetStreamMaxStore: 64 << 20, JetStreamMaxMemory: 16 << 20, SyncAlways: true,
	}}
	s.start(tb)
	tb.Cleanup(s.stop)
	return s
}

func (s *testServer) start(tb testing.TB) {
	tb.Helper()
	made, err := server.NewServer(s.opts)
	if err != nil {
		tb.Fatal(err)
	}
	made.Start()
	if !made.ReadyForConnections(patience) {
		tb.Fatal("the NATS server did not start")
	}
	s.Server = made
}

func (s *testServer) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

func (s *testServer) js(tb testing.TB) jetstream.JetStream {
	tb.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(patience))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

func (s *testServer) log(tb testing.TB) *stream.Log {
	tb.Helper()
	return s.logWith(tb, stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
}

func (s *testServer) logWith(tb testing.TB, cfg stream.Config) *stream.Log {
	tb.Helper()
	return newLog(tb, connect(tb, s.ClientURL()), cfg)
}

func connect(tb testing.TB, url string) *stream.Conn {
	tb.Helper()
	conn, err := stream.Connect(stream.ConnConfig{URL: url, Name: "test", Logger: zerolog.Nop()})
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := conn.WaitConnected(ctx); err != nil {
		tb.Fatal(err)
	}
	return conn
}

func newLog(tb testing.TB, conn *stream.Conn, cfg stream.Config) *stream.Log {
	tb.Helper()
	log, err := stream.New(conn, cfg)
	if err != nil {
		tb.Fatalf("new log: %v", err)
	}
	return log
}

// answered calls again while the server does not answer in time: a call waits for a second or
// some, and a busy machine may stand still for longer.
func answered(call func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := call()
		silent := errors.Is(err, events.ErrUnavailable) || errors.Is(err, events.ErrUnknownOutcome)
		if !silent || time.Now().After(deadline) {
			return err
		}
	}
}

func open(tb testing.TB, log *stream.Log) events.LogInfo {
	tb.Helper()
	var info events.LogInfo
	err := answered(func() (err error) { info, err = log.Open(tb.Context()); return err })
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return info
}

// send appends until there is an answer.
func send(tb testing.TB, log *stream.Log, m events.Outgoing) (seq uint64, err error) {
	tb.Helper()
	err = answered(func() (err error) { seq, err = log.Append(tb.Context(), m); return err })
	return seq, err
}

func appendOne(tb testing.TB, log *stream.Log, m events.Outgoing) uint64 {
	tb.Helper()
	seq, err := send(tb, log, m)
	if err != nil {
		tb.Fatalf("append %s: %v", m.ID, err)
	}
	return seq
}

// follow returns the n messages from sequence from on.
func follow(tb testing.TB, log *stream.Log, from uint64, n int) []events.Message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	var got []events.Message
	enough := errors.New("enough")
	err := answered(func() error {
		got = nil
		return log.Follow(ctx, from, func(m events.Message) error {
			if got = append(got, m); len(got) == n {
				return enough
			}
			return nil
		})
	})
	if !errors.Is(err, enough) {
		tb.Fatalf("follow from %d: %v after %d messages", from, err, len(got))
	}
	return got
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
