package events

import (
	"slices"
	"strings"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// ReasonCollected: an old tombstone that the new state has no trace of. If nobody
// re-creates the key from an older copy nothing is lost with it.
const ReasonCollected = "collected"

// Replace is what happens to the pending layer when the state old gives way to next: a
// rebuild, a peer's state, a snapshot, a log that was recreated (rule 14). Whatever next
// lacks and is younger than R is offered again, older writes are returned as reports.
// old may be nil.
func Replace(old, next *State, p *Pending) []Report {
	var reports []Report
	if old != nil && !p.broken.Has(rule.NoReofferD) {
		for e := range old.Map.All() {
			if beats(next, e) || e.Deleted && p.broken.Has(rule.NoReofferTomb) {
				continue
			}
			if next.expired(e.Stamp.Millis()) {
				reports = append(reports, Report{Entry: e, Reason: lostReason(next, e)})
				continue
			}
			p.Put(PendingEntry{Entry: e, Own: true, Accepted: true})
		}
		slices.SortFunc(reports, func(a, b Report) int { return strings.Compare(a.Entry.Key, b.Entry.Key) })
	}
	return append(reports, p.Sweep(next)...)
}

func lostReason(next *State, e crdt.Entry) string {
	if _, known := next.Map.Get(e.Key); e.Deleted && !known {
		return ReasonCollected
	}
	return ReasonExpired
}

// Visible is what a reader sees of key: the greater of the state's and the accepted
// pending entry, a tombstone included; false if there is neither. s and p may be nil.
func Visible(s *State, p *Pending, key string) (crdt.Entry, bool) {
	var accepted PendingEntry
	var ok bool
	if p != nil {
		accepted, ok = p.accepted[key]
		if s != nil && p.broken.Has(rule.NoP) {
			return s.Map.Get(key)
		}
	}
	return greater(s, accepted.Entry, ok, key)
}

// Greatest is Visible with the entries that are on their way: what the stamp of a new
// write must follow.
func Greatest(s *State, p *Pending, key string) (crdt.Entry, bool) {
	var held PendingEntry
	var ok bool
	if p != nil {
		held, ok = p.Get(key)
	}
	return greater(s, held.Entry, ok, key)
}

func greater(s *State, e crdt.Entry, ok bool, key string) (crdt.Entry, bool) {
	if s == nil {
		return e, ok
	}
	known, found := s.Map.Get(key)
	if !found || ok && e.Compare(known) > 0 {
		return e, ok
	}
	return known, true
}
