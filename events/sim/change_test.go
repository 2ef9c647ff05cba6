package sim_test

import (
	"strconv"

	"sluice/crdt"
	"sluice/events"
	"sluice/events/internal/rule"
)

// write asks n for a change. Through the log it is accepted once it is folded, otherwise at once.
func (n *node) write(key string, remove, through bool) {
	w := n.w
	if !n.up() {
		return
	}
	seen, _ := n.core.Visible(key)
	if remove && !seen.Live() {
		return
	}
	w.ids++
	ch := events.Change{Key: key, Delete: remove}
	if !remove {
		ch.Value = append(strconv.AppendInt([]byte(`{"v":`), int64(w.ids), 10), '}')
	}
	e, err := n.core.Write(ch, n.wall())
	if err != nil {
		w.trace("n%d refuses a write of %s: %v", n.index, key, err)
		return
	}
	if e.Stamp.HLC <= seen.Stamp.HLC || e.Stamp.HLC <= n.newest {
		w.fail("I2: n%d stamps %x, has read %x, last own stamp %x", n.index, e.Stamp.HLC, seen.Stamp.HLC, n.newest)
	}
	n.newest = e.Stamp.HLC
	i := w.oracle.record(e, w.codec.encode(e))
	if w.out != nil {
		w.trace("n%d writes %s", n.index, w.oracle.describe(i))
	}
	if through = through && n.core.Online(); through {
		n.send(answer{entry: e, write: i})
	} else {
		n.accept(e, i)
	}
	w.oracle.lookAt(n, key)
}

// accept tells the caller yes and the others what there is.
func (n *node) accept(e crdt.Entry, i int) {
	if !n.core.Accept(e) {
		n.w.fail("n%d cannot accept %s", n.index, n.w.oracle.describe(i))
	}
	n.w.oracle.writes[i].accepted = true
	n.broadcast(e)
}

func (n *node) broadcast(e crdt.Entry) {
	for _, o := range n.w.nodes {
		if o != n && n.hears(o) && !n.w.percent(n.w.lossCast) {
			n.w.send(letter{at: n.w.now + n.w.upTo(3000), to: o, entry: e})
		}
	}
}

// send publishes a write whose caller waits. What happens to it happens to a client of a
// real log: it is stored and answered, stored without an answer, or certainly not stored.
func (n *node) send(a answer) {
	a.seq = n.w.publish(n, n.w.oracle.writes[a.write].message)
	switch chance := n.w.upTo(10); {
	case a.seq == 0 && chance < 5:
		n.core.Refuse(a.entry)
		n.w.oracle.writes[a.write].refused = true
	case a.seq == 0 || chance == 0:
		n.core.Unknown(a.entry)
	default:
		n.answers = append(n.answers, a)
	}
}

// settle answers those whose write is folded; the others stay, or are told yes in the end.
func (n *node) settle() {
	left := n.answers[:0]
	for _, a := range n.answers {
		folded := n.core.Seq() >= a.seq
		if !folded && n.core.Online() && n.w.upTo(20) != 1 {
			left = append(left, a)
			continue
		}
		result := n.core.Settle(a.entry)
		if w := &n.w.oracle.writes[a.write]; result == "" || result == events.ResultApplied || result == events.ResultBeaten {
			w.accepted = w.accepted || !w.refused
		}
	}
	n.answers = left
}

// offer publishes what is due (rule 11).
func (n *node) offer() {
	if !n.up() {
		return
	}
	for _, p := range n.core.Offers(n.wall()) {
		i, ok := n.w.oracle.find(p.Entry)
		if !ok {
			n.w.fail("n%d offers %v, which nobody wrote", n.index, p.Entry)
		}
		n.w.trace("n%d offers %s", n.index, n.w.oracle.describe(i))
		n.w.publish(n, n.w.oracle.writes[i].message)
	}
	n.w.oracle.glance(n)
}

func (n *node) admit(e crdt.Entry) {
	got := n.core.Admit(e, n.wall())
	if got == events.Admitted {
		i, _ := n.w.oracle.find(e)
		n.w.trace("n%d admits %s", n.index, n.w.oracle.describe(i))
		if n.skew >= -2000 && n.skew <= 2000 {
			n.w.oracle.writes[i].admitted = true
		}
		n.w.oracle.lookAt(n, e.Key)
	}
	n.w.oracle.glance(n)
}

// exchange is anti-entropy: pending layers both ways, and the state to who may want it.
func (n *node) exchange(o *node) {
	if n == o || !n.hears(o) {
		return
	}
	if n.core.Position().Discord(o.core.Position()) == events.LostTail {
		n.audit()
		o.audit()
	}
	if n.core.AcceptedDigest() != o.core.AcceptedDigest() && !n.w.broken.Has(rule.NoAE) {
		mine, theirs := n.core.Accepted(), o.core.Accepted()
		for _, e := range mine {
			o.admit(e)
		}
		for _, e := range theirs {
			n.admit(e)
		}
	}
	n.copyState(o)
	o.copyState(n)
}

// copyState gives o the state of n if o wants it.
func (n *node) copyState(o *node) {
	if n.core.State() == nil || !o.core.Wants(n.core.Position(), !o.reaches(o.side())) {
		return
	}
	t, _ := n.core.Export()
	o.adopt(t, n.chain)
}
