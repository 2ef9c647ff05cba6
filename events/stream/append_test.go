package stream_test

import (
	"context"
	"crypto/rand"
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

var key = subjects.Event("service/a")

func at(seq uint64) *uint64 { return &seq }

func TestAppend(t *testing.T) {
	log := startServer(t).log(t)
	open(t, log)
	t.Run("one id is stored once", func(t *testing.T) {
		m := events.Outgoing{Subject: key, ID: "one", Data: []byte("x")}
		if a, b := appendOne(t, log, m), appendOne(t, log, m); a != 1 || b != 1 {
			t.Errorf("sequences %d and %d, want 1 twice", a, b)
		}
	})
	t.Run("a wrong expectation stores nothing", func(t *testing.T) {
		for _, expect := range []uint64{0, 7} {
			_, err := send(t, log, events.Outgoing{Subject: key, ID: fmt.Sprint("wrong", expect), Data: []byte("x"), ExpectLast: at(expect)})
			if !errors.Is(err, events.ErrConflict) {
				t.Errorf("expecting %d: %v", expect, err)
			}
		}
		if info := open(t, log); info.Last != 1 {
			t.Errorf("last %d, want 1", info.Last)
		}
	})
	t.Run("a right expectation holds, also when the message is repeated", func(t *testing.T) {
		m := events.Outgoing{Subject: key, ID: "right", Data: []byte("x"), ExpectLast: at(1)}
		if a, b := appendOne(t, log, m), appendOne(t, log, m); a != 2 || b != 2 {
			t.Errorf("sequences %d and %d, want 2 twice", a, b)
		}
		appendOne(t, log, events.Outgoing{Subject: key, ID: "next", Data: []byte("x")})
		if got := appendOne(t, log, m); got != 2 {
			t.Errorf("repeated after another's message: %d, want 2", got)
		}
		fresh := events.Outgoing{Subject: subjects.Event("service/new"), ID: "new", Data: []byte("x"), ExpectLast: at(0)}
		if a, b := appendOne(t, log, fresh), appendOne(t, log, fresh); a != b {
			t.Errorf("first of a subject: sequences %d and %d", a, b)
		}
	})
	t.Run("too large", func(t *testing.T) {
		for _, size := range []int{300 << 10, 2 << 20} {
			_, err := send(t, log, events.Outgoing{Subject: key, ID: "large", Data: make([]byte, size)})
			if !errors.Is(err, events.ErrRefused) {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	})
	t.Run("subject that would end the connection", func(t *testing.T) {
		_, err := log.Append(t.Context(), events.Outgoing{Subject: key + strings.Repeat("a", 5000), ID: "long", Data: []byte("x")})
		if !errors.Is(err, events.ErrRefused) || !log.Connected() {
			t.Errorf("append: %v, connected: %v", err, log.Connected())
		}
	})
	t.Run("ended context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := log.Append(ctx, events.Outgoing{Subject: key, ID: "late", Data: []byte("x")})
		if !errors.Is(err, events.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("append: %v", err)
		}
	})
}

func TestAppendToAFullStream(t *testing.T) {
	log := startServer(t).logWith(t, stream.Config{Subjects: subjects, MaxBytes: 1 << 20})
	open(t, log)
	data := make([]byte, 200<<10)
	_, _ = rand.Read(data)
	var stored uint64
	for i := range 20 {
		_, err := send(t, log, events.Outgoing{Subject: key, ID: fmt.Sprint(i), Data: data})
		if err == nil {
			stored++
			continue
		}
		if !errors.Is(err, events.ErrRefused) || !strings.Contains(err.Error(), "maximum bytes") {
			t.Fatalf("append to a full stream: %v", err)
		}
		if info := open(t, log); info.First != 1 || info.Last != stored || stored == 0 {
			t.Errorf("log %+v, %d were stored", info, stored)
		}
		return
	}
	t.Error("the stream never got full")
}

func TestAppendWithoutServer(t *testing.T) {
	var lines buffer
	conn, err := stream.Connect(stream.ConnConfig{URL: "nats://127.0.0.1:1", Name: "test", Logger: zerolog.New(&lines)})
	if err != nil {
		t.Fatalf("connect to an absent server: %v", err)
	}
	defer conn.Close()
	eventually(t, "the reason is logged", func() bool { return strings.Contains(lines.String(), "refused") })
	log := newLog(t, conn, stream.Config{Subjects: subjects})
	eventually(t, "it takes less than a second to say so", func() bool { // each time, unless the machine stands still
		began := time.Now()
		if _, err := log.Append(t.Context(), events.Outgoing{Subject: key, ID: "x", Data: []byte("x")}); !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("append: %v", err)
		}
		if _, err := log.Open(t.Context()); !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("open: %v", err)
		}
		if err := log.Follow(t.Context(), 1, func(events.Message) error { return nil }); !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("follow: %v", err)
		}
		return time.Since(began) < time.Second
	})
}

func TestAppendWithoutStream(t *testing.T) {
	log := startServer(t).log(t)
	eventually(t, "it is certain that nothing is stored", func() bool { // unless an answer takes too long
		_, err := log.Append(t.Context(), events.Outgoing{Subject: key, ID: "x", Data: []byte("x")})
		if !errors.Is(err, events.ErrUnavailable) && !errors.Is(err, events.ErrUnknownOutcome) {
			t.Fatalf("append: %v", err)
		}
		return errors.Is(err, events.ErrUnavailable)
	})
}

func TestAppendUnanswered(t *testing.T) {
	t.Run("outcome unknown, and stored once", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		p := startSilence(t, s.Addr().String())
		log := newLog(t, connect(t, p.url), stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
		open(t, log)
		p.set(true)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		_, err := log.Append(ctx, events.Outgoing{Subject: key, ID: "x", Data: []byte("x")})
		if !errors.Is(err, events.ErrUnknownOutcome) || errors.Is(err, events.ErrUnavailable) {
			t.Errorf("append: %v", err)
		}
		direct := s.log(t)
		eventually(t, "it is stored", func() bool { return open(t, direct).Last > 0 })
		if info := open(t, direct); info.Last != 1 {
			t.Errorf("last %d, want 1", info.Last)
		}
	})
	for name, expect := range map[string]*uint64{"plain": nil, "with expectation": at(0)} {
		t.Run("a later attempt settles it, "+name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			p := startSilence(t, s.Addr().String())
			log := newLog(t, connect(t, p.url), stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
			open(t, log)
			direct := s.log(t)
			p.set(true)
			var wg sync.WaitGroup
			wg.Go(func() {
				eventually(t, "stored behind the silence", func() bool { return open(t, direct).Last == 1 })
				<-time.After(1200 * time.Millisecond) // past the first attempt
				p.set(false)
			})
			seq, err := log.Append(t.Context(), events.Outgoing{Subject: key, ID: "x", Data: []byte("x"), ExpectLast: expect})
			wg.Wait()
			if err != nil || seq != 1 || open(t, direct).Last != 1 {
				t.Errorf("append: %d, %v; want 1", seq, err)
			}
		})
	}
	t.Run("a lost connection after that does not make it unavailable", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		p := startSilence(t, s.Addr().String())
		log := newLog(t, connect(t, p.url), stream.Config{Subjects: subjects, MaxBytes: 16 << 20})
		open(t, log)
		direct := s.log(t)
		p.set(true)
		var wg sync.WaitGroup
		wg.Go(func() {
			eventually(t, "stored behind the silence", func() bool { return open(t, direct).Last == 1 })
			s.stop()
		})
		_, err := log.Append(t.Context(), events.Outgoing{Subject: key, ID: "x", Data: []byte("x")})
		wg.Wait()
		if !errors.Is(err, events.ErrUnknownOutcome) || errors.Is(err, events.ErrUnavailable) {
			t.Errorf("append: %v", err)
		}
	})
}

// What was acknowledged is there after a restart; what was said to be not stored is not.
func TestAppendTellsTheTruthAcrossARestart(t *testing.T) {
	s := startServer(t)
	log := s.log(t)
	open(t, log)
	const writers, each = 50, 30
	results := make([][]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		results[w] = make([]error, each)
		wg.Go(func() {
			for i := range each {
				_, results[w][i] = log.Append(context.Background(), events.Outgoing{Subject: key, ID: fmt.Sprintf("%d-%d", w, i), Data: fmt.Appendf(nil, "%d-%d", w, i)})
				if results[w][i] != nil {
					pauseUntil(log.Changed())
				}
			}
		})
	}
	eventually(t, "some are stored", func() bool { i, err := log.Info(t.Context()); return err == nil && i.Last > 100 })
	s.stop()
	s.start(t)
	wg.Wait()

	eventually(t, "connected again", log.Connected)
	stored := storedIn(t, log)
	for w := range writers {
		for i, err := range results[w] {
			n := stored[fmt.Sprintf("%d-%d", w, i)]
			switch {
			case err == nil && n != 1, errors.Is(err, events.ErrUnavailable) && n != 0, n > 1:
				t.Errorf("message %d-%d is stored %d times, append said %v", w, i, n, err)
			case err != nil && !errors.Is(err, events.ErrUnavailable) && !errors.Is(err, events.ErrUnknownOutcome):
				t.Errorf("message %d-%d: %v", w, i, err)
			}
		}
	}
}

func pauseUntil(changed <-chan struct{}) {
	select {
	case <-changed:
	case <-time.After(50 * time.Millisecond):
	}
}

// buffer is a log that is written and read at the same time.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
