package events_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"sluice/events"
)

// FuzzGenesis: whatever stands where chunks and genesis belong, two replicas make the same
// of it, nothing panics, and a state that begins can be kept as a snapshot.
func FuzzGenesis(f *testing.F) {
	for _, m := range []events.Genesis{
		{ID: "blank", Params: params(), Ref: begin, Map: mapOf()},
		{ID: "one", Params: params(), Ref: begin, Map: mapOf(put("a", at(1, 1), "x"), removal("b", at(2, 2)))},
	} {
		chunks, err := m.Chunks(names)
		if err != nil {
			f.Fatal(err)
		}
		seqs, first := []uint64{}, []byte("{}")
		if len(chunks) > 0 {
			seqs, first = []uint64{1}, chunks[0].Data
		}
		out, err := m.Message(names, seqs)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(first, out.Data)
	}
	f.Fuzz(func(t *testing.T, chunk, genesis []byte) {
		a, b := beginning(t, chunk, genesis), beginning(t, chunk, genesis)
		if (a == nil) != (b == nil) {
			t.Fatal("two folds disagree")
		}
		if a == nil {
			return
		}
		one, err := events.Snapshot{Namespace: "x", State: a}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		two, err := events.Snapshot{Namespace: "x", State: b}.Encode()
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("two folds disagree: %v", err)
		}
		if _, err := events.DecodeSnapshot(one); err != nil {
			t.Fatal(err)
		}
	})
}

// beginning folds a log of two messages.
func beginning(t *testing.T, chunk, genesis []byte) *events.State {
	t.Helper()
	fold := events.NewFold(names, "stream-1")
	for i, m := range []events.Message{
		{Subject: names.Control(events.ControlChunk), Data: chunk},
		{Subject: names.Control(events.ControlGenesis), Data: genesis},
	} {
		m.Seq, m.Time = uint64(i+1), time.UnixMilli(int64(begin))
		if _, err := fold.Step(m); err != nil && !errors.Is(err, events.ErrFoldVersion) {
			t.Fatal(err)
		}
	}
	return fold.State()
}

// FuzzSubjectKey: a subject names at most one key, and that key's subject is it.
func FuzzSubjectKey(f *testing.F) {
	f.Add(names.Event("service/a.b c"))
	f.Add(names.Event("service/=41"))
	f.Fuzz(func(t *testing.T, subject string) {
		key, ok := names.Key(subject)
		if ok && names.Event(key) != subject {
			t.Errorf("%q names %q, whose subject is %q", subject, key, names.Event(key))
		}
	})
}
