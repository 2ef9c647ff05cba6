package events_test

import (
	"fmt"
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
