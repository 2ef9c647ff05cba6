package events_test

import (
	"testing"

	"sluice/crdt"
	"sluice/events"
)

func stateOf(ref uint64, list ...crdt.Entry) *events.State {
	return &events.State{StreamID: "s", Params: params(), Ref: begin + ref*second, Map: mapOf(list...)}
}

func TestReplaceRule14(t *testing.T) {
	t.Run("what the new state lacks is offered again, live and tombstone", func(t *testing.T) {
		live, gone := put("a", at(101, 1), "x"), removal("b", at(102, 1))
		p := events.NewPending()
		wantReports(t, events.Replace(stateOf(200, live, gone), stateOf(500), p))
		wantPending(t, p, live, gone)
		for _, e := range p.Entries() {
			if !e.Own || !e.Accepted {
				t.Errorf("%+v, want it own and accepted", e)
			}
		}
	})
	t.Run("what the new state has or beats is not", func(t *testing.T) {
		p := events.NewPending()
		same, beaten := put("a", at(101, 1), "x"), put("b", at(101, 1), "x")
		wantReports(t, events.Replace(stateOf(200, same, beaten), stateOf(300, same, removal("b", at(102, 1))), p))
		wantPending(t, p)
	})
	t.Run("an entry greater than the new state's is", func(t *testing.T) {
		p := events.NewPending()
		newer := removal("a", at(120, 1))
		wantReports(t, events.Replace(stateOf(200, newer), stateOf(300, put("a", at(110, 1), "lost branch")), p))
		wantPending(t, p, newer)
	})
	t.Run("what is older than R is dropped and reported", func(t *testing.T) {
		p := events.NewPending()
		old, undone, collected := put("a", at(99, 1), "x"), removal("b", at(99, 1)), removal("c", at(99, 1))
		wantReports(t, events.Replace(stateOf(200, old, undone, collected, put("d", at(100, 1), "kept")), stateOf(500, put("b", at(50, 1), "back")), p),
			events.Report{Entry: old, Reason: events.ReasonExpired},
			events.Report{Entry: undone, Reason: events.ReasonExpired},
			events.Report{Entry: collected, Reason: events.ReasonCollected})
		wantPending(t, p, put("d", at(100, 1), "kept"))
	})
	t.Run("a greater pending entry stays", func(t *testing.T) {
		newer := put("a", at(130, 1), "pending")
		p := pendingOf(newer)
		wantReports(t, events.Replace(stateOf(200, put("a", at(120, 1), "x")), stateOf(300), p))
		wantPending(t, p, newer)
	})
	t.Run("the pending layer is swept, with an old state or without", func(t *testing.T) {
		expired, beaten := put("a", at(1, 1), "x"), put("b", at(200, 1), "x")
		p := pendingOf(expired, beaten)
		wantReports(t, events.Replace(nil, stateOf(500, put("b", at(201, 1), "y")), p),
			events.Report{Entry: expired, Reason: events.ReasonExpired})
		wantPending(t, p)
	})
	t.Run("a true continuation changes nothing", func(t *testing.T) {
		b := begun(t)
		b.write(1, put("a", at(1, 1), "x"))
		old := b.state().Clone()
		b.write(2, raw("a", "y"))
		p := events.NewPending()
		wantReports(t, events.Replace(old, b.state(), p))
		wantPending(t, p)
	})
}

func TestVisibleIsTheGreaterOfBothLayers(t *testing.T) {
	low, high := put("a", at(1, 1), "low"), removal("a", at(2, 1))
	for name, c := range map[string]struct {
		state   *events.State
		pending *events.Pending
		want    crdt.Entry
		known   bool
	}{
		"nothing at all":        {nil, nil, crdt.Entry{}, false},
		"nothing in either":     {stateOf(1), pendingOf(), crdt.Entry{}, false},
		"the state's alone":     {stateOf(1, low), nil, low, true},
		"the pending alone":     {nil, pendingOf(low), low, true},
		"the pending is later":  {stateOf(1, low), pendingOf(high), high, true},
		"the state's is later":  {stateOf(1, high), pendingOf(low), high, true},
		"another key's pending": {stateOf(1, low), pendingOf(put("b", at(9, 1), "x")), low, true},
	} {
		for kind, look := range map[string]func(*events.State, *events.Pending, string) (crdt.Entry, bool){
			"visible": events.Visible, "greatest": events.Greatest,
		} {
			got, known := look(c.state, c.pending, "service/a")
			if got.Compare(c.want) != 0 || known != c.known {
				t.Errorf("%s, %s: %v %v, want %v", kind, name, got, known, c.want)
			}
		}
	}
}
