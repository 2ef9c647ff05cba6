package crdt

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// Outcome is what Merge did with an entry.
type Outcome uint8

// Outcomes of a merge.
const (
	// Applied: the entry is new or greater and is now the one held.
	Applied Outcome = iota
	// Duplicate: the identical entry was there already.
	Duplicate
	// Beaten: a greater entry was there already.
	Beaten
)

// String is the outcome in lower case, for logs and tests.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Duplicate:
		return "duplicate"
	case Beaten:
		return "beaten"
	default:
		return "unknown"
	}
}

// slot keeps the fingerprint beside its entry, so that replacing an entry does not
// hash the old value again.
type slot struct {
	entry       Entry
	fingerprint uint64
}

// Map is a last-writer-wins map of entries, tombstones included. Make one with NewMap.
// It is not safe for concurrent use.
type Map struct {
	slots  map[string]slot
	digest uint64
}

// NewMap returns an empty map.
func NewMap() *Map { return &Map{slots: make(map[string]slot)} }

// Get returns the entry of key, a tombstone included; false if there is none.
func (m *Map) Get(key string) (Entry, bool) {
	s, ok := m.slots[key]
	return s.entry, ok
}

// Merge keeps the greater (Entry.Compare) of e and the entry held under its key. It
// allocates nothing for duplicates and beaten entries.
func (m *Map) Merge(e Entry) Outcome {
	old, ok := m.slots[e.Key]
	if ok {
		switch c := e.Compare(old.entry); {
		case c == 0:
			return Duplicate
		case c < 0:
			return Beaten
		}
	}
	fresh := slot{entry: e, fingerprint: e.Fingerprint()}
	m.slots[e.Key] = fresh
	m.digest += fresh.fingerprint - old.fingerprint
	return Applied
}

// Remove forgets key altogether, as no merge can do. It is meant for collection, and
// for layers that hold entries only for a while.
func (m *Map) Remove(key string) {
	old, ok := m.slots[key]
	if !ok {
		return
	}
	delete(m.slots, key)
	m.digest -= old.fingerprint
}

// Collect removes the tombstones stamped before beforeMillis (milliseconds since 1970)
// and returns their number.
func (m *Map) Collect(beforeMillis uint64) int {
	n := 0
	for key, s := range m.slots {
		if s.entry.Deleted && s.entry.Stamp.Millis() < beforeMillis {
			m.Remove(key)
			n++
		}
	}
	return n
}

// Len is the number of entries, tombstones included.
func (m *Map) Len() int { return len(m.slots) }

// Digest is the sum modulo 2^64 of the fingerprints of all entries, 0 for an empty
// map. It is kept incrementally and does not depend on the order of merges.
func (m *Map) Digest() uint64 { return m.digest }

// Clone returns an independent copy; the values, which nobody changes, are shared.
func (m *Map) Clone() *Map { return &Map{slots: maps.Clone(m.slots), digest: m.digest} }

// All yields every entry in no particular order. The map must not change meanwhile.
func (m *Map) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, s := range m.slots {
			if !yield(s.entry) {
				return
			}
		}
	}
}

// Sorted returns every entry in byte order of the keys.
func (m *Map) Sorted() []Entry {
	list := make([]Entry, 0, len(m.slots))
	for _, s := range m.slots {
		list = append(list, s.entry)
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return list
}
