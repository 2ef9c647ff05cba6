package sim_test

import (
	"slices"
	"testing"

	"sluice/crdt"
	"sluice/events"
)

// ending is how the last exact copy of a write went.
type ending uint8

const (
	// remains: there is a copy, or there has never been one.
	remains ending = iota
	// givenUp by its holder, with a report or because it was collected or refused.
	givenUp
	// died with its holder: a replica, its disk, a log.
	died
	// superseded at its holder by a greater write.
	superseded
	// trimmed off the log, where it was of no use any more.
	trimmed
)

// copied counts one more copy of write i, which may be the first again after all had gone:
// one that was on its way, or in a checkpoint that is used.
func (o *oracle) copied(i int) {
	w := &o.writes[i]
	w.copies++
	w.ended = remains
}

// gone counts one copy less.
func (o *oracle) gone(i int, how ending) {
	w := &o.writes[i]
	if w.copies--; w.copies > 0 {
		return
	}
	if w.ended = how; how == died && w.collected {
		w.ended = givenUp // a removal that did its work needs no copy, and no excuse
	} else if how == died {
		o.w.trace("the last copy died: %s", o.describe(i))
	}
}

// goneFor is gone with the write h that has superseded i.
func (o *oracle) goneFor(i, h int) {
	o.beats(h, i)
	o.writes[i].endedBy = h
	o.gone(i, superseded)
}

// beats notes that h was found greater than i somewhere.
func (o *oracle) beats(h, i int) {
	if w := &o.writes[i]; !slices.Contains(w.beatenBy, h) {
		w.beatenBy = append(w.beatenBy, h)
	}
}

// stores notes of which writes a message turned out to be a copy: a raw one that got its
// stamp, or (writes is nil) a genesis that counts. None if the log has lost it meanwhile.
func (o *oracle) stores(l *log, e events.Effect, writes []int) []int {
	if l.get(e.Seq) == nil {
		return nil
	}
	m := &l.messages[e.Seq-1]
	if !m.Time.Equal(e.Time) {
		return nil
	}
	if m.writes != nil {
		return m.writes
	}
	if m.writes = writes; writes == nil {
		m.writes = m.begins
	}
	for _, i := range m.writes {
		o.copied(i)
	}
	return m.writes
}

// lost is the end of messages of a log.
func (o *oracle) lost(messages []stored, how ending) {
	for _, m := range messages {
		for _, i := range m.writes {
			o.gone(i, how)
		}
	}
}

// crashed is the end of what n has in memory; what it has on disk is read again at its start.
func (o *oracle) crashed(n *node) {
	n.onDisk = nil
	for _, e := range n.savedP {
		n.onDisk = append(n.onDisk, o.must(n, e))
	}
	if n.saved != nil {
		for _, e := range n.saved.state.Map.Sorted() {
			n.onDisk = append(n.onDisk, o.must(n, e))
		}
	}
	for _, i := range n.onDisk {
		o.copied(i)
	}
	for k, h := range n.held {
		for _, i := range h {
			if i >= 0 {
				o.gone(i, died)
			}
		}
		n.held[k] = nothing
	}
}

// started makes what was on n's disk its holdings: the state is adopted, the pending layer
// is about to be recalled.
func (o *oracle) started(n *node) {
	for _, e := range n.savedP {
		i := o.must(n, e)
		o.copied(i)
		n.held[o.writes[i].key][inAccepted] = i
	}
	for _, i := range n.onDisk {
		o.gone(i, givenUp)
	}
	n.onDisk = nil
}

// The excuse of a write depends on how its last copy went, and ends when one comes back.
func TestCopies(t *testing.T) {
	w := small(0)
	a, o := w.nodes[0], w.oracle
	is := func(when string, i, copies int, how ending) {
		t.Helper()
		if got := o.writes[i]; got.copies != copies || got.ended != how {
			t.Errorf("%s: write %d has %d copies, ended %d, want %d and %d", when, i, got.copies, got.ended, copies, how)
		}
	}
	a.write(keys[0], false, false)
	is("accepted", 0, 1, remains)
	a.write(keys[0], false, false)
	is("written again", 0, 0, superseded)
	is("written again", 1, 1, remains)
	a.crash()
	is("the replica has crashed", 1, 0, died)
	if none := (crdt.Entry{}); !o.excusable(0, none, false) {
		t.Error("superseded by what died is no excuse")
	}
	w.again()
	is("a copy was late", 0, 1, remains)
	o.writes[0].excuse = 0
	if none := (crdt.Entry{}); o.excusable(0, none, false) {
		t.Error("a write of which there is a copy is excused")
	}
	w.recreate(w.sides[0])
	is("the log is lost", 0, 0, died)
}
