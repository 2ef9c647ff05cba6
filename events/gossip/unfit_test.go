package gossip_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/gossip"
)

// TestUnfitChangeHoldsUpNobody: a change that no message can hold, from a state of an older program,
// is told of once and kept apart, whether this replica tells, gives or is asked.
func TestUnfitChangeHoldsUpNobody(t *testing.T) {
	s := startServer(t, -1)
	holder := func(node uint64) (*store, []crdt.Entry) {
		list := entries("of", 3, 10)
		for _, i := range []int{0, 1} { // also all of what a message would hold
			list[i].Value = []byte(`{"x":"` + strings.Repeat("x", events.MaxEvent) + `"}`)
		}
		st := newStore(node)
		locked(st, func() []events.Report { return st.core.Recall(list) })
		return st, list
	}
	hears := func(st *store) func() bool { return func() bool { return len(st.Accepted()) == 1 } }
	t.Run("told", func(t *testing.T) {
		a, list := holder(1)
		b, log := newStore(2), &bytes.Buffer{}
		join(t, connect(t, s.ClientURL()), "b", b)
		x, err := gossip.NewExchange(gossip.ExchangeConfig{
			Ways: over(connect(t, s.ClientURL())), Subjects: subjects, Node: "a", Name: "a", Store: a, Log: zerolog.New(log),
		})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the other one is heard", nil, func() bool {
			x.Broadcast(told(list))
			return hears(b)()
		})
		x.Broadcast(told(list[:2]))
		text := log.String()
		if n := strings.Count(text, `"level":"error"`); n != 2 || !strings.Contains(text, list[0].Key) || !strings.Contains(text, list[1].Key) {
			t.Errorf("%d errors for two changes: %s", n, text)
		}
	})
	t.Run("given", func(t *testing.T) {
		a, _ := holder(1)
		b := newStore(2)
		x := join(t, connect(t, s.ClientURL()), "a", a, "b")
		join(t, connect(t, s.ClientURL()), "b", b)
		until(t, "the other one is heard", x, hears(b))
		if !x.Round(t.Context()) {
			t.Error("a round fails with nothing to give but what does not fit")
		}
	})
	t.Run("asked for", func(t *testing.T) {
		a, _ := holder(1)
		b := newStore(2)
		x := join(t, connect(t, s.ClientURL()), "b", b, "a")
		join(t, connect(t, s.ClientURL()), "a", a)
		until(t, "the other one is heard", x, hears(b))
	})
}
