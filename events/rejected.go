package events

import (
	"slices"
	"strings"
)

// maxGivenUp is how many given-up changes a process remembers.
const maxGivenUp = 1000

// KindRejected selects, instead of events of the log, the changes that this process has
// given up: they may be lost.
const KindRejected = "rejected"

// reject remembers a change that was given up. The caller holds mu.
func (r *Replica) reject(p Report) {
	event := r.eventOf(p.Entry)
	kind, _, _ := strings.Cut(p.Entry.Key, "/")
	rec := Record{
		Time: r.cfg.Wall().UTC(), Kind: kind, Key: p.Entry.Key, Action: "put", Actor: event.Actor, Origin: event.Origin,
		Stamp: p.Entry.Stamp.String(), ID: p.Entry.Stamp.String(), Result: Result(p.Reason), Data: p.Entry.Value,
		Reason: "given up, and perhaps lost: the log does not take it any more",
	}
	if p.Entry.Deleted {
		rec.Action = "removed"
	}
	if len(r.rejected) == maxGivenUp {
		r.rejected = slices.Delete(r.rejected, 0, 1)
	}
	r.rejected = append(r.rejected, rec)
}

// Rejected lists the changes that this process has given up, oldest first, the newest 1,000
// of them.
func (r *Replica) Rejected() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rejected)
}
