package events

import (
	"time"

	"github.com/zeebo/xxh3"

	"sluice/crdt"
)

// FoldVersion is the version of the fold that this program knows: the rules by which
// messages become state, what can be decoded included.
const FoldVersion = 1

// Params are the fold parameters of one log. They stand in its genesis and never in
// anybody's configuration, because all replicas must fold alike.
type Params struct {
	// Version is the fold version.
	Version int
	// R is how long tombstones are kept, and the age beyond which writes expire.
	R time.Duration
	// F is how far the stamp of a write may be ahead of the log's time.
	F time.Duration
	// N: old tombstones are collected after each sequence that N divides.
	N uint64
}

// DefaultParams are those of a log that this program starts: 30 days, 60 seconds, 256.
func DefaultParams() Params {
	return Params{Version: FoldVersion, R: 30 * 24 * time.Hour, F: 60 * time.Second, N: 256}
}

// valid reports whether a fold can be done by p; whole milliseconds, since that is how
// a genesis carries them.
func (p Params) valid() bool {
	return wholeMillis(p.R) && wholeMillis(p.F) && p.N > 0
}

func wholeMillis(d time.Duration) bool {
	return d >= time.Millisecond && d <= maxParam && d%time.Millisecond == 0
}

const maxParam = 10 * 365 * 24 * time.Hour

// Anchor identifies one message of one log: two messages at one sequence, of a log that
// lost its tail and grew again, differ in it.
type Anchor struct {
	Seq uint64
	// Time is the stream's timestamp in nanoseconds since 1970.
	Time int64
	// Hash is XXH3-128 of the data, seeded with XXH3-64 of the subject, big endian.
	Hash [16]byte
}

// Anchor identifies the message.
func (m Message) Anchor() Anchor {
	return Anchor{
		Seq:  m.Seq,
		Time: m.Time.UnixNano(),
		Hash: xxh3.Hash128Seed(m.Data, xxh3.HashString(m.Subject)).Bytes(),
	}
}

// millis is the stream's timestamp in milliseconds since 1970.
func (m Message) millis() uint64 { return uint64(max(m.Time.UnixMilli(), 0)) }

// State is what the prefix of one log up to Anchor amounts to. It is not safe for
// concurrent use.
type State struct {
	StreamID string
	Params   Params
	// Ref is the greatest stream time folded, in milliseconds since 1970. Every
	// comparison with "now" uses it: all replicas have the same one.
	Ref    uint64
	Anchor Anchor
	// Map holds the entries, tombstones included. Only the fold changes it.
	Map *crdt.Map
}

// Seq is the sequence up to which the log is folded.
func (s *State) Seq() uint64 { return s.Anchor.Seq }

// Clone returns an independent copy; nil for nil.
func (s *State) Clone() *State {
	if s == nil {
		return nil
	}
	c := *s
	c.Map = s.Map.Clone()
	return &c
}

// expired reports whether a write stamped at millis is older than R.
func (s *State) expired(millis uint64) bool {
	return millis < oldest(s.Ref, s.Params)
}

// oldest is ref-R in milliseconds, 0 if that is before 1970.
func oldest(ref uint64, p Params) uint64 {
	r := uint64(p.R.Milliseconds())
	return ref - min(r, ref)
}
