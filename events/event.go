package events

import (
	"errors"
	"strings"
	"time"

	"sluice/crdt"
)

// MaxEvent is the greatest size of an encoded event in bytes: the stream's limit.
const MaxEvent = 256 << 10

// MaxValue is the greatest size of a value in bytes, as compact JSON. It leaves an event room for
// whatever its other attributes may hold, escaped, and for the headers of a message: a value that
// came in a short event fits as well into the longer one that offers it again.
const MaxValue = MaxEvent - 16<<10

// ErrEvent says that a message is no event that the fold could read. The error around
// it names the attribute and what is wrong with it.
var ErrEvent = errors.New("invalid event")

// Event is one write of one key, on the wire a CloudEvent 1.0 in structured JSON. The
// README has the table of its attributes.
type Event struct {
	// ID is unique per Source; events with a stamp use the stamp's text.
	ID, Source string
	// Type is sluice.<kind>.put or sluice.<kind>.removed; Encode fills it in if empty.
	Type string
	// Subject is the key, e.g. "service/go-demo".
	Subject string
	// Time is when the event was made, for people; zero: not said.
	Time time.Time
	// Stamp is zero for a raw event: one that a client published straight to the log.
	Stamp   crdt.Stamp
	Deleted bool
	// Actor is who asked for the write, Origin through what, TraceParent a W3C trace
	// context; all may be empty.
	Actor, Origin, TraceParent string
	// Seen is what the writer knew of the key: the text of the stamp of its newest write, "none"
	// for none, empty if that is not said. Anything else counts as not said.
	Seen string
	// Data is the value as compact JSON, an object; nil with Deleted.
	Data []byte
}

// EventType is the type of the event that puts or deletes key.
func EventType(key string, deleted bool) string {
	kind, _, _ := strings.Cut(key, "/")
	if deleted {
		return "sluice." + kind + ".removed"
	}
	return "sluice." + kind + ".put"
}

// Raw reports whether the event came without stamp.
func (e Event) Raw() bool { return e.Stamp.IsZero() }

// Entry is what the event writes. That of a raw event has no stamp yet.
func (e Event) Entry() crdt.Entry {
	return crdt.Entry{Key: e.Subject, Stamp: e.Stamp, Deleted: e.Deleted, Value: e.Data}
}
