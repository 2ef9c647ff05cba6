package events

import (
	"slices"
	"strings"
	"sync"

	"sluice/crdt"
)

// listing keeps the live visible entries sorted. Reading it costs what has changed since it
// was last read, and a copy of the pointers: what readers were given never changes.
type listing struct {
	mu      sync.Mutex // held while it is read; taken before the replica's
	entries []*crdt.Entry
}

// touched are the keys whose visible entry may have changed since the listing was read; all
// of them if the whole state was exchanged. The zero value is ready.
type touched struct {
	keys map[string]struct{}
	all  bool
}

func (s *touched) add(key string) {
	if s.all || key == "" {
		return
	}
	if s.keys == nil {
		s.keys = map[string]struct{}{}
	}
	s.keys[key] = struct{}{}
}

func (s *touched) addAll() { s.keys, s.all = nil, true }

// Live returns the live entries whose key begins with prefix, sorted by key, and the
// position that they belong to. They are shared, never change them in place; an entry that
// has not changed since the last call is the same pointer.
func (r *Replica) Live(prefix string) ([]*crdt.Entry, View) {
	r.listing.mu.Lock()
	defer r.listing.mu.Unlock()
	r.mu.Lock()
	changes, all := r.changes()
	view := r.view()
	r.mu.Unlock()
	slices.SortFunc(changes, func(a, b *crdt.Entry) int { return strings.Compare(a.Key, b.Key) })
	if all {
		r.listing.entries = changes
	} else {
		r.listing.entries = merged(r.listing.entries, changes)
	}
	return Below(r.listing.entries, prefix), view
}

// Count is the number of live entries whose key begins with prefix.
func (r *Replica) Count(prefix string) int {
	entries, _ := r.Live(prefix)
	return len(entries)
}

// Below is the part of entries, which are sorted by key, whose keys begin with prefix.
func Below(entries []*crdt.Entry, prefix string) []*crdt.Entry {
	from, _ := slices.BinarySearchFunc(entries, prefix, byKey)
	rest := entries[from:]
	n, _ := slices.BinarySearchFunc(rest, prefix, func(e *crdt.Entry, prefix string) int {
		if strings.HasPrefix(e.Key, prefix) {
			return -1
		}
		return 1
	})
	return rest[:n:n]
}

func byKey(e *crdt.Entry, key string) int { return strings.Compare(e.Key, key) }

// changes is what is visible now of the keys that were touched, tombstones and absent
// entries included, or every live entry if all were; in no order. The caller holds mu.
func (r *Replica) changes() (list []*crdt.Entry, all bool) {
	t := r.touched
	r.touched = touched{}
	if t.all {
		return everyLive(r.core.State(), r.core.Pending()), true
	}
	for key := range t.keys {
		e, _ := r.core.Visible(key)
		e.Key = key
		list = append(list, &e)
	}
	return list, false
}

// everyLive lists the live visible entries, in no order.
func everyLive(s *State, p *Pending) []*crdt.Entry {
	if s == nil {
		return nil
	}
	list := make([]*crdt.Entry, 0, s.Map.Len())
	add := func(key string) {
		if e, _ := Visible(s, p, key); e.Live() {
			list = append(list, &e)
		}
	}
	for e := range s.Map.All() {
		add(e.Key)
	}
	for key := range p.accepted {
		if _, known := s.Map.Get(key); !known {
			add(key)
		}
	}
	return list
}

// merged is list with the changes in the places of their keys, or list itself if there is
// nothing new in them. Both are sorted by key.
func merged(list, changes []*crdt.Entry) []*crdt.Entry {
	changes = slices.DeleteFunc(changes, func(c *crdt.Entry) bool {
		i, found := slices.BinarySearchFunc(list, c.Key, byKey)
		return found && c.Live() && list[i].Compare(*c) == 0 || !found && !c.Live()
	})
	if len(changes) == 0 {
		return list
	}
	out := make([]*crdt.Entry, 0, len(list)+len(changes))
	for _, c := range changes {
		i, found := slices.BinarySearchFunc(list, c.Key, byKey)
		out = append(out, list[:i]...)
		if list = list[i:]; found {
			list = list[1:]
		}
		if c.Live() {
			out = append(out, c)
		}
	}
	return append(out, list...)
}
