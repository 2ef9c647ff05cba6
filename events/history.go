package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Query selects records of the log.
type Query struct {
	// After is the sequence after which to begin; 0: at the beginning.
	After uint64
	// Key, if not empty, selects one key.
	Key string
	// Kind, if not empty, selects one kind of key, e.g. "service", or is KindRejected.
	Kind string
	// Conflicts selects writes that competed with another one.
	Conflicts bool
	// Follow goes on with new events until the context ends.
	Follow bool
}

// Record is one event of the log as people read it.
type Record struct {
	// Seq is 0 for what is in no log.
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
	// Conflict tells of another write that this one competed with; nil: none is known.
	Conflict *Conflict `json:"conflict,omitempty"`
	// Data is the definition, as JSON.
	Data json.RawMessage `json:"data,omitempty"`
}

// NewRecord reads a stored message; one that is no event has only its position and Reason.
// Result stays empty: it is the fold's.
func NewRecord(m Message) Record {
	r := Record{Seq: m.Seq, Time: m.Time}
	e, err := DecodeEvent(m.Data)
	if err != nil {
		r.Reason = err.Error()
		return r
	}
	r.ID, r.Key, r.Actor, r.Origin, r.Data = e.ID, e.Subject, e.Actor, e.Origin, e.Data
	r.Kind, _, _ = strings.Cut(e.Subject, "/")
	r.Action = "put"
	if e.Deleted {
		r.Action = "removed"
	}
	if !e.Raw() {
		r.Stamp = e.Stamp.String()
	}
	return r
}

// Subject is the subject filter of the query. The error names what is no key or kind.
func (q Query) Subject(s Subjects) (string, error) {
	switch {
	case q.Key != "":
		return s.Event(q.Key), CheckKey(q.Key)
	case q.Kind == "":
		return s.events() + ">", nil
	case validKind(q.Kind):
		return s.events() + q.Kind + ".>", nil
	}
	return "", fmt.Errorf("kind %.40q: want 1 to 16 lower-case letters, e.g. service", q.Kind)
}
