package swarm

import (
	"encoding/json"
	"fmt"
	"time"

	"sluice/crdt/service"
	"sluice/events"
)

// clocks is how far the clocks of Docker and of the replicas may be apart.
const clocks = time.Minute

// Origins: of what watchers write, and of what a replica gives a log that it does not know the
// author of.
const (
	originSwarm = "swarm"
	originOffer = "offer"
)

// Past is what the log tells of a service.
type Past struct {
	// Own is the source of the newest event that a watcher of this cluster made a definition
	// by; nil: the log knows none.
	Own *service.Source
	// Removed: the newest event is a removal, Foreign: somebody else than a watcher made it.
	Removed, Foreign bool
	// Forgotten: nothing tells any more who made the newest event.
	Forgotten bool
	// Time and Actor are those of the newest event.
	Time  time.Time
	Actor string
}

// Learn adds the next event; of is whose watcher asks.
func (p *Past) Learn(r events.Record, of service.Source) {
	switch r.Result {
	case "", events.ResultApplied, events.ResultGenesis:
	default:
		return // it had no effect
	}
	p.Removed, p.Foreign = r.Action == "removed", r.Origin != originSwarm
	p.Forgotten, p.Time, p.Actor = r.Seq == 0 || r.Origin == originOffer, r.Time, r.Actor
	if p.Foreign || p.Removed {
		return
	}
	var doc struct {
		Source *service.Source `json:"source"`
	}
	if err := json.Unmarshal(r.Data, &doc); err != nil || doc.Source == nil {
		return
	}
	if doc.Source.Kind == of.Kind && doc.Source.Cluster == of.Cluster {
		p.Own = doc.Source
	}
}

// Judge decides an Ask by the log: what somebody else made, changed or removed stays until
// the labels change. It is pure. The step is Announce or Leave.
func Judge(s Step, p Past) Step {
	s.Do = Announce
	o := s.Object
	switch {
	case s.Entry == nil && (!p.Removed || !p.Foreign):
		// There has never been one, or it was a watcher that removed it.
	case s.Entry == nil && p.Forgotten:
		if !after(o.Asked, p.Time) {
			s.Do, s.Reason = Leave, fmt.Sprintf("it was removed on %s, the log does not tell by whom any more, and Docker's service has not asked anew since; change a label, or send it with sluice reconfigure", p.Time.UTC().Format(time.RFC3339))
		}
	case s.Entry == nil && p.Own != nil:
		// A service that was made anew is another one.
		if p.Own.Labels == o.Source.Labels && p.Own.ID == o.Source.ID || before(o.Updated, p.Time) {
			s.Do, s.Reason = Leave, fmt.Sprintf("%s has removed it, and the labels have not changed since", by(p))
		}
	case s.Entry == nil:
		if !after(o.Relabelled, p.Time) {
			s.Do, s.Reason = Leave, fmt.Sprintf("%s has removed it, and the labels are older than that", by(p))
		}
	case s.Entry.Source != nil:
		s.Do, s.Reason = Leave, fmt.Sprintf("a watcher of another %s (%s) made it; remove it with sluice remove %s if that is gone", s.Entry.Source.Kind, s.Entry.Source.Cluster, s.Name)
	case p.Own != nil:
		if p.Own.Labels == o.Source.Labels || before(o.Updated, stampTime(s.Entry.Stamp)) {
			s.Do, s.Reason = Leave, fmt.Sprintf("%s has changed it, and the labels have not changed since", by(p))
		}
	case !after(o.Relabelled, stampTime(s.Entry.Stamp)):
		s.Do, s.Reason = Leave, fmt.Sprintf("%s made it, and the labels are older than that", by(p))
	}
	return s
}

// after reports whether a was after b, which may be a stamp's time, in whole milliseconds.
func after(a, b time.Time) bool { return a.Truncate(time.Millisecond).After(b) }

// before reports whether a was certainly before b.
func before(a, b time.Time) bool { return a.Add(clocks).Before(b) }

func by(p Past) string {
	if p.Foreign && p.Actor != "" {
		return p.Actor
	}
	return "somebody else"
}
