package gossip_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"sluice/events"
	"sluice/events/gossip"
)

// broken is a replica that says what it likes. Messages are maps by the README's numbers.
type broken struct{ asked atomic.Int64 }

// answer by the operation and how often anything was asked before.
func startBroken(tb testing.TB, nc *nats.Conn, answer func(op string, nth int64) map[int]any) *broken {
	tb.Helper()
	b := &broken{}
	_, err := nc.Subscribe(subjects.Peer("exchange.broken"), func(m *nats.Msg) {
		var q struct {
			Op string `cbor:"1,keyasint"`
		}
		if err := cbor.Unmarshal(m.Data, &q); err != nil {
			tb.Error(err)
		}
		data, err := cbor.Marshal(answer(q.Op, b.asked.Add(1)-1))
		if err != nil {
			tb.Error(err)
		}
		_ = m.Respond(data) // the test may be over
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func markOf(key string) map[int]any { return map[int]any{1: key, 2: 1, 3: 1, 4: 1} }

// listing answers with marks of the keys, as if there were more.
func listing(keys ...string) map[int]any {
	var marks []any
	for _, k := range keys {
		marks = append(marks, markOf(k))
	}
	return map[int]any{2: 1, 3: marks, 4: true}
}

// TestBrokenPeer: whatever another replica answers, a round ends.
func TestBrokenPeer(t *testing.T) {
	s := startServer(t, -1)
	encoded := func(prefix string) []byte {
		data, err := events.EncodeEvents(told(entries(prefix, 1, 10)))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	one := map[int]any{2: 1, 3: []any{markOf("service/a-000000")}}
	for name, c := range map[string]struct {
		answer func(op string, nth int64) map[int]any
		most   int64 // questions
	}{
		"lists the same again and again": {func(string, int64) map[int]any { return listing("service/a") }, 2},
		"lists backwards":                {func(string, int64) map[int]any { return listing("service/b", "service/a") }, 1},
		"lists the empty key":            {func(string, int64) map[int]any { return listing("") }, 1},
		"lists a key without end":        {func(string, int64) map[int]any { return listing(fmt.Sprintf("%0300d", 1)) }, 1},
		"gives what was not asked for": {func(op string, _ int64) map[int]any {
			if op == "compare" {
				return one
			}
			return map[int]any{5: encoded("b"), 4: true}
		}, 3}, // and one to push
		"gives the same twice": {func(op string, _ int64) map[int]any {
			if op == "compare" {
				return one
			}
			return map[int]any{5: append(encoded("a"), encoded("a")...), 4: true}
		}, 3}, // and one to push
		"lists without end": {func(_ string, nth int64) map[int]any { return listing(fmt.Sprintf("service/%09d", nth)) }, 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroken(t, connect(t, s.ClientURL()), c.answer)
			a := newStore(1)
			a.Admit(told(entries("mine", 1, 10)))
			x, err := gossip.NewExchange(gossip.ExchangeConfig{
				Ways: over(connect(t, s.ClientURL())), Subjects: subjects, Node: "a", Name: "a",
				Peers: func() []string { return []string{"broken"} }, Store: a, Log: zerolog.Nop(),
			})
			if err != nil {
				t.Fatal(err)
			}
			x.Within(time.Second / 2)
			done := make(chan bool, 1)
			go func() { done <- x.Round(t.Context()) }()
			select {
			case well := <-done:
				if well || b.asked.Load() > c.most {
					t.Errorf("went well: %v, after %d questions", well, b.asked.Load())
				}
			case <-time.After(patience):
				t.Fatalf("no end after %d questions", b.asked.Load())
			}
			if n := len(a.Accepted()); n != 1 {
				t.Errorf("%d changes are pending, want the own one", n)
			}
		})
	}
}

// TestDeltasDuringARound: what is told is taken while another replica keeps this one busy.
func TestDeltasDuringARound(t *testing.T) {
	s := startServer(t, -1)
	nc := connect(t, s.ClientURL())
	b := startBroken(t, nc, func(_ string, nth int64) map[int]any { return listing(fmt.Sprintf("service/%09d", nth)) })
	a := newStore(1)
	a.Admit(told(entries("mine", 1, 10)))
	x := join(t, connect(t, s.ClientURL()), "a", a, "broken")
	until(t, "a round goes on", x, func() bool { return b.asked.Load() > 3 })
	data, err := events.EncodeEvents(told(entries("told", 1, 10)))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the change is there", nil, func() bool {
		if err := nc.Publish(subjects.Peer("delta"), data); err != nil {
			t.Fatal(err)
		}
		return len(a.Accepted()) == 2
	})
}
