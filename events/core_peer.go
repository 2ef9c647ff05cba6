package events

import (
	"slices"
	"time"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// Admission is what became of a peer's pending write.
type Admission string

// Admissions.
const (
	// Admitted: it is pending here now, readers see it; tell others.
	Admitted Admission = "admitted"
	// AdmittedBefore: the identical entry is pending here.
	AdmittedBefore Admission = "known"
	// BeatenHere: something identical in the state or something greater is known.
	BeatenHere Admission = "beaten"
	// ExpiredHere: it is older than R. Its replica reports it when its own fold gets there.
	ExpiredHere Admission = "expired"
	// Deferred: too far ahead of this clock, ignored for now. It comes back.
	Deferred Admission = "deferred"
	// UnfitHere: no log would take it (MaxValue). Whoever offers it reports it.
	UnfitHere Admission = "unfit"
)

// Admit takes in a peer's accepted pending write (rule 12). The entry must have been decoded
// with care: key, stamp and value are not looked at again. Without a state only the clock
// and the pending layer decide.
func (c *Core) Admit(e crdt.Entry, wall time.Time) Admission {
	ms := e.Stamp.Millis()
	s := c.State()
	switch held, ok := c.pending.accepted[e.Key]; {
	case checkSize(e.Value) != nil:
		return UnfitHere
	case s != nil && beats(s, e):
		return BeatenHere
	case s != nil && s.expired(ms):
		return ExpiredHere
	case ms > uint64(max(wall.Add(c.cfg.A).UnixMilli(), 0)) && !c.cfg.Broken.Has(rule.AdmitFuture):
		return Deferred
	case ok && held.Entry.Compare(e) == 0:
		return AdmittedBefore
	case ok && held.Entry.Compare(e) > 0:
		return BeatenHere
	}
	c.pending.Put(PendingEntry{Entry: e, Accepted: true, Due: wall.Add(dueAfter + c.cfg.Jitter(dueWithin))})
	return Admitted
}

// held is the accepted pending write of a key.
func (c *Core) held(key string) (crdt.Entry, bool) {
	p, ok := c.pending.accepted[key]
	return p.Entry, ok
}

// Accepted lists the accepted pending writes in order of the keys, at most one a key: what
// peers are told. AcceptedDigest is the sum modulo 2^64 of their fingerprints.
func (c *Core) Accepted() []crdt.Entry {
	list := make([]crdt.Entry, 0, len(c.pending.accepted))
	for _, p := range c.pending.Entries() {
		if p.Accepted {
			list = append(list, p.Entry)
		}
	}
	return list
}

// AcceptedDigest tells whether two replicas would list the same as Accepted; 0 for nothing.
func (c *Core) AcceptedDigest() uint64 {
	sum := uint64(0)
	for _, p := range c.pending.accepted {
		sum += p.Entry.Fingerprint()
	}
	return sum
}

// Transfer is a whole state on its way between replicas or out of a store.
type Transfer struct {
	State *State
	// Trail are the anchors folded since the audited point, that point first, the state's
	// own last; empty: the state's own alone, as for a checkpoint, which is audited.
	Trail []Anchor
}

// trail is Trail with its default.
func (t Transfer) trail() []Anchor {
	if len(t.Trail) == 0 {
		return []Anchor{t.State.Anchor}
	}
	return slices.Clone(t.Trail)
}

// Consistent reports whether the trail is without gaps and ends with the state.
func (t Transfer) Consistent() bool {
	trail := t.trail()
	for i := 1; i < len(trail); i++ {
		if trail[i].Seq != trail[i-1].Seq+1 {
			return false
		}
	}
	return trail[len(trail)-1] == t.State.Anchor
}

// Export copies the serving state for a peer; false: there is none.
func (c *Core) Export() (Transfer, bool) {
	if c.line == nil {
		return Transfer{}, false
	}
	return Transfer{State: c.State().Clone(), Trail: slices.Clone(c.line.trail)}, true
}

// Wants reports whether a peer's state at p may be adopted (rule 13): because there is none
// here, or because the log is out of reach and the peer's is of the same log and further.
// Ask before fetching the whole of it.
func (c *Core) Wants(p Position, unreachable bool) bool {
	s := c.State()
	if s == nil {
		return true
	}
	same := s.StreamID == p.StreamID && p.Anchor.Seq > s.Seq() || c.cfg.Broken.Has(rule.AdoptAnySid) && s.StreamID != p.StreamID
	return unreachable && same && !c.cfg.Broken.Has(rule.NoDExch)
}

// Adopt takes a peer's or a store's state if it is wanted and consistent, and owns it from
// now on. It is unverified: it serves as stale until a session has found it in the log. It
// reports whether the state was taken, and what may be lost by that.
func (c *Core) Adopt(t Transfer, unreachable bool) ([]Report, bool) {
	if !t.Consistent() || !c.Wants(t.Position(), unreachable) {
		return nil, false
	}
	if c.cfg.Broken != 0 && c.adoptBroken(t) {
		return nil, true
	}
	reports := c.replace(c.lineage(t))
	c.verified, c.online = false, false
	return reports, true
}

// Reconcile offers what another state has and the serving one lacks, as if that had been replaced
// by this (rule 14): for further snapshots at a start. It returns what may be lost.
func (c *Core) Reconcile(other *State) []Report { return Replace(other, c.State(), c.pending) }

// replace is the only way for the state to change beside the fold of the next message.
func (c *Core) replace(next *lineage) []Report {
	old := c.State()
	c.line, c.lost = next, false
	return Replace(old, next.state(), c.pending)
}

// Position is where a replica is in which log, and the digest of the map there.
type Position struct {
	StreamID string
	Anchor   Anchor
	Digest   uint64
}

// Position of the transferred state.
func (t Transfer) Position() Position {
	return Position{StreamID: t.State.StreamID, Anchor: t.State.Anchor, Digest: t.State.Map.Digest()}
}

// Position of the serving state; zero: none.
func (c *Core) Position() Position {
	if c.line == nil {
		return Position{}
	}
	return Transfer{State: c.State()}.Position()
}

// Discord is what two positions tell that cannot be if all is well.
type Discord string

// Discords.
const (
	// NoDiscord: equal, or not comparable.
	NoDiscord Discord = ""
	// LostTail: one sequence with two messages: somebody missed that the log lost its tail.
	// Both replicas should audit, that is begin a new session.
	LostTail Discord = "lost tail"
	// Diverged: one prefix with two maps: a bug, or memory that failed. Alarm.
	Diverged Discord = "diverged"
)

// Discord compares two positions (invariant I1).
func (p Position) Discord(o Position) Discord {
	switch {
	case p.StreamID != o.StreamID || p.StreamID == "" || p.Anchor.Seq != o.Anchor.Seq:
		return NoDiscord
	case p.Anchor != o.Anchor:
		return LostTail
	case p.Digest != o.Digest:
		return Diverged
	}
	return NoDiscord
}
