package events_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/crdt"
	"sluice/events"
)

// pad is a journal in memory that can fail.
type pad struct {
	mu    sync.Mutex
	list  []events.Event
	full  bool
	torn  bool // nothing can be read
	limit int  // how many events more than after the last Forget make it crowded; 0: none

	head         int // how many events there were at the start, or were kept
	from         uint64
	loads, tries int // of Load and Forget
	// appended, if not nil, is called before Append returns.
	appended func([]events.Event)
}

var _ events.Journal = (*pad)(nil)

var errFull = errors.New("disk full")

func (p *pad) Append(list []events.Event) error {
	p.mu.Lock()
	full, appended := p.full, p.appended
	if !full {
		p.list = append(p.list, list...)
	}
	p.mu.Unlock()
	if full {
		return errFull
	}
	if appended != nil {
		appended(list)
	}
	return nil
}

func (p *pad) Load() ([]events.Event, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loads++
	if p.torn {
		return nil, errors.New("damaged")
	}
	if p.loads == 1 {
		p.head = len(p.list)
	}
	return slices.Clone(p.list), nil
}

func (p *pad) Mark() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.from + uint64(len(p.list)-p.head)
}

func (p *pad) Forget(mark uint64, keep []events.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tries++; p.full || p.torn {
		return errFull
	}
	p.list = append(slices.Clone(keep), p.list[p.head+int(mark-p.from):]...)
	p.head, p.from = len(keep), mark
	return nil
}

func (p *pad) Crowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit > 0 && len(p.list) > 2*p.head+p.limit
}

func (p *pad) set(change func(*pad)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *pad) calls() (loads, tries int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loads, p.tries
}

func (p *pad) holds(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.list, func(e events.Event) bool { return e.Subject == "service/"+name })
}

func (p *pad) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.list)
}

func TestChangesWithoutTheLog(t *testing.T) {
	s, kept, journal := startServer(t), &shelf{}, &pad{}
	told := make(chan events.Event, 100)
	with := func(c *events.ReplicaConfig) {
		c.Snapshots, c.Journal = []events.Snapshots{kept}, journal
		c.Broadcast = func(list []events.Event) {
			for _, e := range list {
				told <- e
			}
		}
	}
	a := startReplica(s, with)
	a.fresh()
	last := a.put("old", `{"v":1}`)
	a.until("saved", func(events.View) bool { return kept.seq() >= last.Seq })
	s.stop()
	a.stalled()

	t.Run("are accepted, visible, kept and told", func(t *testing.T) {
		receipt := a.put("new", `{"v":2}`)
		if receipt.Seq != 0 || receipt.Stamp.IsZero() || receipt.EventID == "" {
			t.Errorf("receipt %+v", receipt)
		}
		a.holds("new", `{"v":2}`)
		if e := <-told; e.Stamp != receipt.Stamp {
			t.Errorf("told of %v, want %v", e, receipt.Stamp)
		}
		if journal.len() != 1 || a.View().Pending != 1 {
			t.Errorf("%d on disk, %d pending", journal.len(), a.View().Pending)
		}
	})
	t.Run("but not with a condition", func(t *testing.T) {
		for _, c := range []events.Change{{IfMatch: "*"}, {IfAbsent: true}} {
			c.Key, c.Value = "service/old", []byte(`{"v":3}`)
			if _, err := a.Write(t.Context(), c); !errors.Is(err, events.ErrUnavailable) {
				t.Errorf("write: %v", err)
			}
		}
		a.holds("old", `{"v":1}`)
	})
	t.Run("not if they cannot be kept", func(t *testing.T) {
		journal.mu.Lock()
		journal.full = true
		journal.mu.Unlock()
		if _, err := a.Write(t.Context(), events.Change{Key: "service/lost", Value: []byte(`{}`)}); !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("write: %v", err)
		}
		if e, ok := a.Entry("service/lost"); ok {
			t.Errorf("what was refused is visible: %v", e)
		}
		journal.mu.Lock()
		journal.full = false
		journal.mu.Unlock()
	})
	t.Run("a removal of what is not there changes nothing", func(t *testing.T) {
		receipt, err := a.Write(t.Context(), events.Change{Key: "service/never", Delete: true})
		if err != nil || !receipt.NoOp || journal.len() != 1 {
			t.Errorf("receipt %+v, %v", receipt, err)
		}
	})
	t.Run("they outlive the process", func(t *testing.T) {
		a.stop()
		a = startReplica(s, with)
		a.until("serving the snapshot", func(v events.View) bool { return v.Restored && v.Stale != "" })
		a.holds("new", `{"v":2}`)
		a.holds("old", `{"v":1}`)
	})
	t.Run("and get into the log when it is back", func(t *testing.T) {
		s.start()
		a.until("all is in the log", func(v events.View) bool { return v.Stale == "" && v.Pending == 0 })
		b := startReplica(s, nil)
		b.holds("new", `{"v":2}`)
		b.fresh()
		a.until("nothing is kept", func(events.View) bool { a.put("tick", `{}`); return journal.len() == 0 })
	})
}

// A write that was accepted stays, though one with a condition came after it and was refused.
func TestAcceptedChangeOutlivesARefusedOne(t *testing.T) {
	log, journal := newMemLog(), &pad{}
	var down atomic.Bool
	arrived, release := make(chan struct{}), make(chan struct{})
	log.intercept = func(m events.Outgoing) error {
		if !down.Load() || m.Subject != testLog.Event("service/a") {
			return nil
		}
		select {
		case arrived <- struct{}{}:
			<-release
		case <-release:
		}
		return events.ErrUnavailable
	}
	r := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) { c.Journal = journal })
	r.fresh()
	first := r.put("a", `{"v":0}`)
	down.Store(true)
	results := []chan error{make(chan error, 1), make(chan error, 1)}
	for i, match := range []string{"", first.Stamp.String()} {
		go func() {
			_, err := r.Write(t.Context(), events.Change{Key: "service/a", Value: fmt.Appendf(nil, `{"v":%d}`, i+1), IfMatch: match})
			results[i] <- err
		}()
		<-arrived
	}
	close(release)
	if err := <-results[0]; err != nil {
		t.Fatal(err)
	}
	if err := <-results[1]; !errors.Is(err, events.ErrUnavailable) {
		t.Fatalf("with a condition: %v", err)
	}
	r.holds("a", `{"v":1}`)
	if journal.len() == 0 {
		t.Error("it is not kept")
	}
	down.Store(false)
	r.until("in the log", func(v events.View) bool { return v.Pending == 0 })
	r.holds("a", `{"v":1}`)
}

// What another replica tells is visible here, and gets into the log from here if its own
// replica never comes back.
func TestChangesOfOthersAreOffered(t *testing.T) {
	s, journal := startServer(t), &pad{}
	a := startReplica(s, func(c *events.ReplicaConfig) { c.Journal = journal })
	a.fresh()
	a.put("x", `{}`)
	e, _ := a.Entry("service/x")
	heard := crdt.Entry{Key: "service/heard", Stamp: crdt.Stamp{HLC: e.Stamp.HLC + 1, Node: 1<<63 | 5}, Value: []byte(`{"v":1}`)}
	future := crdt.Entry{Key: "service/future", Stamp: crdt.Stamp{HLC: e.Stamp.HLC + 60_000<<16, Node: 1<<63 | 5}, Value: []byte(`{"v":1}`)}
	a.Admit([]events.Event{events.EntryEvent("peer", heard), events.EntryEvent("peer", future)})
	a.holds("heard", `{"v":1}`)
	a.holds("future", "")
	if journal.len() != 1 || len(a.Accepted()) != 1 {
		t.Errorf("%d on disk, %d accepted", journal.len(), len(a.Accepted()))
	}
}

// What no log takes any more is told, with who asked for it.
func TestGivenUpChangesAreTold(t *testing.T) {
	old := crdt.Entry{Key: "service/old", Stamp: crdt.Stamp{HLC: uint64(time.Now().Add(-40*24*time.Hour).UnixMilli()) << 16, Node: 1<<63 | 5}, Value: []byte(`{"v":1}`)}
	event := events.EntryEvent("before", old)
	event.Actor = "ann"
	a := runReplica(t, newMemLog(), func() {}, func(c *events.ReplicaConfig) { c.Journal = &pad{list: []events.Event{event}} })
	a.until("given up", func(v events.View) bool { return v.Rejected == 1 && v.Pending == 0 })
	list := a.Rejected()
	if len(list) != 1 || list[0].Key != old.Key || list[0].Actor != "ann" || list[0].Stamp != old.Stamp.String() || list[0].Result != events.ResultExpired {
		t.Errorf("given up: %+v", list)
	}
	a.holds("old", "")
	t.Run("at once if there is a state", func(t *testing.T) {
		log, kept := newMemLog(), &shelf{}
		before := runReplica(t, log, func() {}, withShelf(kept))
		before.fresh()
		last := before.put("x", `{"v":1}`)
		before.stop()
		if kept.seq() != last.Seq {
			t.Fatalf("the snapshot is of %d, want %d", kept.seq(), last.Seq)
		}
		a := runReplica(t, log, func() {}, func(c *events.ReplicaConfig) {
			c.Snapshots, c.Journal = []events.Snapshots{kept}, &pad{list: []events.Event{event}}
		})
		a.fresh()
		if list := a.Rejected(); len(list) != 1 || list[0].Actor != "ann" {
			t.Errorf("given up: %+v", list)
		}
		if v := a.View(); v.Pending != 0 || v.Problem != "" {
			t.Errorf("%d pending, problem %q", v.Pending, v.Problem)
		}
	})
}

// A journal that cannot be read is an operator's business, and no reason not to serve.
func TestUnreadableJournalIsToldAndKeepsNobodyFromServing(t *testing.T) {
	a := runReplica(t, newMemLog(), func() {}, func(c *events.ReplicaConfig) { c.Journal = &pad{torn: true} })
	a.until("it serves, and tells", func(v events.View) bool { return v.Restored && strings.Contains(v.Problem, "damaged") })
	a.put("x", `{"v":1}`)
}
