package sim_test

import (
	"errors"
	"slices"
	"time"

	"sluice/crdt"
	"sluice/events"
)

// node is one replica: a real core, and around it what Replica does with locks and I/O.
type node struct {
	w     *world
	index int
	skew  int64 // by which the wall clock is wrong, ms
	disk  bool

	core    *events.Core // nil: it is down
	id      uint64
	session *events.Session
	log     *log   // of the session
	next    uint64 // that the consumer delivers
	cut     bool   // from the log
	part    int    // side of the split
	group   int    // of the network partition
	seedAt  int64
	answers []answer // writes that wait for their answer
	badBase events.Anchor
	wants   bool  // a checkpoint
	since   int64 // when it went down

	savedP []crdt.Entry // on disk
	saved  *kept        // on disk
	onDisk []int        // writes of both while it is down

	chain, folding uint64 // ghosts: prefix of the serving state and of the session
	held           [4]holding
	newest         uint64 // own stamp
	begins         []int  // writes in the genesis that the session has folded
	seen           seen
}

// answer is a write that was sent to the log.
type answer struct {
	entry crdt.Entry
	write int
	seq   uint64
}

func (n *node) up() bool { return n.core != nil }

func (n *node) side() *log { return n.w.sides[n.part] }

// reaches: n can read and write the log.
func (n *node) reaches(l *log) bool { return n.up() && l.up && !n.cut }

// hears: two replicas can talk.
func (n *node) hears(o *node) bool { return n.up() && o.up() && n.group == o.group && n.part == o.part }

func (n *node) wall() time.Time {
	ms := begin + n.w.now + n.skew
	return time.UnixMilli(ms - ms%n.w.coarse)
}

// start begins a new process (rule 22).
func (n *node) start() {
	w := n.w
	w.ids++
	n.id = 1<<63 | uint64(w.ids)<<8 | uint64(n.index)
	n.core = events.NewCore(events.CoreConfig{
		Subjects: names, Node: n.id, A: simA, Decode: w.codec.decode, Broken: w.broken,
		Jitter: func(d time.Duration) time.Duration { return time.Duration(w.upTo(int64(d))) },
	})
	n.newest, n.held, n.seedAt, n.seen = 0, [4]holding{nothing, nothing, nothing, nothing}, 0, seen{}
	w.trace("n%d starts as %x", n.index, n.id)
	if n.saved != nil {
		n.adopt(events.Transfer{State: n.saved.state.Clone()}, n.saved.chain)
	}
	w.oracle.started(n)
	w.oracle.report(n, n.core.Recall(n.savedP))
	n.savedP, n.seen = nil, seen{}
	w.oracle.look(n)
}

// adopt takes over a state if rule 13 allows it.
func (n *node) adopt(t events.Transfer, chain uint64) bool {
	before := n.core.State()
	reports, ok := n.core.Adopt(t, !n.reaches(n.side()))
	if ok && before != nil && before.StreamID != t.State.StreamID {
		n.w.fail("rule 13: n%d adopts %s over its %s", n.index, t.State.StreamID, before.StreamID)
	}
	if ok {
		n.w.trace("n%d adopts %s at %d, %d entries pending", n.index, t.State.StreamID, t.State.Seq(), n.core.Pending().Len())
		n.chain = chain
		n.w.oracle.report(n, reports)
		n.w.oracle.look(n)
	}
	return ok
}

// crash loses what is not on disk.
func (n *node) crash() {
	if !n.up() {
		return
	}
	n.savedP = nil
	if n.disk {
		n.savedP = n.core.Accepted()
	} else {
		n.saved = nil
	}
	n.w.trace("n%d crashes, %d pending entries are on disk", n.index, len(n.savedP))
	n.answers = nil
	n.hangUp()
	n.core, n.since = nil, n.w.now
	n.w.oracle.crashed(n)
}

// hangUp ends the session.
func (n *node) hangUp() {
	n.session, n.log = nil, nil
	if n.up() {
		n.core.Interrupt()
	}
}

// connect begins a session (rules 15 and 17).
func (n *node) connect() {
	l := n.side()
	if n.session != nil || !n.reaches(l) {
		return
	}
	info := l.info()
	var p events.Progress
	if s := n.core.State(); s != nil && n.core.Continues(info, l.get(s.Seq())) {
		n.session, p = n.core.Continue(info)
		n.folding = n.chain
	} else if base, ok := n.base(info); ok {
		n.folding = base.chain
		if base.transfer.State == nil {
			n.session, p = n.core.Rebuild(info, nil)
		} else {
			n.session, p = n.core.Rebuild(info, &base.transfer)
		}
	} else {
		return
	}
	n.log, n.next, n.seedAt, n.begins = l, n.session.From(), 0, nil
	n.w.trace("n%d opens %s (%d to %d), consumer from %d", n.index, l.id, l.first, l.last(), n.next)
	n.progressed(p, nil)
}

type base struct {
	transfer events.Transfer
	chain    uint64
}

// base is a valid checkpoint, a peer's valid state, or nothing if the log is whole.
func (n *node) base(info events.LogInfo) (base, bool) {
	usable := func(t events.Transfer) bool {
		return n.core.Usable(info, t, n.side().get(t.State.Seq())) && t.State.Anchor != n.badBase
	}
	for _, k := range slices.Backward(n.w.checkpoints) {
		if usable(events.Transfer{State: k.state}) {
			return base{events.Transfer{State: k.state.Clone()}, k.chain}, true
		}
	}
	if info.First <= 1 {
		return base{}, true
	}
	for _, o := range n.w.nodes {
		if o == n || !n.hears(o) {
			continue
		}
		if t, ok := o.core.Export(); ok && usable(t) {
			return base{t, o.chain}, true
		}
	}
	return base{}, false
}

// audit begins the next session.
func (n *node) audit() {
	if n.session == nil || !n.session.Counted() {
		return
	}
	n.session, n.log = nil, nil
	n.connect()
}

// read lets the consumer deliver up to count messages.
func (n *node) read(count int) {
	for ; count > 0 && n.session != nil && n.next <= n.log.last(); count-- {
		if n.next < n.log.first { // trimmed while it was read
			n.hangUp()
			return
		}
		m := &n.log.messages[n.next-1]
		n.next++
		auditing := n.session.Auditing()
		p, err := n.session.Handle(m.Message)
		if err != nil {
			n.w.trace("n%d: %v", n.index, err)
			if errors.Is(err, events.ErrLostBranch) {
				n.badBase = m.Anchor()
				if s := n.core.State(); s != nil {
					n.badBase = s.Anchor
				}
			}
			n.hangUp()
			return
		}
		if auditing {
			n.audited(p)
			continue
		}
		n.folding = n.w.mix(n.folding, m.Anchor())
		n.progressed(p, m)
	}
}

// progressed shows the checker what a step of the session did; m is nil for its beginning.
func (n *node) progressed(p events.Progress, m *stored) {
	if p.Swapped {
		n.w.trace("n%d swaps in %s at %d, %d pending", n.index, n.core.State().StreamID, n.core.Seq(), n.core.Pending().Len())
	}
	if n.session.Serving() {
		n.chain = n.folding
	}
	n.w.oracle.folded(n, p, m)
	n.w.oracle.report(n, p.Reports)
	if p.Swapped {
		n.w.oracle.begun(n)
	}
	waiting := len(n.answers)
	n.settle()
	if len(p.Effects) != 1 || p.Swapped || len(n.answers) != waiting || p.Effects[0].Entry.Key == "" {
		n.w.oracle.look(n)
	} else {
		n.w.oracle.lookAt(n, p.Effects[0].Entry.Key)
	}
}

// audited shows it a message that was folded before, which changes nothing but at the end
// of a rebuild's base.
func (n *node) audited(p events.Progress) {
	if p.Swapped || p.AtEnd {
		n.progressed(p, nil)
	} else {
		n.settle()
		n.w.oracle.glance(n)
	}
	if p.Audited && n.wants {
		n.checkpoint()
	}
}

func (n *node) checkpoint() {
	s, ok := n.core.Checkpoint()
	if !ok {
		n.w.fail("n%d: audited, but no checkpoint", n.index)
	}
	if n.chain != n.log.chainAt(s.Seq()) {
		n.w.fail("n%d keeps a checkpoint at %d that is not of the log", n.index, s.Seq())
	}
	n.w.trace("n%d keeps a checkpoint at %d", n.index, s.Seq())
	n.wants = false
	n.w.keep(kept{s, n.chain})
	n.saved = &kept{s.Clone(), n.chain}
}
