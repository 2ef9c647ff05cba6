package events

import "sluice/crdt"

// told are the events of pending entries, with who asked for them and when, so that whoever
// offers a write says the same about it. The caller of its methods holds the replica's mu.
type told map[crdt.Stamp]Event

// slack is how many events may be kept of entries that are not pending any more.
const slack = 1000

// add remembers an event, and forgets those of entries that are gone now and then.
func (t told) add(e Event, p *Pending) {
	t[e.Stamp] = e
	if len(t) <= 2*p.Len()+slack {
		return
	}
	needed := make(map[crdt.Stamp]bool, p.Len())
	for _, held := range p.Entries() {
		needed[held.Entry.Stamp] = true
	}
	for stamp := range t {
		if !needed[stamp] {
			delete(t, stamp)
		}
	}
}

// eventOf is the event of a pending entry. The caller holds mu.
func (r *Replica) eventOf(e crdt.Entry) Event {
	if event, ok := r.told[e.Stamp]; ok && event.Subject == e.Key {
		return event
	}
	return r.event(Change{Origin: "offer"}, e)
}

// event is what the log is to hold of a change.
func (r *Replica) event(c Change, e crdt.Entry) Event {
	event := EntryEvent("/sluice/"+r.cfg.Subjects.Namespace+"/"+r.cfg.Name, e)
	event.Time, event.Actor, event.Origin, event.TraceParent = r.cfg.Wall().UTC(), c.Actor, c.Origin, c.TraceParent
	return event
}
