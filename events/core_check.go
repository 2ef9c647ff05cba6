package events

import (
	"fmt"
	"slices"

	"sluice/crdt"
)

// Violation is an invariant that does not hold: a fault of the program, or memory or a disk that
// failed. Nothing is decided by it; people are told.
type Violation struct {
	// Invariant names it as the README does, e.g. "I3".
	Invariant string
	Text      string
}

// checkStep compares what readers saw of the key of e before the serving fold took it in with
// what they see now; held is what was pending then.
func (c *Core) checkStep(e Effect, held PendingEntry, reports []Report) []Violation {
	if e.Entry.Key == "" {
		return nil
	}
	var out []Violation
	broken := func(invariant, text string) {
		out = append(out, Violation{invariant, fmt.Sprintf("at sequence %d, key %s: %s", e.Seq, e.Entry.Key, text)})
	}
	if e.Event.Raw() && (e.Result != ResultApplied || e.Prior.Key != "" && e.Entry.Compare(e.Prior) <= 0) {
		broken("I5", fmt.Sprintf("an event without stamp is %s as %s, after %s", e.Result, e.Entry.Stamp, e.Prior.Stamp))
	}
	if e.Result == ResultFuture && held.Accepted && !held.Own && held.Entry.Compare(e.Entry) == 0 {
		broken("I6", "a change that was admitted from another replica is too far ahead of the log's time")
	}
	before := e.Prior
	if held.Accepted && held.Entry.Compare(before) > 0 {
		before = held.Entry
	}
	after, ok := c.Visible(e.Entry.Key)
	fell := before.Live() && (!ok || after.Compare(before) < 0)
	if fell && !slices.ContainsFunc(reports, func(r Report) bool { return r.Entry.Key == e.Entry.Key }) {
		broken("I3", fmt.Sprintf("version %s fell back to %s without a report", before.Stamp, after.Stamp))
	}
	return out
}

// checkPending looks at everything that is pending (I7).
func (c *Core) checkPending() []Violation {
	s := c.State()
	if s == nil {
		return nil
	}
	var out []Violation
	for _, p := range c.pending.Entries() {
		switch {
		case beats(s, p.Entry):
			out = append(out, Violation{"I7", fmt.Sprintf("key %s is pending, and the state beats it", p.Entry.Key)})
		case s.expired(p.Entry.Stamp.Millis()):
			out = append(out, Violation{"I7", fmt.Sprintf("key %s is pending, and no log takes it any more", p.Entry.Key)})
		}
	}
	return out
}

// checkStamp looks at the stamp of an own write: greater than what was read, and than the one
// before (I2).
func checkStamp(e, known crdt.Entry, newest crdt.Stamp) []Violation {
	if e.Stamp.Compare(known.Stamp) > 0 && e.Stamp.Compare(newest) > 0 {
		return nil
	}
	return []Violation{{"I2", fmt.Sprintf("key %s is written with %s, after %s and the own %s", e.Key, e.Stamp, known.Stamp, newest)}}
}
