package events

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// Reasons of reports: bounded, fit for metrics.
const (
	// ReasonExpired: older than R, so that no log takes it any more.
	ReasonExpired = "expired"
	// ReasonFuture: the log rejected it as too far ahead of its time.
	ReasonFuture = "future"
	// ReasonUnfit: no event can hold it; it is not from this program, or from an older one.
	ReasonUnfit = "unfit"
)

// Report tells of a write that may be lost: this replica gives it up, though another
// one may still have it in a log.
type Report struct {
	Entry  crdt.Entry
	Reason string
	// Err explains the reason where that is not enough; else nil.
	Err error
}

// PendingEntry is a write that is not known to be in the log.
type PendingEntry struct {
	Entry crdt.Entry
	// Own entries are offered at once, those of others from Due on, if that is not zero.
	Own bool
	Due time.Time
	// Accepted: somebody was told yes, so readers see it. Otherwise it is on its way to the
	// log, counts for stamping alone, and may yet be refused.
	Accepted bool
}

// Pending is the layer of writes over the State. Per key it keeps the greatest accepted
// entry and, if that is greater still, the greatest one on its way: a refusal of the
// latter brings back the former. It is not safe for concurrent use.
type Pending struct {
	accepted map[string]PendingEntry
	underway map[string]PendingEntry // always greater than the accepted one of the key
	// earliest is not later than any entry, in milliseconds: as long as it is young enough
	// no sweep is needed.
	earliest uint64
	broken   rule.Set
}

// NewPending returns an empty layer.
func NewPending() *Pending {
	return &Pending{accepted: map[string]PendingEntry{}, underway: map[string]PendingEntry{}, earliest: math.MaxUint64}
}

// Len is the number of entries.
func (p *Pending) Len() int { return len(p.accepted) + len(p.underway) }

// Put adds an entry unless a greater one of its key makes it pointless. An identical
// one keeps what it was: own stays own, accepted stays accepted.
func (p *Pending) Put(e PendingEntry) {
	key := e.Entry.Key
	p.earliest = min(p.earliest, e.Entry.Stamp.Millis())
	accepted, hasAccepted := p.accepted[key]
	underway, hasUnderway := p.underway[key]
	if hasUnderway && underway.Entry.Compare(e.Entry) == 0 {
		e.Own = e.Own || underway.Own
	}
	if hasAccepted {
		switch c := e.Entry.Compare(accepted.Entry); {
		case c < 0:
			return
		case c == 0:
			accepted.Own = accepted.Own || e.Own
			p.accepted[key] = accepted
			return
		}
	}
	switch {
	case e.Accepted:
		p.accepted[key] = e
		if hasUnderway && underway.Entry.Compare(e.Entry) <= 0 {
			delete(p.underway, key)
		}
	case !hasUnderway || underway.Entry.Compare(e.Entry) <= 0:
		p.underway[key] = e
	}
}

// Get returns the greatest entry of key.
func (p *Pending) Get(key string) (PendingEntry, bool) {
	if e, ok := p.underway[key]; ok {
		return e, true
	}
	e, ok := p.accepted[key]
	return e, ok
}

// Drop removes e if exactly it is there and reports whether it was.
func (p *Pending) Drop(e crdt.Entry) bool {
	for _, layer := range []map[string]PendingEntry{p.underway, p.accepted} {
		if held, ok := layer[e.Key]; ok && held.Entry.Compare(e) == 0 {
			delete(layer, e.Key)
			return true
		}
	}
	return false
}

// Accept makes readers see e, if exactly it is there, and reports whether it is.
func (p *Pending) Accept(e crdt.Entry) bool {
	if held, ok := p.underway[e.Key]; ok && held.Entry.Compare(e) == 0 {
		held.Accepted = true
		p.Put(held)
		return true
	}
	held, ok := p.accepted[e.Key]
	return ok && held.Entry.Compare(e) == 0
}

// Entries lists everything to be offered in order of the keys: up to two entries a key.
func (p *Pending) Entries() []PendingEntry {
	out := slices.AppendSeq(make([]PendingEntry, 0, p.Len()), maps.Values(p.accepted))
	out = slices.AppendSeq(out, maps.Values(p.underway))
	slices.SortFunc(out, func(a, b PendingEntry) int {
		if c := strings.Compare(a.Entry.Key, b.Entry.Key); c != 0 {
			return c
		}
		return a.Entry.Compare(b.Entry)
	})
	return out
}

// Fold follows one folded message (rule 9); s is the state after it, or after the whole
// rebuild that it is part of. Entries that the message makes pointless go, and what may
// be lost is returned.
func (p *Pending) Fold(s *State, e Effect) []Report {
	var reports []Report
	switch e.Result {
	case ResultFuture:
		p.Drop(e.Entry)
		if p.broken.Has(rule.DropLE) {
			p.dropUpTo(e.Entry)
		}
		reports = append(reports, unlessBeaten(s, e.Entry, ReasonFuture)...)
	case ResultExpired:
		reports = append(reports, unlessBeaten(s, e.Entry, ReasonExpired)...)
		for _, gone := range p.dropUpTo(e.Entry) {
			if gone.Compare(e.Entry) != 0 {
				reports = append(reports, unlessBeaten(s, gone, ReasonExpired)...)
			}
		}
	case ResultApplied, ResultBeaten:
		if p.broken.Has(rule.NoFoldDrop) {
			break
		}
		p.dropUpTo(e.Entry)
		if p.broken.Has(rule.DurableWins) {
			delete(p.accepted, e.Entry.Key)
		}
		// Beaten is by something that the map holds, and that may beat more.
		if known, ok := s.Map.Get(e.Entry.Key); ok {
			p.dropUpTo(known)
		}
	}
	// The map changes in e.Entry.Key alone, but for a genesis, so that a sweep of the rest
	// finds nothing until the state's time has moved far enough.
	if e.Result == ResultGenesis || p.Len() > 0 && s.expired(p.earliest) {
		reports = append(reports, p.Sweep(s)...)
	}
	return reports
}

// Sweep drops what s beats, and drops and returns what has expired.
func (p *Pending) Sweep(s *State) []Report {
	if p.broken.Has(rule.NoSweep) {
		return nil
	}
	var reports []Report
	p.earliest = math.MaxUint64
	for _, held := range p.Entries() {
		e := held.Entry
		switch {
		case beats(s, e):
			p.Drop(e)
		case s.expired(e.Stamp.Millis()):
			p.Drop(e)
			reports = append(reports, Report{Entry: e, Reason: ReasonExpired})
		default:
			p.earliest = min(p.earliest, e.Stamp.Millis())
		}
	}
	return reports
}

// dropUpTo removes and returns the entries of e's key that are not greater than e.
func (p *Pending) dropUpTo(e crdt.Entry) []crdt.Entry {
	var gone []crdt.Entry
	for _, layer := range []map[string]PendingEntry{p.accepted, p.underway} {
		if held, ok := layer[e.Key]; ok && held.Entry.Compare(e) <= 0 {
			delete(layer, e.Key)
			gone = append(gone, held.Entry)
		}
	}
	return gone
}

// beats reports whether s holds e itself or a greater entry of its key.
func beats(s *State, e crdt.Entry) bool {
	known, ok := s.Map.Get(e.Key)
	return ok && known.Compare(e) >= 0
}

func unlessBeaten(s *State, e crdt.Entry, reason string) []Report {
	if beats(s, e) {
		return nil
	}
	return []Report{{Entry: e, Reason: reason}}
}
