package events

import "sluice/crdt"

// Rivals finds the writes that competed, by reading the log in order: for what was folded
// before this process began, or by nobody here. It knows only what it has read. Not safe for
// concurrent use.
type Rivals struct {
	ref    uint64 // greatest time of the messages, as in a State
	newest map[string]crdt.Entry
	known  map[rivalKey]writer
}

type rivalKey struct {
	key   string
	stamp crdt.Stamp
}

// writer is who asked for a write, and what of the key was known then.
type writer struct{ actor, seen string }

// NewRivals has read nothing.
func NewRivals() *Rivals {
	return &Rivals{newest: map[string]crdt.Entry{}, known: map[rivalKey]writer{}}
}

// Read takes in the next message and returns the conflict that it is part of; nil: none, or not
// an event. What the fold rejected, result tells; empty: not known.
func (r *Rivals) Read(m Message, result Result) *Conflict {
	r.ref = max(r.ref, uint64(max(m.Time.UnixMilli(), 0)))
	event, err := DecodeEvent(m.Data)
	if err != nil || result == ResultFuture || result == ResultExpired || result == ResultIgnored {
		return nil
	}
	prior, e := r.newest[event.Subject], event.Entry()
	if event.Raw() {
		e.Stamp = crdt.Stamp{HLC: max(r.ref<<16, prior.Stamp.HLC+1), Node: m.Seq}
	}
	r.known[rivalKey{e.Key, e.Stamp}] = writer{event.Actor, event.Seen}
	effect := Effect{Event: event, Entry: e, Prior: prior, Result: ResultApplied}
	if prior.Key != "" && e.Compare(prior) <= 0 {
		effect.Result = ResultBeaten
	} else {
		r.newest[e.Key] = e
	}
	return r.Conflict(e.Key, e.Stamp.String(), effect.rival(), effect.Result == ResultBeaten)
}

// Conflict is that of the write of key with stamp and its rival, which won or lost; nil if there
// is no rival, or if it won because its writer knew the other.
func (r *Rivals) Conflict(key, stamp string, rival crdt.Stamp, won bool) *Conflict {
	if rival.IsZero() {
		return nil
	}
	by := r.known[rivalKey{key, rival}]
	own, err := crdt.ParseStamp(stamp)
	if seen, seenErr := crdt.ParseStamp(by.seen); won && err == nil && seenErr == nil && seen.Compare(own) >= 0 {
		return nil
	}
	return &Conflict{Stamp: rival.String(), Actor: by.actor, Won: won}
}
