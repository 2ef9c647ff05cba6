package events_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"sluice/events"
)

// slowLog keeps what it is sent while it is silent, and may store it later.
type slowLog struct {
	events.Log

	mu     sync.Mutex
	silent bool
	sent   []events.Outgoing
}

func (l *slowLog) Append(ctx context.Context, m events.Outgoing) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent {
		l.sent = append(l.sent, m)
		return 0, events.ErrUnknownOutcome
	}
	return l.Log.Append(ctx, m)
}

func (l *slowLog) silence(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = on
}

// deliver stores what was sent meanwhile, as far as its conditions hold.
func (l *slowLog) deliver(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); len(l.sent) > 0; {
		_, err := l.Log.Append(t.Context(), l.sent[0])
		if err == nil || errors.Is(err, events.ErrConflict) {
			l.sent = l.sent[1:]
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Of two changes that one caller makes through one replica the later one wins, though nobody
// knows whether the log has the first.
func TestChangeAfterAnUnansweredOne(t *testing.T) {
	for name, first := range map[string]events.Change{
		"without a condition": {},
		"with a condition":    {IfAbsent: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, j, slow := startServer(t), &pad{}, &slowLog{}
			r := startReplica(s, func(c *events.ReplicaConfig) {
				slow.Log, c.Log, c.Journal = c.Log, slow, j
			})
			r.fresh()
			r.put("z", `{"v":1}`)
			slow.silence(true)
			first.Key, first.Value = "service/ghost", []byte(`{"v":1}`)
			if _, err := r.Write(t.Context(), first); !errors.Is(err, events.ErrUnknownOutcome) {
				t.Fatal(err)
			}
			s.stop()
			r.stalled()
			remove := events.Change{Key: first.Key, Delete: true}
			got, err := r.Write(t.Context(), remove)
			if err != nil || got.NoOp || got.Stamp.IsZero() || !j.holds("ghost") {
				t.Fatalf("removed: %+v, %v", got, err)
			}
			if again, err := r.Write(t.Context(), remove); err != nil || again != got {
				t.Errorf("removed again: %+v, %v, want %+v", again, err, got)
			}
			slow.silence(false)
			s.start()
			slow.deliver(t)
			r.until("all is in the log", func(v events.View) bool { return v.Stale == "" && v.Pending == 0 })
			r.put("z", `{"v":2}`)
			r.holds("ghost", "")
		})
	}
	t.Run("the log is back before the second comes", func(t *testing.T) {
		slow := &slowLog{Log: newMemLog()}
		r := runReplica(t, slow, func() {}, nil)
		r.fresh()
		slow.silence(true)
		if _, err := r.Write(t.Context(), events.Change{Key: "service/ghost", Value: []byte(`{"v":1}`), IfAbsent: true}); !errors.Is(err, events.ErrUnknownOutcome) {
			t.Fatal(err)
		}
		slow.silence(false)
		remove := events.Change{Key: "service/ghost", Delete: true}
		if got, err := r.Write(t.Context(), remove); err != nil || got.NoOp || got.Seq == 0 {
			t.Errorf("removed: %+v, %v", got, err)
		}
		slow.deliver(t)
		if got, err := r.Write(t.Context(), remove); err != nil || !got.NoOp {
			t.Errorf("removed again: %+v, %v", got, err)
		}
		r.holds("ghost", "")
	})
}
