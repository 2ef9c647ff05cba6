package events

import (
	"iter"
	"slices"
	"strings"

	"sluice/crdt"
)

// visible lists the live visible entries below prefix by key. The caller holds mu.
func (r *Replica) visible(prefix string) []crdt.Entry {
	out := slices.Collect(r.each(prefix))
	slices.SortFunc(out, func(a, b crdt.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// each goes through the live visible entries below prefix, in no order. The caller holds mu.
func (r *Replica) each(prefix string) iter.Seq[crdt.Entry] {
	return func(yield func(crdt.Entry) bool) {
		s := r.line.state()
		if s == nil {
			return
		}
		for e := range s.Map.All() {
			if !strings.HasPrefix(e.Key, prefix) {
				continue
			}
			if v, _ := Visible(s, r.pending, e.Key); v.Live() && !yield(v) {
				return
			}
		}
		for _, p := range r.pending.Entries() {
			e := p.Entry
			_, known := s.Map.Get(e.Key)
			if !known && p.Accepted && e.Live() && strings.HasPrefix(e.Key, prefix) && !yield(e) {
				return
			}
		}
	}
}
