package events

import (
	"errors"

	"sluice/crdt"
)

// Errors of Replica.Write, beside those of the Log.
var (
	// ErrNotReady: the replica has no state yet.
	ErrNotReady = errors.New("the state is not restored yet")
	// ErrPrecondition: the If-Match condition does not hold.
	ErrPrecondition = errors.New("the precondition does not hold")
	// ErrClock: this replica's clock is too far from the log's.
	ErrClock = errors.New("the clock is too far from the log's")
	// ErrRejected: the event is in the log, and the fold rejected it.
	ErrRejected = errors.New("the log rejected the change")
)

// Change is a request to put or delete one key.
type Change struct {
	Key string
	// Value is the canonical document; nil with Delete.
	Value  []byte
	Delete bool
	// Actor is who asked, Origin through what (api, cli, swarm …), TraceParent a W3C trace
	// context; all may be empty.
	Actor, Origin, TraceParent string
	// IfMatch is the stamp that the key must have, "*" for any live value, "" for no condition.
	IfMatch string
	// IfAbsent asks that the key be not live.
	IfAbsent bool
	// Equal reports whether two documents mean the same, so that no event is needed; nil:
	// equal bytes.
	Equal func(current, proposed []byte) bool
}

// Receipt tells what became of a change.
type Receipt struct {
	// StreamID and Seq are the position that holds the change (of a no-op: the position at
	// which the state already was as asked). Seq 0: without the log.
	StreamID string
	Seq      uint64
	Stamp    crdt.Stamp
	EventID  string
	// NoOp: the state was already as asked, nothing was written.
	NoOp bool
	// Result is what the fold made of it: applied or beaten; empty if it has not been folded here yet.
	Result Result
}
