// Package rule names ways to break the replicated core, one at a time, so that tests can
// show that they would notice. Being internal to events it cannot be set from elsewhere;
// the zero Set, the product's, breaks nothing.
package rule

// Broken is one rule that is not kept.
type Broken uint8

// Rules of the fold, by what is wrong with them.
const (
	// FoldNoFuture: stamps from the future are folded (rule 5).
	FoldNoFuture Broken = iota
	// FoldNoExpiry: stamps older than R are folded (rule 5).
	FoldNoExpiry
	// TightF: the fold's bound for the future is that of admission (rule 3).
	TightF
	// TieKeepsFirst: of equal clock readings the first in the log stays (rule 1).
	TieKeepsFirst
	// RefRaw: the state's time is that of the last message, not the greatest (rule 4).
	RefRaw
	// RawNoPlus: a raw write is not stamped behind what the key has (rule 6).
	RawNoPlus
	// CollectEarly: tombstones are collected long before R (rule 8).
	CollectEarly
	// GenExpiry: old entries of a genesis expire (rule 7).
	GenExpiry
	// GenTwice: a second genesis has an effect (rule 7).
	GenTwice
	// GenOnlyAtZero: a genesis counts as the log's first message only (rule 7).
	GenOnlyAtZero
	// GenForgetsEarlier: what came before the genesis is not folded (rule 7).
	GenForgetsEarlier
	// GenNoRef: a genesis does not continue the time of its state (rule 7).
	GenNoRef
	// SeedAny: a genesis counts however old its state is (rule 7).
	SeedAny
	// GenNoTomb: a genesis carries no tombstones (rule 18).
	GenNoTomb
	// BlankSeed: a replica with a state starts a log without it (rule 18).
	BlankSeed

	// DropLE: a rejected future write takes lesser pending ones with it (rule 9).
	DropLE
	// DurableWins: whatever the log applies takes the pending entry out (rule 9).
	DurableWins
	// NoSweep: the pending layer is not swept (rule 9).
	NoSweep
	// NoFoldDrop: what is folded stays pending (rule 9).
	NoFoldDrop
	// NoP: readers see the state's entry even under a greater pending one (rule 2).
	NoP

	// NoVisPlus: a write is not stamped behind what it has read (rule 10).
	NoVisPlus
	// NoClockPlus: a clock that stands still gives one stamp twice (rule 10).
	NoClockPlus
	// AckActs: an acknowledged write is put into the state (rule 11).
	AckActs
	// OwnerOnly: nobody offers the writes of others (rule 11).
	OwnerOnly
	// NewestExpiry: what is older than R by the newest stamp known is dropped (rule 11).
	NewestExpiry
	// LocalExpiry: what is older than R by the local clock is dropped (rule 11).
	LocalExpiry
	// LocalCollect: tombstones are collected by the local clock (rule 8).
	LocalCollect

	// AdmitFuture: peers' writes are admitted however far ahead they are (rule 12).
	AdmitFuture
	// NoAE: pending writes are broadcast once and never compared (rule 12).
	NoAE
	// NoDExch: peers' states are not adopted (rule 13).
	NoDExch
	// AdoptAnySid: a peer's state is adopted whatever log it is of (rule 13).
	AdoptAnySid
	// MergeD: a peer's state is merged into the own one, entry by entry (rule 13).
	MergeD
	// AdoptNoReoffer: an adopted state just takes the place of the own one (rule 14).
	AdoptNoReoffer
	// NoReofferD: what a new state lacks is forgotten (rule 14).
	NoReofferD
	// NoReofferTomb: removals that a new state lacks are forgotten (rule 14).
	NoReofferTomb

	// NoAnchor: the message at the state's position is not compared (rule 15).
	NoAnchor
	// AnchorNoTime: of that message only the content is compared (rules 2, 15).
	AnchorNoTime
	// NoLast: a state beyond the log's end is valid (rule 15).
	NoLast
	// NoSid: the identity of the log is not compared (rule 15).
	NoSid
	// CkptNoAnchor: a checkpoint's anchor is not compared (rule 17).
	CkptNoAnchor
	// ResumeGap: a fold goes on behind messages that are gone (rules 15, 20).
	ResumeGap
	// NoAudit: what was folded is not read again (rule 16).
	NoAudit
	// AuditNoPoint: of it the audited point itself is not read again (rule 16).
	AuditNoPoint

	count
)

// Set is a set of broken rules; the zero Set is empty.
type Set uint64

// Of returns the set of the given rules.
func Of(broken ...Broken) Set {
	var s Set
	for _, b := range broken {
		s |= 1 << b
	}
	return s
}

// Has reports whether b is in the set.
func (s Set) Has(b Broken) bool { return s&(1<<b) != 0 }

// All lists every rule that can be broken.
func All() []Broken {
	list := make([]Broken, count)
	for i := range list {
		list[i] = Broken(i)
	}
	return list
}
