package events

import (
	"fmt"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// What does more than leave out a line when a rule is broken stands here; nothing in this
// file happens in the product.

// breakGenesis spoils the state s that a genesis begins; an error makes the genesis inert.
func (p *prelude) breakGenesis(s *State, broken rule.Set) error {
	if broken.Has(rule.GenOnlyAtZero) {
		for _, e := range p.waiting {
			if e.Result != ResultChunk {
				return fmt.Errorf("%w: not the first message", ErrGenesis)
			}
		}
	}
	if broken.Has(rule.GenExpiry) {
		for _, e := range s.Map.Sorted() {
			if e.Stamp.Millis() < oldest(max(s.Ref, p.ref), s.Params) {
				s.Map.Remove(e.Key)
			}
		}
	}
	if broken.Has(rule.GenNoRef) {
		s.Ref = 0
	}
	return nil
}

// again lets a second genesis have an effect; e is what the fold makes of m otherwise.
func (f *Fold) again(e Effect, m Message) {
	if f.second == nil {
		f.second = &prelude{}
	}
	switch e.Result {
	case ResultChunk:
		if c, err := decodeChunk(m.Data); err == nil {
			f.second.chunks.add(m.Seq, c)
		}
	case ResultInert:
		if s, err := f.second.begin(m, 0, f.broken); err == nil {
			f.state.Map, f.state.Ref = s.Map, max(f.state.Ref, s.Ref)
		}
	}
}

// dropOld is what timers must not do to the layers: wall is milliseconds since 1970.
func (c *Core) dropOld(wall uint64) {
	s, broken := c.State(), c.cfg.Broken
	if s == nil || broken == 0 {
		return
	}
	newest := uint64(0)
	for e := range s.Map.All() {
		newest = max(newest, e.Stamp.Millis())
	}
	for _, p := range c.pending.Entries() {
		newest = max(newest, p.Entry.Stamp.Millis())
	}
	for _, p := range c.pending.Entries() {
		ms := p.Entry.Stamp.Millis()
		if broken.Has(rule.NewestExpiry) && ms < oldest(newest, s.Params) || broken.Has(rule.LocalExpiry) && ms < oldest(wall, s.Params) {
			c.pending.Drop(p.Entry)
		}
	}
	if broken.Has(rule.LocalCollect) {
		s.Map.Collect(oldest(wall, s.Params))
	}
}

// adoptBroken replaces the own state by another one, or merges it, as must not be done.
func (c *Core) adoptBroken(t Transfer) bool {
	old := c.State()
	switch {
	case old == nil:
		return false
	case c.cfg.Broken.Has(rule.MergeD):
		for e := range t.State.Map.All() {
			old.Map.Merge(e)
		}
		c.pending.Sweep(old)
		return true
	case c.cfg.Broken.Has(rule.AdoptNoReoffer):
		c.line, c.lost = c.lineage(t), false
		c.pending.Sweep(t.State)
		return true
	}
	return false
}

// withoutTombstones is a copy of m with the live entries only.
func withoutTombstones(m *crdt.Map) *crdt.Map {
	live := crdt.NewMap()
	for e := range m.All() {
		if e.Live() {
			live.Merge(e)
		}
	}
	return live
}

// unaudited reports whether a broken session skips the comparison with what was folded.
func (s *Session) unaudited(broken rule.Set) bool {
	return broken.Has(rule.NoAudit) ||
		broken.Has(rule.ResumeGap) && s.line.trail[0].Seq < s.info.First ||
		broken.Has(rule.NoSid) && s.line.state().StreamID != s.info.StreamID ||
		broken.Has(rule.CkptNoAnchor) && !s.serving
}
