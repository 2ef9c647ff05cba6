package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/crdt"
	"sluice/events"
)

// valueOf is a value of so many bytes.
func valueOf(size int) []byte {
	return []byte(`{"v":"` + strings.Repeat("x", size-len(`{"v":""}`)) + `"}`)
}

// longest is an attribute that is as long as it may be, and twice as long when it is written.
func longest() string { return strings.Repeat(`"`, 1024) }

// longKey is a key that is as long as it may be, likewise.
func longKey() string { return strings.Repeat("k", 16) + "/" + strings.Repeat(`\`, 200) }

// offered is e as a replica offers it that was told all there is to tell.
func offered(e events.Event, stamp crdt.Stamp) events.Event {
	e.Stamp, e.Seen, e.Time = stamp, stamp.String(), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	e.ID, e.Source, e.Actor, e.Origin, e.TraceParent = longest(), longest(), longest(), longest(), longest()
	return e
}

// headers is what a message needs beside its data, at most.
const headers = 4 << 10

// encodable fails unless a change that the log holds can be offered to another log, whatever that event says.
func encodable(t rapid.TB, e events.Event) {
	t.Helper()
	for name, again := range map[string]events.Event{
		"told":     offered(e, crdt.Stamp{HLC: math.MaxUint64, Node: math.MaxUint64}),
		"not told": events.EntryEvent("/sluice/namespace/name", crdt.Entry{Key: e.Subject, Stamp: crdt.Stamp{HLC: math.MaxUint64, Node: math.MaxUint64}, Deleted: e.Deleted, Value: e.Data}),
	} {
		data, err := again.Encode()
		if err != nil || len(data)+headers > events.MaxEvent {
			t.Fatalf("%s: %d bytes, %v", name, len(data), err)
		}
		back, err := events.DecodeEvent(data)
		if err != nil || back.Entry().Compare(again.Entry()) != 0 {
			t.Fatalf("%s: not the same again: %v", name, err)
		}
	}
}

// Whatever the fold admits can be offered again, with the stamp that it has got.
func TestWhatIsAdmittedCanBeOffered(t *testing.T) {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("a\"\\<&é\u2028\u2029😀")), 1, -1, 1024)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(20, 200), rapid.IntRange(events.MaxValue-20, events.MaxEvent)).Draw(t, "size")
		raw, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": text.Draw(t, "id"), "source": text.Draw(t, "source"), "actor": text.Draw(t, "actor"),
			"type": "sluice.service.put", "subject": "service/" + text.Filter(func(s string) bool { return len(s) <= 200 }).Draw(t, "name"),
			"data": json.RawMessage(valueOf(size)),
		})
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.DecodeEvent(raw)
		if fits := size <= events.MaxValue && len(raw) <= events.MaxEvent; (err == nil) != fits {
			t.Fatalf("a value of %d bytes: %v", size, err)
		}
		if err == nil {
			encodable(t, e)
		}
	})
	encodable(t, events.Event{Subject: longKey(), Data: valueOf(events.MaxValue)})
	encodable(t, events.Event{Subject: longKey(), Deleted: true})
}

// A log has room for it, with all that a message has beside its data.
func TestLargestChangeIsStored(t *testing.T) {
	e := offered(events.Event{Subject: longKey(), Data: valueOf(events.MaxValue)}, crdt.Stamp{HLC: uint64(time.Now().UnixMilli()) << 16, Node: 1 << 63})
	e.ID = strings.Repeat("i", 1024)
	r := startReplica(startServer(t), func(c *events.ReplicaConfig) { c.Journal = &pad{list: []events.Event{e}} })
	r.fresh()
	r.until("stored", func(v events.View) bool {
		got, _ := r.Entry(e.Subject)
		return v.Pending == 0 && got.Compare(e.Entry()) == 0
	})
}

// rawOf is what a client publishes that leaves out all it can.
func rawOf(name string, value []byte) events.Outgoing {
	return events.Outgoing{Subject: testLog.Event("service/" + name),
		Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"1","source":"c","type":"sluice.service.put","subject":"service/%s","data":%s}`, name, value)}
}

// A raw event is shorter than the one that offers it again after the log has lost its tail.
func TestLargestRawEventIsOffered(t *testing.T) {
	log, kept := newMemLog(), &shelf{}
	a := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) {
		withShelf(kept)(c)
		c.Journal, c.AuditEvery = &pad{}, 300*time.Millisecond
	})
	a.fresh()
	for _, m := range []events.Outgoing{rawOf("big", valueOf(events.MaxValue)), rawOf("bigger", valueOf(events.MaxValue+1))} {
		if _, err := log.Append(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	last := a.put("last", `{}`).Seq
	a.holds("big", string(valueOf(events.MaxValue)))
	a.holds("bigger", "")
	if result, reason := a.Verdict(last - 1); result != events.ResultIgnored || !strings.Contains(reason, "at most 245760") {
		t.Errorf("a larger one: %s, %s", result, reason)
	}
	before, _ := a.Entry("service/big")
	a.until("saved", func(events.View) bool { return kept.seq() >= last })
	log.loseTail(3)
	a.until("offered again", func(v events.View) bool {
		seq, err := log.LastOf(t.Context(), testLog.Event("service/big"))
		return err == nil && seq > 0 && v.Pending == 0 && v.Stale == "" && v.Seq >= seq
	})
	if after, _ := a.Entry("service/big"); after.Stamp != before.Stamp {
		t.Errorf("it has stamp %s now, want still %s", after.Stamp, before.Stamp)
	}
	a.until("saved again", func(v events.View) bool { return kept.seq() == v.Seq })
}

// What an older program has accepted and no log takes is reported, and holds up nobody.
func TestUnfitChangeHoldsUpNobody(t *testing.T) {
	e, _ := heard(t, "a-unfit")
	fit, _ := heard(t, "fit")
	for name, value := range map[string][]byte{
		"larger than a value may be": valueOf(events.MaxValue + 1), "larger than an event": valueOf(events.MaxEvent), "no object": []byte(`[]`),
	} {
		t.Run(name, func(t *testing.T) {
			unfit, log, j := e, newMemLog(), &pad{}
			unfit.Data = value
			j.list = []events.Event{unfit, fit}
			r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.Journal = j })
			r.fresh()
			r.until("nothing is pending", func(v events.View) bool { return v.Pending == 0 })
			r.holds("fit", `{"v":"other"}`)
			r.holds("a-unfit", "")
			got := r.Rejected()
			if len(got) != 1 || got[0].Key != unfit.Subject || got[0].Result != events.ReasonUnfit {
				t.Errorf("given up: %+v", got)
			}
			if last, err := log.LastOf(t.Context(), testLog.Event(unfit.Subject)); err != nil || last != 0 {
				t.Errorf("in the log at %d, %v", last, err)
			}
		})
	}
}

// It would come back from replica to replica, and be reported again and again.
func TestUnfitChangeIsNotAdmitted(t *testing.T) {
	r := outage(t, &pad{}, nil)
	e, _ := heard(t, "unfit")
	e.Data = valueOf(events.MaxValue + 1)
	if r.Admit([]events.Event{e}); r.View().Pending != 0 {
		t.Errorf("%d changes are pending", r.View().Pending)
	}
}

func TestUnfitChangeIsNotWritten(t *testing.T) {
	check := func(t *testing.T, r *replica) {
		t.Helper()
		_, err := r.Write(t.Context(), events.Change{Key: "service/x", Value: valueOf(events.MaxValue + 1)})
		if !errors.Is(err, events.ErrEvent) || !strings.Contains(err.Error(), "service/x") || r.View().Pending != 0 {
			t.Errorf("%v; %d pending", err, r.View().Pending)
		}
		r.put("x", string(valueOf(events.MaxValue)))
	}
	t.Run("with the log", func(t *testing.T) {
		r := runReplica(t, newMemLog(), func() {}, nil)
		r.fresh()
		check(t, r)
	})
	t.Run("without", func(t *testing.T) { check(t, outage(t, &pad{}, nil)) })
}

// Older programs have kept and told values up to the size of an event.
func TestEventsOfOlderProgramsAreRead(t *testing.T) {
	e, _ := heard(t, "old")
	e.Data = valueOf(events.MaxEvent - 1<<10)
	data, err := events.EncodeEvents([]events.Event{e})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := events.DecodeEvents(data); err != nil || len(back) != 1 || back[0].Entry().Compare(e.Entry()) != 0 {
		t.Errorf("%d events, %v", len(back), err)
	}
	if _, err := e.Encode(); !errors.Is(err, events.ErrEvent) {
		t.Errorf("for the log: %v", err)
	}
}
