package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
)

// heard is a write of another replica, as its event and as a message.
func heard(t *testing.T, name string) (events.Event, events.Outgoing) {
	t.Helper()
	m := others(t, name)[0]
	e, err := events.DecodeEvent(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return e, m
}

// The operator is told to restore the file or to remove it: until then it stays, whatever else
// is pending meanwhile, and then nobody has to restart anything.
func TestUnreadableJournalStays(t *testing.T) {
	log, j := newMemLog(), &pad{torn: true, full: true}
	lost, _ := heard(t, "lost")
	j.list = []events.Event{lost}
	log.intercept = func(m events.Outgoing) error {
		if m.Subject == testLog.Event("service/refused") {
			return events.ErrUnavailable
		}
		return nil
	}
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.Journal = j })
	r.fresh()
	theirs, message := heard(t, "theirs")
	r.Admit([]events.Event{theirs})
	r.holds("theirs", `{"v":"other"}`)
	if _, err := log.Append(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	r.until("nothing is pending", func(v events.View) bool { return v.Pending == 0 })
	refused := func() { // and lets the journal be looked at
		_, err := r.Write(t.Context(), events.Change{Key: "service/refused", Value: []byte(`{}`)})
		if !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("write: %v", err)
		}
	}
	refused()
	r.until("it was looked at again", func(events.View) bool { loads, _ := j.calls(); return loads > 1 })
	if _, tries := j.calls(); tries > 0 || r.View().Problem == "" {
		t.Errorf("forgotten %d times; problem %q", tries, r.View().Problem)
	}
	j.set(func(p *pad) { p.torn = false })
	refused()
	r.holds("lost", `{"v":"other"}`)
	j.set(func(p *pad) { p.full = false })
	r.until("all is in the log", func(v events.View) bool { return v.Problem == "" && v.Pending == 0 })
}

// guarded is a snapshot store that looks at the journal before it replaces what it has.
type guarded struct {
	*shelf
	before func(events.Snapshot)
}

func (g guarded) Save(ctx context.Context, s events.Snapshot) error {
	g.before(s)
	return g.shelf.Save(ctx, s)
}

// What the log has lost is in the old snapshot alone: the new one comes after the journal has
// it, so that no crash between can take it away.
func TestLostTailIsKeptBeforeTheSnapshotIsReplaced(t *testing.T) {
	log, j := newMemLog(), &pad{}
	var down, early atomic.Bool
	var last atomic.Uint64
	log.intercept = func(m events.Outgoing) error {
		if down.Load() && m.Subject != testLog.Event("service/later") {
			return events.ErrUnavailable // can be read, but not written
		}
		return nil
	}
	store := guarded{&shelf{}, func(s events.Snapshot) {
		if _, has := s.State.Map.Get("service/precious"); last.Load() > 0 && !has && !j.holds("precious") {
			early.Store(true)
		}
	}}
	with := func(c *events.ReplicaConfig) { c.Snapshots, c.Journal = []events.Snapshots{store}, j }
	a := runReplica(t, log, func() {}, with)
	a.fresh()
	a.put("first", `{}`)
	seq := a.put("precious", `{"v":2}`).Seq
	a.until("saved", func(events.View) bool { return store.seq() >= seq })
	last.Store(seq)
	j.set(func(p *pad) { p.full = true })
	down.Store(true)
	log.loseTail(1)
	a.until("rebuilt, and kept in vain", func(v events.View) bool {
		_, tries := j.calls()
		return v.Seq == seq-1 && v.Pending == 1 && tries > 0
	})
	a.holds("precious", `{"v":2}`)
	if store.seq() != seq {
		t.Errorf("the snapshot is of %d, want still %d", store.seq(), seq)
	}
	j.set(func(p *pad) { p.full = false })
	a.until("kept, then saved", func(events.View) bool { return store.seq() == seq-1 && j.holds("precious") })
	if early.Load() {
		t.Error("a snapshot was replaced before the journal had what it alone held")
	}
	a.stop()
	b := runReplica(t, log, func() {}, with) // finds what a crash would have left
	b.holds("precious", `{"v":2}`)
	down.Store(false)
	b.until("in the log", func(v events.View) bool { return v.Pending == 0 && v.Stale == "" })
	b.holds("precious", `{"v":2}`)
}

// A write that the log has stored and this replica could not fold in time is accepted: only the
// log would have it, and whoever asks for the same again would be told that it is kept here.
func TestStoredWriteThatIsNotFoldedIsKept(t *testing.T) {
	log, j := newMemLog(), &pad{}
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	log.deliver = func(m events.Message) {
		if m.Subject == testLog.Event("service/a") {
			<-release
		}
	}
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.Journal = j })
	r.fresh()
	if got := r.put("a", `{"v":1}`); got.Seq == 0 || got.Result != "" {
		t.Errorf("receipt %+v", got)
	}
	r.until("kept", func(events.View) bool { return j.holds("a") })
	free()
	r.until("folded", func(v events.View) bool { return v.Pending == 0 })
}

// outage is a replica whose log is out of reach and that has one write in the log.
func outage(t *testing.T, j *pad, change func(*events.ReplicaConfig)) *replica {
	t.Helper()
	s := startServer(t)
	r := startReplica(s, func(c *events.ReplicaConfig) {
		c.Journal = j
		if change != nil {
			change(c)
		}
	})
	r.fresh()
	r.put("a", `{"v":1}`)
	s.stop()
	r.stalled()
	return r
}

// further is the state of a replica that has read more of a log that lost its tail: it lacks what
// the map does.
func further(r *replica, m *crdt.Map) events.Transfer {
	t, _ := r.Export()
	at := t.State.Anchor
	at.Seq += 5
	return events.Transfer{State: &events.State{StreamID: t.State.StreamID, Params: t.State.Params, Ref: t.State.Ref, Anchor: at, Map: m}}
}

func TestAdoptionLosesNothingOnDisk(t *testing.T) {
	j := &pad{limit: 3}
	r := outage(t, j, nil)
	t.Run("what the adopted state lacks", func(t *testing.T) {
		if !r.Adopt(further(r, crdt.NewMap())) {
			t.Fatal("not adopted")
		}
		r.until("kept", func(events.View) bool { return j.holds("a") })
		r.holds("a", `{"v":1}`)
	})
	t.Run("what it has, as long as the log does not confirm it", func(t *testing.T) {
		r.put("b", `{"v":2}`)
		m := crdt.NewMap()
		for _, e := range r.Accepted() {
			m.Merge(e.Entry())
		}
		if !r.Adopt(further(r, m)) || r.View().Pending != 0 {
			t.Fatalf("not adopted: %+v", r.View())
		}
		_, before := j.calls()
		for i, tries := 0, before; tries == before; i++ {
			r.put("c", fmt.Sprintf(`{"v":%d}`, i))
			_, tries = j.calls()
		}
		for _, name := range []string{"a", "b", "c"} {
			if !j.holds(name) {
				t.Errorf("%s is on disk no more", name)
			}
		}
	})
}

// What is announced again and again during an outage is one change.
func TestAnnouncedAgainWithoutTheLog(t *testing.T) {
	var told atomic.Int32
	with := func(c *events.ReplicaConfig) { c.Broadcast = func([]events.Event) { told.Add(1) } }
	again := func(t *testing.T, r *replica, j *pad) {
		t.Helper()
		told.Store(0)
		first, kept := r.put("a", `{"v":2}`), j.len()
		if first.Seq != 0 || first.NoOp || told.Load() != 1 {
			t.Fatalf("receipt %+v, told %d times", first, told.Load())
		}
		if got := r.put("a", `{"v":2}`); got != first {
			t.Errorf("receipt %+v, want %+v", got, first)
		}
		if j.len() != kept || told.Load() != 1 || r.View().Pending != 1 {
			t.Errorf("%d more on disk, told %d times, %d pending", j.len()-kept, told.Load(), r.View().Pending)
		}
		if got := r.put("a", `{"v":3}`); got.Stamp == first.Stamp || told.Load() != 2 {
			t.Errorf("another value is not a change: %+v", got)
		}
		remove := events.Change{Key: "service/a", Delete: true}
		gone, err := r.Write(t.Context(), remove)
		if err != nil || gone.NoOp {
			t.Fatalf("removed: %+v, %v", gone, err)
		}
		if twice, err := r.Write(t.Context(), remove); err != nil || twice != gone {
			t.Errorf("removed again: %+v, %v, want %+v", twice, err, gone)
		}
	}
	t.Run("out of reach", func(t *testing.T) {
		j := &pad{}
		again(t, outage(t, j, with), j)
	})
	t.Run("read only", func(t *testing.T) {
		log, j := newMemLog(), &pad{}
		var down atomic.Bool
		log.intercept = func(events.Outgoing) error {
			if down.Load() {
				return events.ErrUnavailable
			}
			return nil
		}
		r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { with(c); c.Journal = j })
		r.fresh()
		r.put("a", `{"v":1}`)
		down.Store(true)
		again(t, r, j)
	})
	t.Run("unless the disk does not have it", func(t *testing.T) {
		j := &pad{}
		r := outage(t, j, with)
		theirs, _ := heard(t, "theirs")
		j.set(func(p *pad) { p.full = true })
		r.Admit([]events.Event{theirs})
		j.set(func(p *pad) { p.full = false })
		r.put("theirs", `{"v":"other"}`)
		if !j.holds("theirs") {
			t.Error("accepted, and not on disk")
		}
	})
}

// A long outage does not fill the disk with what was superseded.
func TestJournalIsCompacted(t *testing.T) {
	j := &pad{limit: 10}
	r := outage(t, j, nil)
	most := 0
	for i := range 200 {
		r.put(fmt.Sprint("s", i%3), fmt.Sprintf(`{"v":%d}`, i))
		most = max(most, j.len())
		for deadline := time.Now().Add(5 * time.Second); j.Crowded() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
	if most > 2*3+10+2 {
		t.Errorf("%d events on disk for 3 keys", most)
	}
	list, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Accepted() {
		if !slices.ContainsFunc(list, func(kept events.Event) bool { return kept.Stamp == e.Stamp }) {
			t.Errorf("%s %s is not on disk", e.Subject, e.Data)
		}
	}
}

// What is being appended while the journal is rewritten is not pending yet, and stays.
func TestJournalIsCompactedDuringAWrite(t *testing.T) {
	j := &pad{limit: 5}
	r := outage(t, j, nil)
	appended, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	j.set(func(p *pad) {
		p.appended = func(list []events.Event) {
			if list[0].Subject == "service/slow" {
				once.Do(func() { close(appended) })
				<-release
			}
		}
	})
	done := make(chan error, 1)
	go func() {
		_, err := r.Write(t.Context(), events.Change{Key: "service/slow", Value: []byte(`{}`)})
		done <- err
	}()
	<-appended
	for i, tries := 0, 0; tries == 0; i++ {
		r.put("fast", fmt.Sprintf(`{"v":%d}`, i))
		_, tries = j.calls()
	}
	if close(release); !j.holds("slow") {
		t.Error("it is on disk no more")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
