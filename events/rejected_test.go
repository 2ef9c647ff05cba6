package events_test

import (
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
)

// A change that was given up is told once, however often the log is folded anew.
func TestRejectedChangeIsToldOnce(t *testing.T) {
	log := newMemLog()
	a := runReplica(t, log, func() {}, nil)
	a.fresh()
	old := uint64(time.Now().Add(-90 * 24 * time.Hour).UnixMilli())
	e := crdt.Entry{Key: "service/old", Stamp: crdt.Stamp{HLC: old << 16, Node: 1<<63 | 7}, Value: []byte(`{}`)}
	data, err := events.EntryEvent("/elsewhere", e).Encode()
	if err == nil {
		_, err = log.Append(t.Context(), events.Outgoing{Subject: testLog.Event(e.Key), ID: e.Stamp.String(), Data: data})
	}
	if err != nil {
		t.Fatal(err)
	}
	a.until("given up", func(v events.View) bool { return v.Rejected == 1 })
	for _, name := range []string{"one", "two"} { // the tail is lost: a rebuild meets it again
		a.put("lost-"+name, `{"v":1}`)
		log.loseTail(1, others(t, name)...)
		a.holds(name, `{"v":"other"}`)
		a.holds("lost-"+name, `{"v":1}`)
		a.fresh()
	}
	if list := a.Rejected(); len(list) != 1 || list[0].Key != e.Key || list[0].Stamp != e.Stamp.String() {
		t.Errorf("given up: %+v", list)
	}
}
