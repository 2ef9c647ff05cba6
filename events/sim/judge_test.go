package sim_test

import (
	"slices"

	"sluice/crdt"
	"sluice/events"
)

// settle heals everything and goes on until nothing moves (the end of a run).
func (w *world) settle() {
	w.trace("everything heals")
	w.lossCast, w.lossPublish, w.double, w.late = 0, 0, 0, 0
	for _, n := range w.nodes {
		n.cut, n.group = false, 0
		if !n.up() {
			n.start()
		}
	}
	for round := range 40 {
		w.pass(11_000)
		w.meet()
		if w.settled() {
			return
		}
		if round == 15 || round == 25 {
			w.operate()
		}
	}
	if w.sides[0].up {
		w.fail("nothing settles: %s", w.differences())
	}
	w.fail("the replicas differ without the log: %s", w.differences())
}

// meet lets everybody do everything once.
func (w *world) meet() {
	for _, n := range w.nodes {
		n.audit()
		n.connect()
		n.read(1 << 30)
		n.seed()
		n.read(1 << 30)
		n.offer()
		n.settle()
	}
	for i, n := range w.nodes {
		n.read(1 << 30)
		for _, o := range w.nodes[:i] {
			n.exchange(o)
		}
	}
}

// operate is what an operator does when nothing can go on by itself: recreate a log whose
// head is gone (rule 23), force a genesis where all states are older than R (rule 18).
func (w *world) operate() {
	if !w.sides[0].up {
		return
	}
	if !slices.ContainsFunc(w.nodes, func(n *node) bool { return n.session != nil }) {
		w.operator++
		w.recreate(w.sides[0])
		return
	}
	var newest *node
	for _, n := range w.nodes {
		if n.session != nil && n.session.Counted() {
			return
		}
		if s := n.core.State(); n.session != nil && s != nil && (newest == nil || s.Ref > newest.core.State().Ref) {
			newest = n
		}
	}
	if newest != nil {
		w.operator++
		w.forced = true
		g, _ := newest.core.Genesis(events.Around{Waited: true}, newest.wall())
		g.Force = true
		newest.publishGenesis(g)
	}
}

func (w *world) settled() bool {
	first := w.nodes[0]
	if first.core.State() == nil {
		return false
	}
	for _, n := range w.nodes {
		switch {
		case n.core.State() == nil || n.core.Position() != first.core.Position():
			return false
		case w.sides[0].up && (!n.core.Online() || n.core.Pending().Len() > 0 || n.core.Seq() != w.sides[0].last()):
			return false
		case n.core.AcceptedDigest() != first.core.AcceptedDigest() || len(n.answers) > 0:
			return false
		}
	}
	return true
}

func (w *world) differences() string {
	text := ""
	for _, n := range w.nodes {
		p := n.core.Position()
		text += " [" + p.StreamID + " "
		for _, key := range keys[:w.keys] {
			for _, i := range w.oracle.holding(n, key, nothing) {
				if i >= 0 {
					text += w.oracle.describe(i).String() + ", "
				}
			}
		}
		text += "]"
	}
	return text
}

// judge is the promise: it holds the end of a run against the records.
func (w *world) judge() {
	o, n := w.oracle, w.nodes[0]
	w.newcomer()
	w.digests()
	w.trimmable(w.sides[0])
	for i := range o.writes {
		o.writes[i].excuse = 0
	}
	o.cells, o.excused = 0, 0
	for k, key := range keys[:w.keys] {
		o.cells++
		if o.judgeKey(k, key, n) {
			o.excused++
		}
	}
	o.judgeRaw(n.core.State())
}

// digests is I9 without the records of the checker.
func (w *world) digests() {
	for _, n := range w.nodes {
		sum := uint64(0)
		for e := range n.core.State().Map.All() {
			sum += e.Fingerprint()
		}
		if sum != n.core.State().Map.Digest() {
			w.fail("I9: the digest of n%d is not that of its entries", n.index)
		}
	}
}

// judgeKey reports whether something was lost that may be lost.
func (o *oracle) judgeKey(k int, key string, n *node) bool {
	s := n.core.State()
	final, ok := n.core.Visible(key)
	if ok {
		if i := o.must(n, final); o.writes[i].refused && !o.writes[i].accepted {
			o.w.fail("%s is visible, though its caller was told that it is certainly not applied", o.describe(i))
		}
	}
	excused := false
	for i := range o.writes {
		w := &o.writes[i]
		switch {
		case w.key != k || !w.accepted || ok && w.entry.Compare(final) <= 0:
		case !ok && w.entry.Deleted && expired(s, w.entry): // collected
		case !ok && o.collectedOver(w, k, s):
		case o.excusable(i, final, ok), w.collected && o.w.forced:
			excused = excused || !w.future
		default:
			o.w.fail("accepted, neither visible nor beaten nor reported: %s; visible is %v %v", o.describe(i), final, ok)
		}
	}
	return excused
}

// collectedOver: a greater removal was accepted, and it may be collected by now.
func (o *oracle) collectedOver(w *write, k int, s *events.State) bool {
	return slices.ContainsFunc(o.writes, func(h write) bool {
		return h.key == k && (h.accepted || h.applied) && h.entry.Deleted && h.entry.Compare(w.entry) > 0 && expired(s, h.entry)
	})
}

// excusable: reported, died with its holder, or superseded by what is excusable.
func (o *oracle) excusable(i int, final crdt.Entry, ok bool) bool {
	w := &o.writes[i]
	if w.excuse == 0 {
		w.excuse = -1
		lost := func(h int) bool {
			return (!ok || o.writes[h].entry.Compare(final) > 0) && o.excusable(h, final, ok)
		}
		var by []int
		switch w.ended {
		case superseded:
			by = []int{w.endedBy}
		case trimmed:
			by = w.beatenBy
		}
		cause := slices.IndexFunc(by, lost)
		if w.reported || w.ended == died || cause >= 0 {
			w.excuse = 1
		}
		w.future = w.future || cause >= 0 && o.writes[by[cause]].future
	}
	return w.excuse > 0
}

// judgeRaw: every raw write in the log has taken effect: its key is not older than it.
func (o *oracle) judgeRaw(s *events.State) {
	l := o.w.sides[0]
	for _, m := range l.messages[l.first-1:] {
		if !m.raw || m.Seq > s.Seq() {
			continue
		}
		ev, err := o.w.codec.decode(m.Data)
		if err != nil {
			panic(err)
		}
		at := uint64(m.Time.UnixMilli())
		e, ok := s.Map.Get(ev.Subject)
		if ok && e.Stamp.Millis() < at || !ok && at+uint64(s.Params.R.Milliseconds()) >= s.Ref {
			o.w.fail("the raw write at %d has had no effect, the key is %v %v", m.Seq, e, ok)
		}
	}
}

// newcomer is promise (c): who has only the log and the checkpoints agrees.
func (w *world) newcomer() {
	if !w.sides[0].up {
		return
	}
	n := &node{w: w, index: len(w.nodes), group: -1}
	n.start()
	n.connect()
	n.read(1 << 30)
	if n.session == nil && w.sides[0].first > 1 {
		return // the operator would have to
	}
	if n.core.Position() != w.nodes[0].core.Position() {
		w.fail("I8: a newcomer is at %v, the others at %v", n.core.Position(), w.nodes[0].core.Position())
	}
}
