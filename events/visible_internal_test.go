package events

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"sluice/crdt"
)

// listed drives a replica by hand, without a log: what it does to the listing can then be
// chosen at random.
type listed struct {
	t       *rapid.T
	r       *Replica
	s       *session
	now     time.Time
	streams int
	log     []Message
	begun   []crdt.Entry // stamped, not answered yet
	handed  []handed
}

// handed is what a reader got, and a copy of it made at once.
type handed struct {
	got  []*crdt.Entry
	copy []crdt.Entry
}

func copied(list []*crdt.Entry) []crdt.Entry {
	out := make([]crdt.Entry, 0, len(list))
	for _, e := range list {
		out = append(out, *e)
	}
	return out
}

var listedSubjects = Subjects{Namespace: "test"}

// oneSnapshot is a store with a state in it.
type oneSnapshot struct{ Snapshot }

func (o oneSnapshot) Name() string                           { return "one" }
func (o oneSnapshot) Save(context.Context, Snapshot) error   { return nil }
func (o oneSnapshot) Load(context.Context) (Snapshot, error) { return o.Snapshot, nil }

func newListed(t *rapid.T) *listed {
	l := &listed{t: t, now: time.UnixMilli(2_000_000_000_000)}
	kept := &State{StreamID: "kept", Params: listedParams(), Ref: l.millis(0), Map: crdt.NewMap()}
	for _, key := range []string{"cert/a", "service/a", "service/kept"} {
		kept.Map.Merge(crdt.Entry{Key: key, Stamp: crdt.Stamp{HLC: l.millis(-time.Second) << 16, Node: 1}, Value: []byte(`{}`)})
	}
	var err error
	l.r, err = NewReplica(ReplicaConfig{
		Subjects: listedSubjects, Node: 1 << 63, Wall: func() time.Time { return l.now }, Logger: zerolog.Nop(),
		Snapshots: []Snapshots{oneSnapshot{Snapshot{Namespace: "test", Taken: l.now, State: kept}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.read()
	if rapid.Bool().Draw(t, "adopt") {
		if ok, err := l.r.adoptNewest(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		l.read()
	}
	l.rebuild(0)
	return l
}

func listedParams() Params {
	return Params{Version: FoldVersion, R: 100 * time.Second, F: 10 * time.Second, N: 3}
}

func (l *listed) millis(d time.Duration) uint64 { return uint64(l.now.Add(d).UnixMilli()) }

// rebuild goes on with the first keep messages of the log, or with a new one for none, and
// with what others have written to it meanwhile.
func (l *listed) rebuild(keep int, others ...crdt.Entry) {
	messages := slices.Clone(l.log[:keep])
	if keep == 0 {
		l.streams++
		g := Genesis{ID: "g", Params: listedParams(), Ref: l.millis(0), Map: crdt.NewMap()}
		m, err := g.Message(listedSubjects, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		messages = []Message{{Seq: 1, Time: l.now, Subject: m.Subject, Data: m.Data}}
	}
	id := fmt.Sprint("stream-", l.streams)
	for _, e := range others {
		messages = append(messages, l.message(e, false))
	}
	info := LogInfo{StreamID: id, First: 1, Last: uint64(len(messages))}
	l.s = &session{r: l.r, info: info, end: make(chan struct{}), counted: make(chan struct{})}
	l.s.steps, _ = l.r.core.Rebuild(info, nil)
	l.log = nil
	for _, m := range messages {
		l.fold(m)
	}
}

func (l *listed) fold(m Message) {
	m.Seq = uint64(len(l.log)) + 1
	l.log = append(l.log, m)
	if err := l.s.handle(m); err != nil {
		l.t.Fatal(err)
	}
}

func (l *listed) key() string {
	return rapid.SampledFrom([]string{"cert/a", "hook/a", "service/a", "service/b", "service/c", "servicf/a"}).Draw(l.t, "key")
}

func (l *listed) value() []byte {
	return fmt.Appendf(nil, `{"v":%d}`, rapid.IntRange(0, 1).Draw(l.t, "value"))
}

// message is an event of e, or a raw one.
func (l *listed) message(e crdt.Entry, raw bool) Message {
	event := EntryEvent("/test", e)
	if raw {
		event.Stamp = crdt.Stamp{}
		event.ID = "raw"
	}
	data, err := event.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	return Message{Time: l.now, Subject: listedSubjects.Event(e.Key), Data: data}
}

// another is a write of another replica.
func (l *listed) another() crdt.Entry {
	off := time.Duration(rapid.SampledFrom([]int{-130, -101, -60, -1, 0, 0, 1, 9, 30}).Draw(l.t, "off")) * time.Second
	return l.entry(l.millis(off)<<16, 2<<62|2)
}

func (l *listed) entry(hlc, node uint64) crdt.Entry {
	e := crdt.Entry{Key: l.key(), Stamp: crdt.Stamp{HLC: hlc, Node: node}, Deleted: rapid.Bool().Draw(l.t, "delete")}
	if !e.Deleted {
		e.Value = l.value()
	}
	return e
}

// next takes the write that began first.
func (l *listed) next() crdt.Entry {
	if len(l.begun) == 0 {
		l.t.Skip("no write has begun") // rapid draws another action instead: no check is left out
	}
	e := l.begun[0]
	l.begun = l.begun[1:]
	return e
}

// read compares the listing with one made from scratch.
func (l *listed) read() {
	got, _ := l.r.Live("")
	scratch := everyLive(l.r.core.State(), l.r.core.Pending())
	slices.SortFunc(scratch, func(a, b *crdt.Entry) int { return strings.Compare(a.Key, b.Key) })
	all, want := copied(got), copied(scratch)
	if !cmp.Equal(all, want) {
		l.t.Fatalf("listed, not visible (-), visible, not listed (+):\n%s", cmp.Diff(all, want))
	}
	got, _ = l.r.Live("service/")
	want = slices.DeleteFunc(want, func(e crdt.Entry) bool { return !strings.HasPrefix(e.Key, "service/") })
	if services := copied(got); !cmp.Equal(services, want) || l.r.Count("service/") != len(want) {
		l.t.Fatalf("services: %s", cmp.Diff(services, want))
	}
	got, _ = l.r.Live("")
	l.handed = append(l.handed, handed{got, all})
}

// TestListingIsWhatIsVisible is the law of Live: whatever happens to the state and to the
// pending layer, it is the listing from scratch, and what was handed out stays as it was.
func TestListingIsWhatIsVisible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newListed(t)
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) {
				e := l.entry(0, 0)
				if e, err := l.r.stamp(Change{Key: e.Key, Value: e.Value, Delete: e.Deleted}); err == nil {
					l.begun = append(l.begun, e)
				}
			},
			"stored": func(*rapid.T) {
				e := l.next()
				l.fold(l.message(e, false))
				l.r.settled(e)
			},
			"refused":    func(*rapid.T) { l.r.unstored(l.next(), false, false) },
			"unanswered": func(*rapid.T) { l.r.unstored(l.next(), true, false) },
			"in doubt":   func(*rapid.T) { l.r.unstored(l.next(), true, true) },
			"not folded": func(*rapid.T) { l.r.settled(l.next()) },
			"given up": func(t *rapid.T) {
				if held := l.r.core.Pending().Entries(); len(held) > 0 {
					l.r.drop(rapid.SampledFrom(held).Draw(t, "pending").Entry)
				}
			},
			"offered": func(t *rapid.T) {
				if held := l.r.offerable(); len(held) > 0 {
					l.fold(l.message(rapid.SampledFrom(held).Draw(t, "pending").Entry, false))
				}
			},
			"another's": func(*rapid.T) { l.fold(l.message(l.another(), false)) },
			"raw":       func(*rapid.T) { l.fold(l.message(l.entry(0, 0), true)) },
			"time passes": func(t *rapid.T) {
				l.now = l.now.Add(time.Duration(rapid.SampledFrom([]int{1, 60, 101}).Draw(t, "pass")) * time.Second)
			},
			"tail lost": func(t *rapid.T) { l.rebuild(rapid.IntRange(1, len(l.log)).Draw(t, "keep"), l.another()) },
			"log lost":  func(*rapid.T) { l.rebuild(0, l.another()) },
			"read":      func(*rapid.T) { l.read() },
			"read now":  func(*rapid.T) { l.read() },
		})
		l.read()
		for i, h := range l.handed {
			if got := copied(h.got); !cmp.Equal(got, h.copy) {
				t.Fatalf("listing %d was changed after it was handed out:\n%s", i, cmp.Diff(h.copy, got))
			}
		}
	})
}

// BenchmarkLive is one change and the listing after it.
func BenchmarkLive(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, err := NewReplica(ReplicaConfig{Subjects: listedSubjects, Logger: zerolog.Nop()})
			if err != nil {
				b.Fatal(err)
			}
			state := &State{StreamID: "s", Params: DefaultParams(), Map: crdt.NewMap()}
			change := func(i int) string {
				key := fmt.Sprintf("service/service-%d", i%n)
				state.Map.Merge(crdt.Entry{Key: key, Stamp: crdt.Stamp{HLC: uint64(i + 1), Node: 1}, Value: make([]byte, 800)})
				return key
			}
			for i := range n {
				change(i)
			}
			r.core.Adopt(Transfer{State: state}, true)
			r.touched.addAll()
			r.Live("")
			b.ReportAllocs()
			for i := n; b.Loop(); i++ {
				r.touched.add(change(i))
				if entries, _ := r.Live(""); len(entries) != n {
					b.Fatal(len(entries))
				}
			}
		})
	}
}
