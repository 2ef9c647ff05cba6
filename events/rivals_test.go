package events_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/crdt"
	"sluice/events"
)

// What competed can be found in the log alone, by any replica and after any restart.
func TestRivals(t *testing.T) {
	const base = uint64(1_800_000_000_000)
	stamp := func(ms uint64) crdt.Stamp { return crdt.Stamp{HLC: (base + ms) << 16, Node: 1<<63 | 5} }
	raw := crdt.Stamp{HLC: (base + 50) << 16, Node: 6}
	rivals := events.NewRivals()
	for i, c := range []struct {
		name   string
		stamp  crdt.Stamp
		seen   string
		result events.Result
		want   *events.Conflict
	}{
		{"the first", stamp(10), "none", "", nil},
		{"one that knew it", stamp(20), stamp(10).String(), "", nil},
		{"one that did not", stamp(30), stamp(10).String(), "", &events.Conflict{Stamp: stamp(20).String(), Actor: "actor-1"}},
		{"one that came late", stamp(25), stamp(20).String(), "", &events.Conflict{Stamp: stamp(30).String(), Actor: "actor-2", Won: true}},
		{"a copy of one that the winner knew", stamp(10), "none", "", nil},
		{"one without stamp", crdt.Stamp{}, "", "", nil},
		{"one that did not know that", stamp(60), stamp(30).String(), "", &events.Conflict{Stamp: raw.String(), Actor: "actor-5"}},
		{"one that was rejected", stamp(90), "none", events.ResultFuture, nil},
		{"one after that", stamp(70), stamp(60).String(), events.ResultApplied, nil},
		{"a late copy that it knew", stamp(60), stamp(30).String(), "", nil},
	} {
		e := events.EntryEvent("test", crdt.Entry{Key: "service/a", Stamp: c.stamp, Value: fmt.Appendf(nil, `{"v":%d}`, i)})
		e.ID, e.Seen, e.Actor = fmt.Sprint("id-", i), c.seen, fmt.Sprint("actor-", i)
		data, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(int64(base) + min(int64(i)*10, 50))
		got := rivals.Read(events.Message{Seq: uint64(i + 1), Time: at, Data: data}, c.result)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if got := rivals.Read(events.Message{Seq: 99, Data: []byte("no event")}, ""); got != nil {
		t.Errorf("no event: %v", got)
	}
}

// What a reader of a long log remembers grows with the keys, not with the events.
func TestRivalsRememberFewWritersOfAKey(t *testing.T) {
	const keys, writes = 100, 500
	rivals, before := events.NewRivals(), heap()
	for i := range uint64(keys * writes) {
		stamp := crdt.Stamp{HLC: i + 1, Node: 1<<63 | 5}
		e := events.EntryEvent("test", crdt.Entry{Key: fmt.Sprint("service/s", i%keys), Stamp: stamp, Value: []byte(`{}`)})
		e.Actor, e.Seen = "ci", crdt.Stamp{HLC: max(i, keys) - keys + 1, Node: 1<<63 | 5}.String()
		data, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got := rivals.Read(events.Message{Seq: i + 1, Data: data}, ""); got != nil {
			t.Fatalf("write %d: %+v", i, got)
		}
	}
	per := (heap() - before) / keys
	runtime.KeepAlive(rivals)
	if t.Logf("%d bytes a key, %.2f an event", per, float64(per)/writes); per > 10_000 {
		t.Errorf("%d bytes a key after %d writes of each", per, writes)
	}
}

// heap is what is in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
