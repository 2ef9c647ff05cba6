package events_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

func TestFoldRule4(t *testing.T) {
	t.Run("position, anchor and ref follow every message", func(t *testing.T) {
		b := begun(t)
		b.tick(10)
		b.message(12, names.Control("unknown"), []byte("x"))
		if s := b.state(); s.Seq() != 3 || s.Anchor != b.messages[2].Anchor() || s.Ref != begin+12*second || b.fold.Next() != 4 {
			t.Errorf("state at %d, ref %d, anchor %v", s.Seq(), s.Ref, s.Anchor)
		}
	})
	t.Run("ref never falls with a slower leader clock", func(t *testing.T) {
		b := begun(t)
		b.tick(100)
		b.tick(40)
		if b.state().Ref != begin+100*second {
			t.Errorf("ref %d", b.state().Ref)
		}
	})
	t.Run("a slower clock does not bring back what was collected", func(t *testing.T) {
		b := begun(t)
		old := put("a", at(1, 1), "old")
		b.write(2, old)
		b.write(3, removal("a", at(3, 1)))
		b.tick(500)
		b.tick(500) // sequence 5 collects
		b.lacks("a")
		wantResult(t, b.write(10, old), events.ResultExpired)
		b.lacks("a")
	})
	t.Run("the anchor has time, subject and data", func(t *testing.T) {
		m := events.Message{Seq: 4, Time: time.Unix(5, 6), Subject: "a", Data: []byte("b")}
		for name, other := range map[string]events.Message{
			"sequence": {Seq: 5, Time: m.Time, Subject: "a", Data: m.Data},
			"time":     {Seq: 4, Time: m.Time.Add(1), Subject: "a", Data: m.Data},
			"subject":  {Seq: 4, Time: m.Time, Subject: "b", Data: m.Data},
			"data":     {Seq: 4, Time: m.Time, Subject: "a", Data: []byte("a")},
		} {
			if m.Anchor() == other.Anchor() {
				t.Errorf("another %s, the same anchor", name)
			}
		}
		if m.Anchor() != (events.Message{Seq: 4, Time: m.Time.UTC(), Subject: "a", Data: []byte("b")}).Anchor() {
			t.Error("the time zone changes the anchor")
		}
	})
}

func TestFoldRule5(t *testing.T) {
	for name, c := range map[string]struct {
		entry crdt.Entry
		want  events.Result
	}{
		"a new key":                   {put("b", at(499, 1), "x"), events.ResultApplied},
		"a later stamp":               {put("a", at(471, 1), "x"), events.ResultApplied},
		"the greater node":            {put("a", at(470, 3), "x"), events.ResultApplied},
		"a delete of equal stamp":     {removal("a", at(470, 2)), events.ResultApplied},
		"the same again":              {put("a", at(470, 2), "held"), events.ResultBeaten},
		"an earlier stamp":            {put("a", at(469, 9), "x"), events.ResultBeaten},
		"the lesser node":             {put("a", at(470, 1), "x"), events.ResultBeaten},
		"lesser bytes":                {put("a", at(470, 2), "a"), events.ResultBeaten},
		"just not too far ahead":      {put("b", at(520, 1), "x"), events.ResultApplied},
		"too far ahead":               {put("b", crdt.Stamp{HLC: (begin + 520*second + 1) << 16, Node: 1 << 63}, "x"), events.ResultFuture},
		"absurdly far ahead":          {put("b", crdt.Stamp{HLC: 1<<64 - 1, Node: 1 << 63}, "x"), events.ResultFuture},
		"just young enough":           {put("b", at(100, 1), "x"), events.ResultApplied},
		"too old":                     {put("b", crdt.Stamp{HLC: (begin+100*second)<<16 - 1, Node: 1 << 63}, "x"), events.ResultExpired},
		"from the year 1970":          {put("b", crdt.Stamp{HLC: 5, Node: 1 << 63}, "x"), events.ResultExpired},
		"too old, though the key has": {removal("a", at(99, 1)), events.ResultExpired},
	} {
		t.Run(name, func(t *testing.T) {
			b := begun(t)
			b.tick(470)
			held := put("a", at(470, 2), "held")
			b.write(470, held)
			b.tick(500)
			prior, _ := b.state().Map.Get(c.entry.Key)
			e := b.write(480, c.entry) // the leader's clock went back: ref counts, not this
			wantResult(t, e, c.want)
			if diff := cmp.Diff([]crdt.Entry{c.entry, prior}, []crdt.Entry{e.Entry, e.Prior}); diff != "" {
				t.Errorf("entry and prior (-want +got):\n%s", diff)
			}
			if c.want == events.ResultApplied {
				b.holds(c.entry)
			} else {
				b.holds(held)
			}
			if (e.Reason == "") != (c.want == events.ResultApplied) {
				t.Errorf("reason %q", e.Reason)
			}
		})
	}
}

func TestFoldRule6(t *testing.T) {
	t.Run("a raw write gets the time of its arrival and its sequence", func(t *testing.T) {
		b := begun(t)
		e := b.write(30, raw("a", "x"))
		wantResult(t, e, events.ResultApplied)
		want := put("a", crdt.Stamp{HLC: (begin + 30*second) << 16, Node: 2}, "x")
		if e.Entry.Compare(want) != 0 {
			t.Errorf("entry %v, want %v", e.Entry, want)
		}
		b.holds(want)
	})
	t.Run("is later than a stamp ahead of it", func(t *testing.T) {
		b := begun(t)
		b.write(30, put("a", at(45, 1), "ahead"))
		e := b.write(31, raw("a", "x"))
		wantResult(t, e, events.ResultApplied)
		b.holds(put("a", crdt.Stamp{HLC: at(45, 1).HLC + 1, Node: 3}, "x"))
	})
	t.Run("two of one millisecond keep the order of the log", func(t *testing.T) {
		b := begun(t)
		b.write(30, raw("a", "z"))
		b.write(30, raw("a", "a"))
		b.holds(put("a", crdt.Stamp{HLC: (begin+30*second)<<16 + 1, Node: 3}, "a"))
	})
	t.Run("even the last moment of time is followed", func(t *testing.T) {
		last := put("a", crdt.Stamp{HLC: 1<<64 - 1, Node: 1<<64 - 1}, "z")
		b := newBook(t)
		b.genesis(0, events.Genesis{ID: "g", Params: params(), Ref: begin, Map: mapOf(last)})
		e := b.write(1, raw("a", "x"))
		wantResult(t, e, events.ResultApplied)
		b.holds(e.Entry)
	})
	t.Run("ref counts, not the message's own time", func(t *testing.T) {
		b := begun(t)
		b.tick(30)
		b.write(10, raw("a", "x"))
		b.holds(put("a", crdt.Stamp{HLC: (begin + 30*second) << 16, Node: 3}, "x"))
	})
}

func TestFoldRule8(t *testing.T) {
	tombstones := func(t *testing.T) *book {
		b := begun(t)
		b.write(1, removal("a", at(1, 1))) // 2
		b.write(2, put("b", at(1, 1), "live"))
		return b
	}
	t.Run("old tombstones go after every Nth sequence only", func(t *testing.T) {
		b := tombstones(t)
		b.tick(402) // 4
		b.holds(removal("a", at(1, 1)))
		b.tick(402) // 5
		b.lacks("a")
		b.holds(put("b", at(1, 1), "live"))
	})
	t.Run("exactly R old stays", func(t *testing.T) {
		b := tombstones(t)
		b.tick(401)
		b.tick(401)
		b.holds(removal("a", at(1, 1)))
	})
	for name, fifth := range map[string]func(*book){
		"a control message": func(b *book) { b.message(402, names.Control(events.ControlGenesis), []byte("{}")) },
		"an ignored one":    func(b *book) { b.message(402, names.Event("service/x"), []byte("{}")) },
		"a rejected write":  func(b *book) { b.write(402, put("c", at(900, 1), "x")) },
	} {
		t.Run("collects at the sequence of "+name, func(t *testing.T) {
			b := tombstones(t)
			b.tick(402)
			fifth(b)
			b.lacks("a")
		})
	}
}

func TestFoldIgnores(t *testing.T) {
	good, err := events.EntryEvent("test", put("a", at(1, 1), "x")).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]events.Message{
		"what cannot be decoded":         {Subject: names.Event("service/a"), Data: []byte("hello")},
		"a key under another's subject":  {Subject: names.Event("service/b"), Data: good},
		"an event on a control subject":  {Subject: names.Control("other"), Data: good},
		"an event in another namespace":  {Subject: "sluice.other.events.service.a", Data: good},
		"a second spelling of a subject": {Subject: names.Event("service/a") + ".", Data: good},
	} {
		t.Run(name, func(t *testing.T) {
			b := begun(t)
			e := b.message(1, m.Subject, m.Data)
			wantResult(t, e, events.ResultIgnored)
			if e.Reason == "" || b.state().Map.Len() != 0 || b.state().Seq() != 2 {
				t.Errorf("reason %q, %d entries, position %d", e.Reason, b.state().Map.Len(), b.state().Seq())
			}
		})
	}
}

func TestFoldRefusesGaps(t *testing.T) {
	b := begun(t)
	b.tick(1)
	before := *b.state()
	for _, seq := range []uint64{0, 1, 2, 4} {
		if _, err := b.fold.Step(events.Message{Seq: seq, Subject: names.Control(events.ControlTick)}); !errors.Is(err, events.ErrGap) {
			t.Errorf("sequence %d after 2: %v", seq, err)
		}
	}
	if *b.state() != before || b.fold.Next() != 3 {
		t.Error("a refused message changed the state")
	}
	if _, err := events.NewFold(names, "x").Step(events.Message{Seq: 2}); !errors.Is(err, events.ErrGap) {
		t.Errorf("a log without its head: %v", err)
	}
}

func TestFoldRefusesUnknownVersions(t *testing.T) {
	t.Run("of a genesis, whatever else it says", func(t *testing.T) {
		b := newBook(t)
		g, err := events.Genesis{ID: "g", Params: params(), Ref: begin, Map: crdt.NewMap()}.Message(names, nil)
		if err != nil {
			t.Fatal(err)
		}
		data := strings.Replace(string(g.Data), `"version":1,"r":400000`, `"version":2,"r":"?"`, 1)
		m := events.Message{Seq: 1, Subject: g.Subject, Data: []byte(data)}
		if _, err := b.fold.Step(m); !errors.Is(err, events.ErrFoldVersion) {
			t.Errorf("error %v", err)
		}
		if b.fold.Next() != 1 {
			t.Error("it was folded all the same")
		}
	})
	t.Run("of a state", func(t *testing.T) {
		s := begun(t).state()
		s.Params.Version = 2
		_, err := events.ResumeFold(names, s).Step(events.Message{Seq: 2})
		if !errors.Is(err, events.ErrFoldVersion) {
			t.Errorf("error %v", err)
		}
	})
}

func TestResumedFoldGoesOnAlike(t *testing.T) {
	b := begun(t)
	b.write(1, put("a", at(1, 1), "x"))
	resumed := events.ResumeFold(names, b.state().Clone())
	b.write(2, raw("a", "y"))
	b.write(3, removal("b", at(3, 1)))
	for _, m := range b.messages[2:] {
		if _, err := resumed.Step(m); err != nil {
			t.Fatal(err)
		}
	}
	wantSameState(t, resumed.State(), b.state())
}

func wantSameState(t testing.TB, got, want *events.State) {
	t.Helper()
	type plain struct {
		ID      string
		Params  events.Params
		Ref     uint64
		Anchor  events.Anchor
		Digest  uint64
		Entries []crdt.Entry
	}
	view := func(s *events.State) plain {
		return plain{s.StreamID, s.Params, s.Ref, s.Anchor, s.Map.Digest(), s.Map.Sorted()}
	}
	if diff := cmp.Diff(view(want), view(got)); diff != "" {
		t.Errorf("states differ (-want +got):\n%s", diff)
	}
}
