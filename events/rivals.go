package events

import (
	"slices"

	"sluice/crdt"
)

// Rivals finds the writes that competed, by reading the log in order: for what was folded
// before this process began, or by nobody here. It knows only what it has read, and of a key
// the latest writes alone, by their stamps: two writes with one stamp are copies. Not safe for
// concurrent use.
type Rivals struct {
	ref   uint64              // greatest time of the messages, as in a State
	known map[string][]writer // of each key, latest first, at most maxWriters
}

// writer is who asked for the write with a stamp, and which write of the key was known then;
// zero: none, or it does not tell.
type writer struct {
	stamp, seen crdt.Stamp
	actor       string
}

// maxWriters are kept of a key: a write competes with the latest before it. The others stand in
// for those that a fold has rejected, of which this does not hear.
const maxWriters = 4

// NewRivals has read nothing.
func NewRivals() *Rivals { return &Rivals{known: map[string][]writer{}} }

// Read takes in the next message and returns the conflict that it is part of; nil: none, or not
// an event. What the fold rejected, result tells; empty: not known.
func (r *Rivals) Read(m Message, result Result) *Conflict {
	r.ref = max(r.ref, uint64(max(m.Time.UnixMilli(), 0)))
	event, err := DecodeEvent(m.Data)
	if err != nil || result == ResultFuture || result == ResultExpired || result == ResultIgnored {
		return nil
	}
	effect := Effect{Event: event, Entry: crdt.Entry{Stamp: event.Stamp}, Result: ResultApplied}
	if known := r.known[event.Subject]; len(known) > 0 {
		effect.Prior.Stamp = known[0].stamp
	}
	if event.Raw() {
		effect.Entry.Stamp = crdt.Stamp{HLC: max(r.ref<<16, effect.Prior.Stamp.HLC+1), Node: m.Seq}
	}
	stamp := effect.Entry.Stamp
	if stamp.Compare(effect.Prior.Stamp) <= 0 {
		effect.Result = ResultBeaten
	}
	r.remember(event, stamp)
	return r.Conflict(event.Subject, stamp.String(), effect.rival(), effect.Result == ResultBeaten)
}

func (r *Rivals) remember(e Event, stamp crdt.Stamp) {
	seen, _ := crdt.ParseStamp(e.Seen)
	w, known := writer{stamp, seen, e.Actor}, r.known[e.Subject]
	i, again := slices.BinarySearchFunc(known, stamp, func(w writer, s crdt.Stamp) int { return s.Compare(w.stamp) })
	switch {
	case again:
		known[i] = w
		return
	case i == maxWriters:
		return
	case len(known) == maxWriters:
		known = known[:maxWriters-1]
	}
	r.known[e.Subject] = slices.Insert(known, i, w)
}

// writer is that of the write of key with stamp; zero: it is not known any more.
func (r *Rivals) writer(key string, stamp crdt.Stamp) writer {
	for _, w := range r.known[key] {
		if w.stamp == stamp {
			return w
		}
	}
	return writer{}
}

// Conflict is that of the write of key with stamp and its rival, which won or lost; nil if there
// is no rival, or if it won because its writer knew the other.
func (r *Rivals) Conflict(key, stamp string, rival crdt.Stamp, won bool) *Conflict {
	if rival.IsZero() {
		return nil
	}
	by := r.writer(key, rival)
	if own, err := crdt.ParseStamp(stamp); won && err == nil && by.seen.Compare(own) >= 0 {
		return nil
	}
	return &Conflict{Stamp: rival.String(), Actor: by.actor, Won: won}
}
