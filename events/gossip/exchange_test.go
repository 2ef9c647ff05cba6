package gossip_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/gossip"
)

// store is a replica without log: the real decisions behind one lock.
type store struct {
	mu       sync.Mutex
	core     *events.Core
	compared map[string]events.Position
}

var _ gossip.Store = (*store)(nil)

func newStore(node uint64) *store {
	return &store{core: events.NewCore(events.CoreConfig{Subjects: subjects, Node: node | 1<<63}), compared: map[string]events.Position{}}
}

func locked[T any](s *store, f func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

func (s *store) AcceptedDigest() uint64    { return locked(s, s.core.AcceptedDigest) }
func (s *store) Position() events.Position { return locked(s, s.core.Position) }
func (s *store) Hurry() bool               { return true }
func (s *store) Wants(p events.Position) bool {
	return locked(s, func() bool { return p.StreamID != "" && s.core.Wants(p, true) })
}
func (s *store) Adopt(t events.Transfer) bool {
	return locked(s, func() bool { _, ok := s.core.Adopt(t, true); return ok })
}
func (s *store) Compare(n string, p events.Position) {
	locked(s, func() int { s.compared[n] = p; return 0 })
}

func (s *store) Export() (events.Transfer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Export()
}

func (s *store) Accepted() []events.Event { return told(locked(s, s.core.Accepted)) }

func (s *store) Admit(list []events.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		s.core.Admit(e.Entry(), time.Now())
	}
}

// told are the events of entries.
func told(list []crdt.Entry) []events.Event {
	out := make([]events.Event, len(list))
	for i, e := range list {
		out[i] = events.EntryEvent("test", e)
	}
	return out
}

// entries are n of them with values of about size bytes, stamped about now.
func entries(prefix string, n, size int) []crdt.Entry {
	list := make([]crdt.Entry, n)
	for i := range list {
		list[i] = crdt.Entry{
			Key:   fmt.Sprintf("service/%s-%06d", prefix, i),
			Stamp: crdt.Stamp{HLC: uint64(time.Now().UnixMilli())<<16 | uint64(i&0xffff), Node: 1<<63 | 7},
			Value: []byte(`{"x":"` + strings.Repeat("x", size) + `"}`),
		}
	}
	return list
}

// stateOf is a state that holds the entries.
func stateOf(list []crdt.Entry) *events.State {
	m := crdt.NewMap()
	for _, e := range list {
		m.Merge(e)
	}
	return &events.State{
		StreamID: "stream", Params: events.DefaultParams(), Ref: uint64(time.Now().UnixMilli()),
		Anchor: events.Anchor{Seq: 9, Time: time.Now().UnixNano(), Hash: [16]byte{1}}, Map: m,
	}
}

// join lets a store take part until the test ends. It returns the exchange.
func join(tb testing.TB, nc *nats.Conn, node string, s *store, peers ...string) *gossip.Exchange {
	tb.Helper()
	return joinOver(tb, over(nc), node, s, peers...)
}

func joinOver(tb testing.TB, ways []gossip.Way, node string, s *store, peers ...string) *gossip.Exchange {
	tb.Helper()
	x, err := gossip.NewExchange(gossip.ExchangeConfig{
		Ways: ways, Subjects: subjects, Node: node, Name: "name of " + node,
		Peers: func() []string { return peers }, Store: s, Log: zerolog.Nop(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := x.Run(ctx); err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	tb.Cleanup(func() { cancel(); wg.Wait() })
	return x
}

// until asks x for rounds until what holds. It looks ever less often: to look may cost more than
// a busy machine has.
func until(tb testing.TB, what string, x *gossip.Exchange, holds func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for pause := 10 * time.Millisecond; !holds(); pause = min(2*pause, 500*time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not in time: %s", what)
		}
		if x != nil {
			x.Soon()
		}
		time.Sleep(pause)
	}
}

func TestBroadcast(t *testing.T) {
	s := startServer(t, -1)
	a, b := newStore(1), newStore(2)
	x := join(t, connect(t, s.ClientURL()), "a", a)
	join(t, connect(t, s.ClientURL()), "b", b)
	list := told(entries("one", 2000, 500)) // more than a message takes
	a.Admit(list)
	until(t, "everybody holds them", nil, func() bool {
		x.Broadcast(list)
		for range 100 { // a busy machine takes its time, and longer if it is told again meanwhile
			if b.AcceptedDigest() == a.AcceptedDigest() {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	})
}

func TestCompare(t *testing.T) {
	s := startServer(t, -1)
	a, b := newStore(1), newStore(2)
	common := entries("common", 1000, 300)
	newer := entries("common", 5, 300)
	a.Admit(told(common))
	b.Admit(told(common))
	a.Admit(told(entries("a", 1500, 300)))
	b.Admit(told(entries("b", 1500, 300)))
	for i := range newer {
		newer[i].Stamp.HLC += 1 << 20
	}
	a.Admit(told(newer[:2]))
	b.Admit(told(newer[2:]))
	x := join(t, connect(t, s.ClientURL()), "a", a, "b")
	join(t, connect(t, s.ClientURL()), "b", b) // is never asked to ask
	until(t, "both hold the same", x, func() bool { return a.AcceptedDigest() == b.AcceptedDigest() })
	if n := len(b.Accepted()); n != 4000 {
		t.Errorf("%d entries, want 4000", n)
	}
}

func TestStateOfAnother(t *testing.T) {
	s := startServer(t, -1)
	a, b, c := newStore(1), newStore(2), newStore(3)
	b.Adopt(events.Transfer{State: stateOf(entries("s", 5000, 300))})
	x := join(t, connect(t, s.ClientURL()), "a", a, "b")
	join(t, connect(t, s.ClientURL()), "b", b)
	until(t, "the state is taken over", x, func() bool { return a.Position() == b.Position() })
	t.Run("from one that has none nothing comes", func(t *testing.T) {
		y := join(t, connect(t, s.ClientURL()), "c", c, "d")
		join(t, connect(t, s.ClientURL()), "d", newStore(4))
		until(t, "they have compared", y, func() bool { return locked(c, func() bool { return len(c.compared) > 0 }) })
		if c.Position() != (events.Position{}) {
			t.Errorf("position %+v", c.Position())
		}
	})
	t.Run("both know where the other is", func(t *testing.T) {
		until(t, "compared", x, func() bool { return locked(b, func() bool { return b.compared["name of a"] == b.core.Position() }) })
	})
}

// TestListed: NATS's own tools see the replicas.
func TestListed(t *testing.T) {
	s := startServer(t, -1)
	nc := connect(t, s.ClientURL())
	join(t, nc, "a", newStore(1))
	subject, err := micro.ControlSubject(micro.PingVerb, "sluice-replica", "")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the service answers", nil, func() bool {
		m, err := nc.Request(subject, nil, time.Second)
		return err == nil && strings.Contains(string(m.Data), `"name of a"`)
	})
}

func TestForeignMessages(t *testing.T) {
	s := startServer(t, -1)
	nc := connect(t, s.ClientURL())
	a := newStore(1)
	join(t, nc, "a", a)
	for _, text := range []string{"", "x", "\xa1\x01\x65other", strings.Repeat("y", 600<<10)} {
		until(t, "an answer", nil, func() bool {
			m, err := nc.Request(subjects.Peer("exchange.a"), []byte(text), time.Second)
			return err == nil && len(m.Data) > 1
		})
		if err := nc.Publish(subjects.Peer("delta"), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	encode := func(list []crdt.Entry) []byte {
		data, err := events.EncodeEvents(told(list))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	raw := bytes.Replace(encode(entries("raw", 1, 10)), []byte(`"hlc"`), []byte(`"hlx"`), 1) // no stamp
	if err := nc.Publish(subjects.Peer("delta"), raw); err != nil {
		t.Fatal(err)
	}
	good := encode(entries("good", 1, 10))
	until(t, "a good one is taken", nil, func() bool {
		if err := nc.Publish(subjects.Peer("delta"), good); err != nil {
			t.Fatal(err)
		}
		return len(a.Accepted()) == 1
	})
}

// BenchmarkState is the whole state of 100,000 services from a peer: encoded, sent, decoded, adopted.
func BenchmarkState(b *testing.B) {
	s := startServer(b, -1)
	from := newStore(1)
	from.Adopt(events.Transfer{State: stateOf(entries("s", 100_000, 700))})
	join(b, connect(b, s.ClientURL()), "from", from)
	nc := connect(b, s.ClientURL())
	for b.Loop() {
		to := newStore(2)
		x, err := gossip.NewExchange(gossip.ExchangeConfig{
			Ways: over(nc), Subjects: subjects, Node: "to", Name: "to", Peers: func() []string { return []string{"from"} }, Store: to, Log: zerolog.Nop(),
		})
		if err != nil {
			b.Fatal(err)
		}
		x.Round(b.Context())
		if to.Position() != from.Position() {
			b.Fatal("the state did not arrive")
		}
	}
}

// A replica that needs a base gets a state that fits from whoever has one.
func TestStateThatFits(t *testing.T) {
	s := startServer(t, -1)
	list := entries("service/s", 100, 200)
	far, near, none := newStore(1), newStore(2), newStore(3)
	for st, seq := range map[*store]uint64{far: 900, near: 300} {
		state := stateOf(list)
		state.Anchor.Seq = seq
		if !st.Adopt(events.Transfer{State: state}) {
			t.Fatal("not adopted")
		}
	}
	join(t, connect(t, s.ClientURL()), "far", far)
	join(t, connect(t, s.ClientURL()), "near", near)
	x := join(t, connect(t, s.ClientURL()), "none", none, "gone", "far", "near")
	within := func(seq uint64) func(events.Position) bool {
		return func(p events.Position) bool { return p.StreamID != "" && p.Anchor.Seq <= seq }
	}
	var got events.Transfer
	until(t, "the nearer state comes", nil, func() bool {
		t, ok := x.State(context.Background(), within(500))
		got = t
		return ok
	})
	if got.State.Anchor.Seq != 300 || got.State.Map.Len() != len(list) {
		t.Errorf("got a state of %d with %d entries", got.State.Anchor.Seq, got.State.Map.Len())
	}
	if t2, ok := x.State(t.Context(), within(100)); ok {
		t.Errorf("got a state of %d that does not fit", t2.State.Anchor.Seq)
	}
}
