// Package crdt is the last-writer-wins map that all replicas agree on: stamps, their
// total order, entries, the map with its merge and its digest.
//
// It is pure: no clock, no context, no I/O. Nothing in it is safe for concurrent use.
package crdt

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Stamp orders writes. HLC is a hybrid logical clock reading, milliseconds since
// 1970 << 16 | counter. Node is the random identity of the writing process (top bit
// set), or a log sequence (top bit clear) for a write that came without stamp.
type Stamp struct{ HLC, Node uint64 }

// Millis is the wall-clock part of the stamp in milliseconds since 1970.
func (s Stamp) Millis() uint64 { return s.HLC >> 16 }

// IsZero reports whether the stamp was never set.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Compare is negative, zero or positive as s is before, equal to or after o.
func (s Stamp) Compare(o Stamp) int {
	return cmp.Or(cmp.Compare(s.HLC, o.HLC), cmp.Compare(s.Node, o.Node))
}

// String is the form used in ids and answers: two times 16 hex digits joined by "-".
func (s Stamp) String() string { return fmt.Sprintf("%016x-%016x", s.HLC, s.Node) }

// ParseStamp reads what String wrote.
func ParseStamp(text string) (Stamp, error) {
	hlc, node, ok := strings.Cut(text, "-")
	if !ok || len(hlc) != 16 || len(node) != 16 {
		return Stamp{}, fmt.Errorf("stamp %.40q: want 16 hex digits, a dash, 16 hex digits", text)
	}
	h, err := strconv.ParseUint(hlc, 16, 64)
	if err != nil {
		return Stamp{}, fmt.Errorf("stamp %.40q: %w", text, err)
	}
	n, err := strconv.ParseUint(node, 16, 64)
	if err != nil {
		return Stamp{}, fmt.Errorf("stamp %.40q: %w", text, err)
	}
	return Stamp{HLC: h, Node: n}, nil
}
