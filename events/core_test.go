package events_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
)

// Times of the tests are seconds after begin.
const (
	begin  = uint64(1_700_000_000_000) // milliseconds
	second = uint64(1000)
)

var names = events.Subjects{Namespace: "docker-flow"}

// params: R 400 s, F 20 s, collection at every fifth sequence.
func params() events.Params {
	return events.Params{Version: 1, R: 400 * time.Second, F: 20 * time.Second, N: 5}
}

// at is a stamp of one of the nodes 1, 2, … after so many seconds.
func at(seconds, node uint64) crdt.Stamp {
	return crdt.Stamp{HLC: (begin + seconds*second) << 16, Node: 1<<63 | node}
}

func put(name string, stamp crdt.Stamp, value string) crdt.Entry {
	return crdt.Entry{Key: "service/" + name, Stamp: stamp, Value: []byte(fmt.Sprintf(`{"v":%q}`, value))}
}

func removal(name string, stamp crdt.Stamp) crdt.Entry {
	return crdt.Entry{Key: "service/" + name, Stamp: stamp, Deleted: true}
}

func raw(name, value string) crdt.Entry { return put(name, crdt.Stamp{}, value) }

// book is a log in memory and a fold of it.
type book struct {
	t        testing.TB
	messages []events.Message
	fold     *events.Fold
	effects  []events.Effect
}

func newBook(t testing.TB) *book {
	return &book{t: t, fold: events.NewFold(names, "stream-1")}
}

// begun is a book whose first message is a blank genesis at second 0.
func begun(t testing.TB) *book {
	b := newBook(t)
	b.genesis(0, events.Genesis{ID: "first", Params: params(), Ref: begin, Map: crdt.NewMap()})
	return b
}

// message appends and folds one message at so many seconds; it returns the last effect.
func (b *book) message(seconds uint64, subject string, data []byte) events.Effect {
	b.t.Helper()
	m := events.Message{
		Seq:     uint64(len(b.messages)) + 1,
		Time:    time.UnixMilli(int64(begin + seconds*second)),
		Subject: subject, Data: data,
	}
	b.messages = append(b.messages, m)
	effects, err := b.fold.Step(m)
	if err != nil {
		b.t.Fatal(err)
	}
	b.effects = append(b.effects, effects...)
	if len(effects) == 0 {
		return events.Effect{}
	}
	return effects[len(effects)-1]
}

// write appends the event of an entry, a raw one if it has no stamp.
func (b *book) write(seconds uint64, e crdt.Entry) events.Effect {
	b.t.Helper()
	ev := events.EntryEvent("test", e)
	ev.ID = fmt.Sprintf("%d", len(b.messages))
	data, err := ev.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	return b.message(seconds, names.Event(e.Key), data)
}

func (b *book) tick(seconds uint64) events.Effect {
	b.t.Helper()
	return b.message(seconds, names.Control(events.ControlTick), events.Tick(names, "tick").Data)
}

// genesis appends the chunks and the message of g, all at one time.
func (b *book) genesis(seconds uint64, g events.Genesis) events.Effect {
	b.t.Helper()
	chunks, err := g.Chunks(names)
	if err != nil {
		b.t.Fatal(err)
	}
	var seqs []uint64
	for _, c := range chunks {
		b.message(seconds, c.Subject, c.Data)
		seqs = append(seqs, uint64(len(b.messages)))
	}
	m, err := g.Message(names, seqs)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.message(seconds, m.Subject, m.Data)
}

// state is the fold's state, which must be there.
func (b *book) state() *events.State {
	b.t.Helper()
	if b.fold.State() == nil {
		b.t.Fatal("no genesis counted")
	}
	return b.fold.State()
}

func (b *book) holds(want crdt.Entry) {
	b.t.Helper()
	if got, ok := b.state().Map.Get(want.Key); !ok || got.Compare(want) != 0 {
		b.t.Errorf("the map holds %v, want %v", got, want)
	}
}

func (b *book) lacks(name string) {
	b.t.Helper()
	if got, ok := b.state().Map.Get("service/" + name); ok {
		b.t.Errorf("the map holds %v", got)
	}
}

func wantResult(t testing.TB, e events.Effect, want events.Result) {
	t.Helper()
	if e.Result != want {
		t.Errorf("result %q (%s), want %q", e.Result, e.Reason, want)
	}
}

func mapOf(list ...crdt.Entry) *crdt.Map {
	m := crdt.NewMap()
	for _, e := range list {
		m.Merge(e)
	}
	return m
}

// sameEntries compares two maps without looking at their digests.
func sameEntries(a, b *crdt.Map) bool {
	return slices.EqualFunc(a.Sorted(), b.Sorted(), func(x, y crdt.Entry) bool {
		return x.Key == y.Key && x.Compare(y) == 0
	})
}
