package events_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/crdt"
	"sluice/crdt/hlc"
	"sluice/events"
)

// flock is a log and replicas of it that write, lag, lose their memory, lose the log's
// tail or find it recreated. It uses the real fold, pending layer and replacement, and
// keeps a record of every accepted write.
type flock struct {
	t        *rapid.T
	now      uint64 // seconds
	stream   int
	stored   int64 // messages ever stored: no two have one timestamp
	messages []events.Message
	members  []*member
	accepted []crdt.Entry
	reported []crdt.Entry
}

type member struct {
	node    uint64
	clock   *hlc.Clock
	fold    *events.Fold // following the log
	serving *events.State
	pending *events.Pending
}

func newFlock(t *rapid.T, n int) *flock {
	f := &flock{t: t, now: 10, stream: 1}
	for i := range n {
		m := &member{node: 1<<63 | uint64(i+1), pending: events.NewPending()}
		m.clock = hlc.New(func() time.Time { return time.UnixMilli(int64(begin + f.now*second)) })
		f.members = append(f.members, m)
	}
	f.genesis(crdt.NewMap(), begin+f.now*second)
	for _, m := range f.members {
		f.rebuild(m)
	}
	return f
}

func (f *flock) append(m events.Outgoing) uint64 {
	seq := uint64(len(f.messages)) + 1
	f.stored++
	f.messages = append(f.messages, events.Message{
		Seq: seq, Time: time.UnixMilli(int64(begin + f.now*second)).Add(time.Duration(f.stored)), Subject: m.Subject, Data: m.Data,
	})
	return seq
}

func (f *flock) genesis(m *crdt.Map, ref uint64) {
	g := events.Genesis{ID: fmt.Sprintf("g%d-%d", f.stream, len(f.messages)), Params: params(), Ref: ref, Map: m}
	chunks, err := g.Chunks(names)
	if err != nil {
		f.t.Fatal(err)
	}
	var seqs []uint64
	for _, c := range chunks {
		seqs = append(seqs, f.append(c))
	}
	out, err := g.Message(names, seqs)
	if err != nil {
		f.t.Fatal(err)
	}
	f.append(out)
}

func (f *flock) publish(e crdt.Entry) {
	ev := events.EntryEvent("flock", e)
	if ev.Raw() {
		ev.ID = "raw"
	}
	data, err := ev.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	f.append(events.Outgoing{Subject: names.Event(e.Key), Data: data})
}

// write accepts a change at m; it is published at once or left pending.
func (f *flock) write(m *member, name string, deleted, publish bool) {
	seen, _ := events.Greatest(m.serving, m.pending, "service/"+name)
	stamp := crdt.Stamp{HLC: m.clock.Next(seen.Stamp.HLC + 1), Node: m.node}
	e := put(name, stamp, fmt.Sprint(len(f.accepted)))
	if deleted {
		e = removal(name, stamp)
	}
	m.pending.Put(events.PendingEntry{Entry: e, Own: true, Accepted: true})
	f.accepted = append(f.accepted, e)
	if publish {
		f.publish(e)
	}
}

// step lets m fold the next message of the log, if it still follows this one.
func (f *flock) step(m *member) bool {
	if m.fold.Next() > uint64(len(f.messages)) || !f.valid(m) {
		return false
	}
	effects, err := m.fold.Step(f.messages[m.fold.Next()-1])
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range effects {
		f.report(m.pending.Fold(m.fold.State(), e))
	}
	return true
}

// valid is rule 15.
func (f *flock) valid(m *member) bool {
	s := m.serving
	return s.StreamID == fmt.Sprint(f.stream) && s.Seq() <= uint64(len(f.messages)) && f.messages[s.Seq()-1].Anchor() == s.Anchor
}

// rebuild folds the log from its beginning and replaces what m serves; without a genesis
// m writes one from its state (rule 18).
func (f *flock) rebuild(m *member) {
	fold := events.NewFold(names, fmt.Sprint(f.stream))
	for {
		for _, msg := range f.messages[fold.Next()-1:] {
			if _, err := fold.Step(msg); err != nil {
				f.t.Fatal(err)
			}
		}
		if fold.State() != nil {
			break
		}
		f.genesis(m.serving.Map, m.serving.Ref)
	}
	f.report(events.Replace(m.serving, fold.State(), m.pending))
	m.fold, m.serving = fold, fold.State()
}

func (f *flock) report(reports []events.Report) {
	for _, r := range reports {
		f.reported = append(f.reported, r.Entry)
	}
}

// settle lets everybody see and offer everything until nothing moves.
func (f *flock) settle() {
	for round := 0; ; round++ {
		if round > 20 {
			f.t.Fatal("pending changes never get into the log")
		}
		left := 0
		for _, m := range f.members {
			if !f.valid(m) {
				f.rebuild(m)
			}
			for f.step(m) {
			}
			for _, p := range m.pending.Entries() {
				f.publish(p.Entry)
				left++
			}
		}
		if left == 0 && f.allAtEnd() {
			return
		}
	}
}

func (f *flock) allAtEnd() bool {
	return !slices.ContainsFunc(f.members, func(m *member) bool { return m.fold.Next() <= uint64(len(f.messages)) })
}

// loseTail drops the last n messages; those who had folded them find out by rule 15 at
// the latest when they step.
func (f *flock) loseTail(n int) {
	f.messages = f.messages[:max(len(f.messages)-n, 0)]
}

func TestFoldAndReplaceConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFlock(t, 3)
		pick := func(t *rapid.T) *member { return f.members[rapid.IntRange(0, 2).Draw(t, "replica")] }
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				f.write(pick(t), name.Draw(t, "name"), rapid.Bool().Draw(t, "delete"), rapid.Bool().Draw(t, "publish"))
			},
			"raw":  func(t *rapid.T) { f.publish(raw(name.Draw(t, "name"), "raw")) },
			"time": func(t *rapid.T) { f.now += rapid.Uint64Range(1, 15).Draw(t, "seconds") },
			"step": func(t *rapid.T) {
				m := pick(t)
				for range rapid.IntRange(1, 5).Draw(t, "messages") {
					f.step(m)
				}
			},
			"offer again": func(t *rapid.T) {
				for _, p := range pick(t).pending.Entries() {
					f.publish(p.Entry)
				}
			},
			"lose the tail": func(t *rapid.T) { f.loseTail(rapid.IntRange(1, 6).Draw(t, "messages")) },
			"recreate": func(*rapid.T) {
				f.stream++
				f.messages = nil
			},
			"rebuild": func(t *rapid.T) { f.rebuild(pick(t)) },
		})
		f.settle()
		f.checkAgreement()
		f.checkAccepted()
	})
}

// checkAgreement is promise (c), with a newcomer that has only the log.
func (f *flock) checkAgreement() {
	newcomer := &member{pending: events.NewPending()}
	f.rebuild(newcomer)
	for i, m := range f.members {
		if m.serving.Map.Digest() != newcomer.serving.Map.Digest() || m.serving.Anchor != newcomer.serving.Anchor {
			f.t.Fatalf("replica %d differs (-newcomer +replica):\n%s", i, cmp.Diff(newcomer.serving.Map.Sorted(), m.serving.Map.Sorted()))
		}
	}
}

// checkAccepted is promise (a): visible, beaten or reported, since nobody lost its
// memory; tombstones may have been collected.
func (f *flock) checkAccepted() {
	s := f.members[0].serving
	for _, e := range f.accepted {
		held, ok := s.Map.Get(e.Key)
		collected := e.Deleted && !ok
		isReported := slices.ContainsFunc(f.reported, func(r crdt.Entry) bool { return r.Key == e.Key && r.Compare(e) >= 0 })
		if !collected && !isReported && (!ok || held.Compare(e) < 0) {
			f.t.Fatalf("accepted %v is lost, the map holds %v", e, held)
		}
	}
}
