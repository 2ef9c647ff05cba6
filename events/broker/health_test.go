package broker_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/events/broker"
)

// fillDisk makes the file systems refuse all that this process writes, until the returned
// function makes room. (A limit of files' sizes, as a full disk would need one of the test's own.)
func fillDisk(tb testing.TB) (makeRoom func()) {
	tb.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		tb.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() { limit(was) })
	limit(syscall.Rlimit{Cur: 0, Max: was.Max})
	return func() { limit(was) }
}

// publish returns the sequence of a message that was stored, 0 if nobody says so.
func publish(tb testing.TB, js jetstream.JetStream, within time.Duration) uint64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	ack, err := js.Publish(ctx, "t.x", []byte("event"), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0
	}
	return ack.Sequence
}

// startWithMessage starts a broker on dir and stores a first message.
func startWithMessage(tb testing.TB, dir string) (*broker.Server, jetstream.JetStream) {
	tb.Helper()
	b := start(tb, config(dir))
	js := connect(tb, "", nats.InProcessServer(b))
	declare(tb, js)
	if publish(tb, js, patience) != 1 {
		tb.Fatal("the first message is not stored")
	}
	return b, js
}

// fail fills the disk and writes until the broker knows.
func fail(tb testing.TB, b *broker.Server, js jetstream.JetStream) (makeRoom func()) {
	tb.Helper()
	makeRoom = fillDisk(tb)
	await(tb, "the broker is not healthy", func() bool {
		if seq := publish(tb, js, 50*time.Millisecond); seq != 0 {
			tb.Fatalf("a full disk takes message %d", seq)
		}
		return b.Healthy() != nil
	})
	return makeRoom
}

// A broker whose disk is full is not healthy, and both are well again once there is room: the
// NATS server by itself would refuse all writes until it is restarted.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	b, js := startWithMessage(t, dir)
	before := b.JetStream()

	makeRoom := fail(t, b, js)
	for _, part := range []string{dir, "file too large", "make room"} {
		if err := b.Healthy(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	makeRoom()
	await(t, "the broker is healthy again", func() bool { return b.Healthy() == nil })

	var next uint64
	await(t, "a message is stored", func() bool { next = publish(t, js, time.Second); return next != 0 })
	first, err := js.Stream(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.GetMsg(t.Context(), 1); err != nil || next < 2 {
		t.Errorf("the first message: %v; the next one is %d", err, next)
	}
	// Above all, messages are durable before they are acknowledged.
	if diff := cmp.Diff(before, b.JetStream(), cmpopts.IgnoreUnexported(server.JetStreamConfig{})); diff != "" || !before.SyncAlways {
		t.Errorf("the store is opened with other settings (-before +now):\n%s", diff)
	}
}

func TestFullDiskDoesNotKeepTheBroker(t *testing.T) {
	dir := t.TempDir()
	b, js := startWithMessage(t, dir)
	makeRoom := fail(t, b, js)
	shutdown(t, b)
	makeRoom()

	s, err := connect(t, "", nats.InProcessServer(start(t, config(dir)))).Stream(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetMsg(t.Context(), 1); err != nil {
		t.Errorf("the first message: %v", err)
	}
}
