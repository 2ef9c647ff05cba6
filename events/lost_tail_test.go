package events_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/crdt/hlc"
	"sluice/events"
)

// others makes writes of a process that is not under test.
func others(t *testing.T, names ...string) []events.Outgoing {
	t.Helper()
	node, err := hlc.NewNode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clock := hlc.New(time.Now)
	var out []events.Outgoing
	for _, name := range names {
		e := crdt.Entry{
			Key: "service/" + name, Value: []byte(`{"v":"other"}`),
			Stamp: crdt.Stamp{HLC: clock.Next(0), Node: node},
		}
		data, err := events.EntryEvent("/other", e).Encode()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, events.Outgoing{Subject: testLog.Event(e.Key), ID: e.Stamp.String(), Data: data})
	}
	return out
}

// Rule 16. The consumer has delivered the old 3 and 4, the log loses them and grows to 5;
// the consumer goes on with 5. The anchor of 5 is right, the state is not: only reading
// again from the audited point can tell.
func TestConsumerThatLivesOnOverALostTail(t *testing.T) {
	log, kept := newMemLog(), &shelf{}
	rare := func(c *events.ReplicaConfig) { c.AuditEvery = 300 * time.Millisecond }
	a := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { rare(c); withShelf(kept)(c) })
	a.fresh()
	a.put("first", `{"v":1}`)
	a.put("lost-1", `{"v":2}`)
	a.put("lost-2", `{"v":3}`)
	log.loseTail(2, others(t, "new-1", "new-2", "new-3")...)
	for _, name := range []string{"new-1", "new-2", "new-3"} {
		a.holds(name, `{"v":"other"}`)
	}
	settled := func(v events.View) bool {
		info, err := log.Info(t.Context())
		return err == nil && v.Stale == "" && v.Pending == 0 && v.Seq == info.Last
	}
	a.until("settled", settled)
	for name, doc := range map[string]string{"first": `{"v":1}`, "lost-1": `{"v":2}`, "lost-2": `{"v":3}`} {
		a.holds(name, doc)
	}
	b := runReplica(t, log, func() {}, rare)
	b.until("settled", settled)
	if x, y := a.View(), b.View(); x.Digest != y.Digest || x.Seq != y.Seq {
		t.Errorf("digests %x at %d, and of a newcomer %x at %d", x.Digest, x.Seq, y.Digest, y.Seq)
	}
	a.stop()
	snap, err := kept.Load(t.Context())
	if err != nil || snap.State.Map.Digest() != b.View().Digest {
		t.Errorf("the snapshot is not the state of the log: %+v, %v", snap, err)
	}
}

// The tail is lost while a session begins, after the log told its end: the consumer waits for
// messages that nobody will write, since this replica takes no writes before it has them.
func TestTailLostWhileASessionBegins(t *testing.T) {
	for _, when := range []string{"opened", "audited point read"} {
		t.Run(when, func(t *testing.T) {
			log := newMemLog()
			var lose atomic.Bool
			lost := func() {
				if lose.CompareAndSwap(true, false) {
					log.loseTail(1)
				}
			}
			if log.opened = lost; when != "opened" {
				log.opened, log.got = nil, lost
			}
			r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.AuditEvery = 300 * time.Millisecond })
			r.fresh()
			last := r.put("a", `{"v":1}`)
			lose.Store(true)
			r.until("offered again", func(v events.View) bool {
				seq, err := log.LastOf(t.Context(), testLog.Event("service/a"))
				return !lose.Load() && err == nil && seq == last.Seq && v.Pending == 0 && v.Stale == ""
			})
			r.holds("a", `{"v":1}`)
		})
	}
}

// What the fold made of a lost message says nothing about the one that took its place.
func TestVerdictIsOfTheLogThatServes(t *testing.T) {
	log := newMemLog()
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.AuditEvery = 300 * time.Millisecond })
	r.fresh()
	nonsense := events.Outgoing{Subject: testLog.Event("service/x"), Data: []byte("nonsense")}
	seq, err := log.Append(t.Context(), nonsense)
	if err != nil {
		t.Fatal(err)
	}
	r.until("folded", func(v events.View) bool { return v.Seq == seq })
	log.loseTail(1)
	r.until("set back", func(v events.View) bool { return v.Seq == seq-1 && v.Stale == "" })
	if got := r.put("a", `{"v":1}`); got.Seq != seq || got.Result != events.ResultApplied {
		t.Errorf("receipt %+v, want it applied at %d", got, seq)
	}
}

// A log of a newer program is no reason to stop serving what there is.
func TestUnknownFoldVersionKeepsServing(t *testing.T) {
	log := newMemLog()
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.AuditEvery = 300 * time.Millisecond })
	r.fresh()
	last := r.put("a", `{"v":1}`)
	g := events.Genesis{ID: "newer", Params: events.DefaultParams(), Ref: uint64(time.Now().UnixMilli()), Map: crdt.NewMap()}
	m, err := g.Message(testLog, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Data = bytes.Replace(m.Data, []byte(`"version":1`), []byte(`"version":2`), 1)
	log.loseTail(int(last.Seq), m)
	r.until("told what to do", func(v events.View) bool {
		return v.Stale != "" && strings.Contains(v.Problem, "newer version of this program")
	})
	r.holds("a", `{"v":1}`)
}

func TestHeadlessLogNeedsASnapshot(t *testing.T) {
	s, kept := startServer(t), &shelf{}
	a := startReplica(s, withShelf(kept))
	a.fresh()
	last := a.put("a", `{"v":1}`)
	a.stop()
	s.trim(last.Seq)
	kept.set(true)
	b := startReplica(s, withShelf(kept))
	b.until("told that the snapshot is out of reach", func(v events.View) bool {
		return strings.Contains(v.Problem, errDown.Error()) && !strings.Contains(v.Problem, "sluice recover")
	})
	c := startReplica(s, nil)
	c.until("told that there is none", func(v events.View) bool { return strings.Contains(v.Problem, "sluice recover new-log") })
	kept.set(false)
	b.fresh()
	b.holds("a", `{"v":1}`)
	if v := b.View(); v.Problem != "" {
		t.Errorf("still told: %s", v.Problem)
	}
}
