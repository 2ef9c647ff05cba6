package events

import (
	"slices"
	"strings"

	"sluice/crdt"
)

// maxGivenUp is how many given-up changes a process remembers.
const maxGivenUp = 1000

// KindRejected selects, instead of events of the log, the changes that this process has
// given up: they may be lost.
const KindRejected = "rejected"

// reject remembers a change that was given up, and reports whether that is news: a fold that
// begins anew gives up again what it meets again. The caller holds mu.
func (r *Replica) reject(p Report) bool {
	if recorded(r.rejected, p.Entry.Key, p.Entry.Stamp) {
		return false
	}
	rec := r.recordOf(r.eventOf(p.Entry))
	rec.Result, rec.Reason = Result(p.Reason), "given up, and perhaps lost: the log does not take it any more"
	if len(r.rejected) == maxGivenUp {
		r.rejected = slices.Delete(r.rejected, 0, 1)
	}
	r.rejected = append(r.rejected, rec)
	r.changed.raise()
	return true
}

// recorded reports whether a list of changes holds that of a key with a stamp.
func recorded(list []Record, key string, stamp crdt.Stamp) bool {
	text := stamp.String()
	return slices.ContainsFunc(list, func(r Record) bool { return r.Key == key && r.Stamp == text })
}

// recordOf is a pending change as people read it.
func (r *Replica) recordOf(e Event) Record {
	kind, _, _ := strings.Cut(e.Subject, "/")
	rec := Record{
		Time: r.cfg.Wall().UTC(), Kind: kind, Key: e.Subject, Action: "put", Actor: e.Actor, Origin: e.Origin,
		Stamp: e.Stamp.String(), ID: e.Stamp.String(), Data: e.Data,
	}
	if e.Deleted {
		rec.Action, rec.Data = "removed", nil
	}
	return rec
}

// Rejected lists the changes that this process has given up, oldest first, the newest 1,000
// of them.
func (r *Replica) Rejected() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rejected)
}
