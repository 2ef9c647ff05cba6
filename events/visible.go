package events

import (
	"slices"
	"strings"

	"sluice/crdt"
)

// visible lists the live visible entries below prefix by key. The caller holds mu.
func (r *Replica) visible(prefix string) []crdt.Entry {
	out := r.unsorted(prefix)
	slices.SortFunc(out, func(a, b crdt.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Count is the number of live entries whose key begins with prefix.
func (r *Replica) Count(prefix string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unsorted(prefix))
}

func (r *Replica) unsorted(prefix string) []crdt.Entry {
	var out []crdt.Entry
	s := r.line.state()
	if s == nil {
		return nil
	}
	for e := range s.Map.All() {
		if !strings.HasPrefix(e.Key, prefix) {
			continue
		}
		if v, _ := Visible(s, r.pending, e.Key); v.Live() {
			out = append(out, v)
		}
	}
	for _, p := range r.pending.Entries() {
		if _, known := s.Map.Get(p.Entry.Key); !known && p.Accepted && p.Entry.Live() && strings.HasPrefix(p.Entry.Key, prefix) {
			out = append(out, p.Entry)
		}
	}
	return out
}
