package stream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/events"
	"sluice/events/stream"
)

// following is a Follow under way.
type following struct {
	log  *stream.Log
	ctx  context.Context
	stop context.CancelFunc
	seqs chan uint64
	end  chan error
}

func startFollow(tb testing.TB, log *stream.Log, from uint64) *following {
	ctx, cancel := context.WithCancel(context.Background())
	f := &following{log: log, ctx: ctx, stop: cancel}
	f.begin(from)
	tb.Cleanup(cancel)
	return f
}

func (f *following) begin(from uint64) {
	seqs, end := make(chan uint64, 10_000), make(chan error, 1)
	f.seqs, f.end = seqs, end
	go func() {
		end <- f.log.Follow(f.ctx, from, func(m events.Message) error {
			seqs <- m.Seq
			return nil
		})
	}()
}

// want waits for the sequences from to to. A machine that stands still for seconds ends a Follow,
// which is begun again.
func (f *following) want(tb testing.TB, from, to uint64) {
	tb.Helper()
	deadline := time.After(patience)
	for seq := from; seq <= to; seq++ {
		select {
		case got := <-f.seqs:
			if got != seq {
				tb.Fatalf("got message %d, want %d", got, seq)
			}
		case err := <-f.end:
			if !errors.Is(err, events.ErrUnavailable) {
				tb.Fatalf("ended before message %d: %v", seq, err)
			}
			f.begin(seq)
			seq--
		case <-deadline:
			tb.Fatalf("waited in vain for message %d", seq)
		}
	}
}

// ended waits for the end and returns its error.
func (f *following) ended(tb testing.TB) error {
	tb.Helper()
	select {
	case err := <-f.end:
		return err
	case <-time.After(patience):
		tb.Fatalf("still following after %v", patience)
		return nil
	}
}

func fill(tb testing.TB, log *stream.Log, tag string, n int) {
	tb.Helper()
	for i := range n {
		appendOne(tb, log, events.Outgoing{Subject: key, ID: fmt.Sprint(tag, i), Data: []byte("x")})
	}
}

func TestFollow(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	open(t, log)
	fill(t, log, "old", 20)

	t.Run("stored ones, then live ones", func(t *testing.T) {
		f := startFollow(t, log, 5)
		f.want(t, 5, 20)
		fill(t, log, "live", 5)
		f.want(t, 21, 25)
		f.stop()
		if err := f.ended(t); !errors.Is(err, context.Canceled) {
			t.Errorf("end: %v", err)
		}
	})
	t.Run("from one past the end", func(t *testing.T) {
		f := startFollow(t, log, 26)
		fill(t, log, "more", 2)
		f.want(t, 26, 27)
		f.stop()
		f.ended(t)
	})
	t.Run("not from further", func(t *testing.T) {
		if err := startFollow(t, log, 29).ended(t); !errors.Is(err, stream.ErrReset) {
			t.Errorf("end: %v", err)
		}
	})
	t.Run("not from before the first", func(t *testing.T) {
		st, err := s.js(t).Stream(t.Context(), subjects.Stream())
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Purge(t.Context(), jetstream.WithPurgeSequence(10)); err != nil {
			t.Fatal(err)
		}
		if err := startFollow(t, log, 9).ended(t); !errors.Is(err, stream.ErrReset) {
			t.Errorf("end: %v", err)
		}
		f := startFollow(t, log, 10)
		f.want(t, 10, 27)
		f.stop()
		f.ended(t)
	})
	t.Run("ends with the handler's error and leaves no consumer", func(t *testing.T) {
		follow(t, log, 10, 3)
		eventually(t, "no consumer is left", func() bool {
			st, err := s.js(t).Stream(t.Context(), subjects.Stream())
			return err == nil && st.CachedInfo().State.Consumers == 0
		})
	})
}

func TestFollowEndsWhen(t *testing.T) {
	cases := map[string]struct {
		do   func(t *testing.T, s *testServer, p *silence)
		want error
	}{
		"the stream is deleted": {func(t *testing.T, s *testServer, _ *silence) {
			if err := s.js(t).DeleteStream(t.Context(), subjects.Stream()); err != nil {
				t.Fatal(err)
			}
		}, stream.ErrReset},
		"the stream is made anew": {func(t *testing.T, s *testServer, _ *silence) {
			if err := s.js(t).DeleteStream(t.Context(), subjects.Stream()); err != nil {
				t.Fatal(err)
			}
			other := s.log(t)
			eventually(t, "the new stream is made", func() bool { // the old one's files are removed behind the answer
				_, err := other.Open(t.Context())
				return err == nil
			})
			fill(t, other, "new", 30)
		}, stream.ErrReset},
		"its consumer is deleted": {func(t *testing.T, s *testServer, _ *silence) {
			js := s.js(t)
			st, err := js.Stream(t.Context(), subjects.Stream())
			if err != nil {
				t.Fatal(err)
			}
			for name := range st.ConsumerNames(t.Context()).Name() {
				if err := js.DeleteConsumer(t.Context(), subjects.Stream(), name); err != nil {
					t.Fatal(err)
				}
			}
		}, stream.ErrReset},
		"the server stops": {func(_ *testing.T, s *testServer, _ *silence) { s.stop() }, events.ErrUnavailable},
		"the server falls silent": {func(_ *testing.T, _ *testServer, p *silence) {
			p.set(true)
		}, events.ErrUnavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			p := startSilence(t, s.Addr().String())
			log := newLog(t, connect(t, p.url), stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
			open(t, log)
			fill(t, log, "a", 10)
			f := startFollow(t, log, 1)
			f.want(t, 1, 10)
			c.do(t, s, p)
			// The server tells a consumer's end to a pull that waits; between two pulls the missing
			// heartbeats tell it.
			err := f.ended(t)
			between := c.want == stream.ErrReset && errors.Is(err, jetstream.ErrNoHeartbeat)
			if !errors.Is(err, c.want) && !between {
				t.Errorf("end: %v, want %v", err, c.want)
			}
		})
	}
}

func TestFollowAfterTheServerComesBack(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	info := open(t, log)
	fill(t, log, "a", 10)
	changed := log.Changed()
	s.stop()
	<-changed
	eventually(t, "the loss is noticed", func() bool { return !log.Connected() })
	s.start(t)
	eventually(t, "connected again", log.Connected)
	if again := open(t, log); again.StreamID != info.StreamID || again.Last != 10 {
		t.Errorf("log %+v after the restart, %+v before", again, info)
	}
	if got := follow(t, log, 1, 10); got[9].Seq != 10 {
		t.Errorf("last message %+v", got[9])
	}
}
