package events

import (
	"slices"

	"sluice/crdt"
)

// seenNothing is Event.Seen of a writer that knew no write of the key.
const seenNothing = "none"

// seenBy is what Event.Seen says of a writer that knew e last; ok: there is such an entry.
func seenBy(e crdt.Entry, ok bool) string {
	if !ok {
		return seenNothing
	}
	return e.Stamp.String()
}

// rival is the write that e competed with (zero: none): the one that beat it, or the one that it
// overwrote without knowing it. What a writer knew stands in its event.
func (e *Effect) rival() crdt.Stamp {
	switch e.Result {
	case ResultBeaten:
		if e.Entry.Compare(e.Prior) != 0 {
			return e.Prior.Stamp
		}
	case ResultApplied:
		if e.Prior.Stamp.IsZero() || e.Event.Seen == "" {
			break
		}
		seen, err := crdt.ParseStamp(e.Event.Seen)
		if e.Event.Seen == seenNothing || err == nil && seen.Compare(e.Prior.Stamp) < 0 {
			return e.Prior.Stamp
		}
	}
	return crdt.Stamp{}
}

// Conflict tells of two writes of one key whose writers did not know of each other. The later
// stamp decides, so that one of them has no effect any more.
type Conflict struct {
	// Stamp and Actor are of the other write; Actor is empty if nobody was named.
	Stamp string `json:"stamp"`
	Actor string `json:"actor,omitempty"`
	// Won: the other write is in force, this one is not.
	Won bool `json:"won"`
}

// Contests lists the changes that competed before the log had either: accepted by two replicas
// that could not hear each other, so that the loser gets into no log. Oldest first, the newest
// 1,000 that this process has met.
func (r *Replica) Contests() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.contests)
}

// compete looks at a change of another replica that met an accepted one of its key. The caller
// holds mu.
func (r *Replica) compete(held crdt.Entry, e Event, a Admission) {
	switch order := held.Compare(e.Entry()); {
	case a == Admitted && order < 0:
		r.contest(e, r.eventOf(held))
	case a == BeatenHere && order > 0:
		r.contest(r.eventOf(held), e)
	}
}

// contest notes that one of two accepted changes of a key beat the other, whose writers did
// not know of each other. The caller holds mu.
func (r *Replica) contest(winner, loser Event) {
	seen, err := crdt.ParseStamp(winner.Seen)
	if winner.Seen != seenNothing && (err != nil || seen.Compare(loser.Stamp) >= 0) {
		return // it overwrote what it knew, or does not tell
	}
	if recorded(r.contests, loser.Subject, loser.Stamp) {
		return
	}
	rec := r.recordOf(loser)
	rec.Result, rec.Reason = ResultBeaten, "beaten before the log had it"
	rec.Conflict = &Conflict{Stamp: winner.Stamp.String(), Actor: winner.Actor, Won: true}
	if len(r.contests) == maxGivenUp {
		r.contests = slices.Delete(r.contests, 0, 1)
	}
	r.contests = append(r.contests, rec)
	r.changed.raise()
	r.metrics.conflicts.Inc()
	r.cfg.Logger.Warn().Str("key", rec.Key).Str("stamp", rec.Stamp).Str("winner", rec.Conflict.Stamp).Msg("two changes competed without the log, the later one is in force")
}
