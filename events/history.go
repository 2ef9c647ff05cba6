package events

import (
	"encoding/json"
	"time"
)

// Query selects records of the log.
type Query struct {
	// After is the sequence after which to begin; 0: at the beginning.
	After uint64
	// Key, if not empty, selects one key.
	Key string
	// Kind, if not empty, selects one kind of key, e.g. "service".
	Kind string
	// Follow goes on with new events until the context ends.
	Follow bool
}

// Record is one event of the log as people read it.
type Record struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	Key  string    `json:"key"`
	// Action is "put" or "removed".
	Action string `json:"action"`
	Actor  string `json:"actor,omitempty"`
	Origin string `json:"origin,omitempty"`
	// Stamp is empty for an event that came without one.
	Stamp string `json:"stamp,omitempty"`
	ID    string `json:"id"`
	// Result is what the fold made of it; empty where this replica did not fold it itself.
	Result Result `json:"result,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Data is the definition, as JSON.
	Data json.RawMessage `json:"data,omitempty"`
}
