package events_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt"
	"sluice/events"
)

func pendingOf(list ...crdt.Entry) *events.Pending {
	p := events.NewPending()
	for _, e := range list {
		p.Put(events.PendingEntry{Entry: e, Accepted: true})
	}
	return p
}

func wantPending(t testing.TB, p *events.Pending, want ...crdt.Entry) {
	t.Helper()
	var got []crdt.Entry
	for _, e := range p.Entries() {
		got = append(got, e.Entry)
	}
	if diff := cmp.Diff(want, got); diff != "" || p.Len() != len(want) {
		t.Errorf("pending entries differ, length %d (-want +got):\n%s", p.Len(), diff)
	}
}

func wantReports(t testing.TB, got []events.Report, want ...events.Report) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reports differ (-want +got):\n%s", diff)
	}
}

func TestPendingKeepsTheGreatestOfAKey(t *testing.T) {
	p := events.NewPending()
	first, second := put("a", at(1, 1), "1"), put("a", at(2, 1), "2")
	p.Put(events.PendingEntry{Entry: second, Accepted: true})
	p.Put(events.PendingEntry{Entry: first, Own: true, Accepted: true})
	wantPending(t, p, second)
	if held, _ := p.Get("service/a"); held.Own {
		t.Error("a lesser entry made the greater one own")
	}
	p.Put(events.PendingEntry{Entry: second, Own: true})
	if held, _ := p.Get("service/a"); !held.Own || !held.Accepted {
		t.Errorf("the same entry again: %+v, want own and still accepted", held)
	}
}

func TestPendingWritesOnTheirWay(t *testing.T) {
	old, mine := put("a", at(1, 1), "old"), put("a", at(2, 1), "mine")
	start := func() *events.Pending {
		p := pendingOf(old)
		p.Put(events.PendingEntry{Entry: mine, Own: true})
		return p
	}
	visible := func(t *testing.T, p *events.Pending, readers, stampers crdt.Entry) {
		t.Helper()
		r, _ := events.Visible(nil, p, "service/a")
		s, _ := events.Greatest(nil, p, "service/a")
		if diff := cmp.Diff([]crdt.Entry{readers, stampers}, []crdt.Entry{r, s}); diff != "" {
			t.Errorf("readers and stampers see (-want +got):\n%s", diff)
		}
	}
	t.Run("count for stamping, not for readers", func(t *testing.T) {
		p := start()
		visible(t, p, old, mine)
		wantPending(t, p, old, mine)
	})
	t.Run("when refused give way to what was accepted", func(t *testing.T) {
		p := start()
		if !p.Drop(mine) || p.Drop(mine) {
			t.Error("drop does not tell whether it was there")
		}
		visible(t, p, old, old)
	})
	t.Run("when accepted replace it", func(t *testing.T) {
		p := start()
		for range 2 { // once more changes nothing
			if !p.Accept(mine) {
				t.Error("accept does not find what is there")
			}
		}
		if p.Accept(old) {
			t.Error("accept finds what is not there")
		}
		visible(t, p, mine, mine)
		wantPending(t, p, mine)
		if held, _ := p.Get("service/a"); !held.Own || !held.Accepted {
			t.Errorf("%+v", held)
		}
	})
	t.Run("are forgotten under a greater accepted one", func(t *testing.T) {
		p := start()
		newer := put("a", at(3, 1), "newer")
		p.Put(events.PendingEntry{Entry: newer, Accepted: true})
		wantPending(t, p, newer)
	})
	t.Run("stay over a lesser accepted one", func(t *testing.T) {
		p := start()
		between := put("a", crdt.Stamp{HLC: at(1, 1).HLC + 1, Node: 1 << 63}, "between")
		p.Put(events.PendingEntry{Entry: between, Accepted: true})
		wantPending(t, p, between, mine)
	})
	t.Run("drop takes the identical one only", func(t *testing.T) {
		p := start()
		if p.Drop(put("a", at(2, 1), "other")) || p.Drop(put("b", at(2, 1), "mine")) {
			t.Error("dropped another one")
		}
	})
}

// One case per sentence of rule 9 and per row of what simpler rules break.
func TestPendingRule9(t *testing.T) {
	fold := func(b *book, p *events.Pending, seconds uint64, e crdt.Entry) []events.Report {
		return p.Fold(b.state(), b.write(seconds, e))
	}
	t.Run("an applied entry takes the identical one out", func(t *testing.T) {
		b, e := begun(t), put("a", at(1, 1), "x")
		p := pendingOf(e)
		wantReports(t, fold(b, p, 1, e))
		wantPending(t, p)
	})
	t.Run("and a lesser one, on its way or not", func(t *testing.T) {
		b := begun(t)
		p := pendingOf(put("a", at(1, 1), "x"))
		p.Put(events.PendingEntry{Entry: put("a", at(2, 1), "y")})
		wantReports(t, fold(b, p, 3, put("a", at(3, 1), "z")))
		wantPending(t, p)
	})
	t.Run("but not a greater one, nor one of another key", func(t *testing.T) {
		b := begun(t)
		greater, other := put("a", at(4, 1), "x"), put("b", at(1, 1), "x")
		p := pendingOf(greater, other)
		wantReports(t, fold(b, p, 4, put("a", at(3, 1), "z")))
		wantPending(t, p, greater, other)
	})
	t.Run("a raw write takes out what is not later than its new stamp", func(t *testing.T) {
		b := begun(t)
		later := put("b", at(9, 1), "later")
		p := pendingOf(put("a", at(3, 1), "x"), later)
		fold(b, p, 4, raw("a", "raw"))
		fold(b, p, 4, raw("b", "raw"))
		wantPending(t, p, later)
	})
	t.Run("a rejected future write takes out itself only, and is reported", func(t *testing.T) {
		b := begun(t)
		good, future := put("a", at(1, 1), "good"), put("a", at(90, 2), "future")
		p := pendingOf(good)
		wantReports(t, fold(b, p, 2, future), events.Report{Entry: future, Reason: events.ReasonFuture})
		wantPending(t, p, good)
		p = pendingOf(future)
		wantReports(t, fold(b, p, 3, future), events.Report{Entry: future, Reason: events.ReasonFuture})
		wantPending(t, p)
	})
	t.Run("an expired write takes out itself and older ones, each reported once", func(t *testing.T) {
		b := begun(t)
		older, expired := put("a", at(1, 1), "older"), put("a", at(2, 1), "expired")
		p := pendingOf(older)
		wantReports(t, fold(b, p, 450, expired),
			events.Report{Entry: expired, Reason: events.ReasonExpired}, events.Report{Entry: older, Reason: events.ReasonExpired})
		wantPending(t, p)
		p = pendingOf(expired)
		wantReports(t, fold(b, p, 450, expired), events.Report{Entry: expired, Reason: events.ReasonExpired})
		wantPending(t, p)
	})
	t.Run("a rejected write that the map beats is not reported", func(t *testing.T) {
		b := begun(t)
		b.write(440, put("a", at(440, 1), "newer"))
		p := pendingOf()
		wantReports(t, fold(b, p, 450, put("a", at(2, 1), "expired")))
	})
	t.Run("time alone expires what is pending, at every replica with the same message", func(t *testing.T) {
		b := begun(t)
		old, edge := put("a", at(1, 1), "x"), put("b", at(2, 1), "x")
		p := pendingOf(old, edge)
		wantReports(t, p.Fold(b.state(), b.tick(402)), events.Report{Entry: old, Reason: events.ReasonExpired})
		wantPending(t, p, edge)
		wantReports(t, p.Fold(b.state(), b.tick(403)), events.Report{Entry: edge, Reason: events.ReasonExpired})
		wantPending(t, p)
	})
	t.Run("a genesis takes out what its map beats", func(t *testing.T) {
		b := newBook(t)
		lesser, greater := put("a", at(1, 1), "x"), put("b", at(2, 1), "x")
		p := pendingOf(lesser, greater)
		e := b.genesis(3, events.Genesis{ID: "g", Params: params(), Ref: begin, Map: mapOf(put("a", at(2, 1), "y"), put("b", at(1, 1), "y"))})
		wantReports(t, p.Fold(b.state(), e))
		wantPending(t, p, greater)
	})
}

// Whatever happens, nothing pending is beaten by the state or expired (I7), and a sweep
// after a step finds nothing that the step should have found.
func TestPendingHoldsNothingPointless(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, p, now := begun(t), events.NewPending(), uint64(0)
		draw := func(rt *rapid.T) crdt.Entry {
			e := put(rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key"),
				at(rapid.Uint64Range(0, now+40).Draw(rt, "stamp"), rapid.Uint64Range(1, 2).Draw(rt, "node")), "x")
			return e
		}
		rt.Repeat(map[string]func(*rapid.T){
			"accept": func(rt *rapid.T) {
				e := draw(rt)
				if known, ok := b.state().Map.Get(e.Key); ok && known.Compare(e) >= 0 || e.Stamp.Millis()+400*second < b.state().Ref {
					return
				}
				p.Put(events.PendingEntry{Entry: e, Accepted: rapid.Bool().Draw(rt, "accepted")})
			},
			"fold": func(rt *rapid.T) {
				now += rapid.Uint64Range(0, 150).Draw(rt, "later")
				p.Fold(b.state(), b.write(now, draw(rt)))
			},
			"": func(rt *rapid.T) {
				before := p.Entries()
				if gone := p.Sweep(b.state()); len(gone) > 0 || len(p.Entries()) != len(before) {
					rt.Fatalf("a sweep of %v reports %v and leaves %v", before, gone, p.Entries())
				}
			},
		})
	})
}
