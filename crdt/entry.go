package crdt

import (
	"bytes"
	"cmp"
)

// Entry is one register: the newest write known of a key.
type Entry struct {
	Key   string
	Stamp Stamp
	// Deleted marks a tombstone; its Value is nil.
	Deleted bool
	// Value is the canonical document. It is shared, never change it in place.
	Value []byte
}

// Live reports whether the entry is a value, not a tombstone nor the zero Entry.
func (e Entry) Live() bool { return !e.Deleted && !e.Stamp.IsZero() }

// Compare is the total order of two entries of one key: stamp, then a delete beats a
// put, then the greater bytes. It is zero exactly for identical entries.
func (e Entry) Compare(o Entry) int {
	return cmp.Or(e.Stamp.Compare(o.Stamp), compareBool(e.Deleted, o.Deleted), bytes.Compare(e.Value, o.Value))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
