package events

import "sluice/events/internal/rule"

// Within reports whether s may be a prefix of the log that info describes, by identity and
// bounds alone. Only then is it worth reading the message at the state's position.
func (c *Core) Within(info LogInfo, s *State) bool {
	switch broken := c.cfg.Broken; {
	case s == nil:
		return false
	case s.StreamID != info.StreamID && !broken.Has(rule.NoSid):
		return false
	case s.Seq() < info.First && !broken.Has(rule.ResumeGap):
		return false
	}
	return s.Seq() <= info.Last || c.cfg.Broken.Has(rule.NoLast)
}

// Valid reports whether s is a prefix of the log that info describes (rule 15). m is the
// message at the state's position, nil if the log has none there.
func (c *Core) Valid(info LogInfo, s *State, m *Message) bool {
	if !c.Within(info, s) {
		return false
	}
	if m == nil {
		broken := c.cfg.Broken
		return broken.Has(rule.NoLast) && s.Seq() > info.Last || broken.Has(rule.ResumeGap) && s.Seq() < info.First
	}
	if c.cfg.Broken.Has(rule.NoSid) && s.StreamID != info.StreamID {
		return true
	}
	return c.same(s.Anchor, m.Anchor())
}

// Usable reports whether a checkpoint or a peer's state is a base to rebuild from (rule 17);
// m is the message at its position, nil if the log has none there.
func (c *Core) Usable(info LogInfo, t Transfer, m *Message) bool {
	if !c.Valid(info, t.State, m) {
		return c.cfg.Broken.Has(rule.CkptNoAnchor) && c.Within(info, t.State)
	}
	return c.auditable(info, t.trail())
}

// auditable reports whether the log still has the audited point: if its head was trimmed
// beyond that, the comparison could not begin, and only a rebuild helps.
func (c *Core) auditable(info LogInfo, trail []Anchor) bool {
	return trail[0].Seq >= info.First || c.cfg.Broken.Has(rule.ResumeGap)
}

// same compares what was folded with what the log holds.
func (c *Core) same(folded, stored Anchor) bool {
	if c.cfg.Broken.Has(rule.AnchorNoTime) {
		stored.Time = folded.Time
	}
	return folded == stored || c.cfg.Broken.Has(rule.NoAnchor)
}

// Continues reports whether the next session can be Continue: the state is Valid, was not
// found to be of a branch that the log has lost, and can be audited.
func (c *Core) Continues(info LogInfo, m *Message) bool {
	return !c.lost && c.Valid(info, c.State(), m) && c.auditable(info, c.line.trail)
}
