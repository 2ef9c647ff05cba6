package events

import "sluice/crdt"

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
		seen, err := crdt.ParseStamp(e.Event.Seen)
		if !e.Prior.Stamp.IsZero() && (e.Event.Seen == seenNothing || err == nil && seen.Compare(e.Prior.Stamp) < 0) {
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
