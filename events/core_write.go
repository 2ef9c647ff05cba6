package events

import (
	"fmt"
	"slices"
	"time"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// Write stamps a change and holds it as pending (rule 10). The entry is on its way: later
// stamps follow it, readers do not see it, and it is not offered. Accept, Settle, Refuse,
// Unknown or Doubt ends that. Value and Delete of the change are taken, its condition is the
// caller's.
// ErrNotReady: there is no state. ErrClock: no log would take the stamp.
func (c *Core) Write(ch Change, wall time.Time) (crdt.Entry, error) {
	s := c.State()
	if s == nil {
		return crdt.Entry{}, ErrNotReady
	}
	e := crdt.Entry{Key: ch.Key, Stamp: c.next(ch.Key, wall), Deleted: ch.Delete, Value: ch.Value}
	ms, now := e.Stamp.Millis(), max(s.Ref, uint64(max(wall.UnixMilli(), 0)))
	switch {
	case s.expired(ms):
		return crdt.Entry{}, fmt.Errorf("%w: it is behind by more than %s: set the clock of this machine (NTP)", ErrClock, s.Params.R)
	case ms > now+uint64(s.Params.F.Milliseconds()): // the log would reject it
		ahead := time.Duration(ms-now) * time.Millisecond
		return crdt.Entry{}, fmt.Errorf("%w: it was set back, and stamps are still %s ahead: restart this replica", ErrClock, ahead.Round(time.Second))
	}
	c.pending.Put(PendingEntry{Entry: e, Own: true})
	c.underway[e.Stamp] = ""
	return e, nil
}

// next is the stamp of a write of key.
func (c *Core) next(key string, wall time.Time) crdt.Stamp {
	floor := uint64(0)
	if seen, ok := Greatest(c.State(), c.pending, key); ok && !c.cfg.Broken.Has(rule.NoVisPlus) {
		floor = seen.Stamp.HLC + 1
	}
	if c.cfg.Broken.Has(rule.NoClockPlus) {
		c.clock = 0
	}
	return crdt.Stamp{HLC: c.clock.Next(wall, floor), Node: c.cfg.Node}
}

// Moot reports whether nothing has to be written for a change without condition, since the
// state is as it asks and nothing of its key is pending. Only a core that has folded
// everything that was in the log when the request came may be believed.
func (c *Core) Moot(ch Change) bool {
	s := c.State()
	if s == nil {
		return false
	}
	_, pending := c.pending.Get(ch.Key)
	known, _ := s.Map.Get(ch.Key)
	return !pending && !c.Unseen(ch.Key) && ch.same(known)
}

// Unseen reports whether the log may yet bring a write of key that was made here and is
// greater than what readers see: one on its way, or sent without an answer. A change that
// comes after it is no no-op, whatever readers see: it has to win.
func (c *Core) Unseen(key string) bool {
	seen, _ := c.Visible(key)
	_, underway := c.pending.underway[key]
	return underway || c.doubtful[key].Compare(seen.Stamp) > 0
}

// Held returns the accepted pending write of the change's key, if that is as the change asks
// and nothing greater of the key is on its way but the write stamped with own.
func (c *Core) Held(ch Change, own crdt.Stamp) (crdt.Entry, bool) {
	held, ok := c.pending.accepted[ch.Key]
	underway, other := c.pending.underway[ch.Key]
	other = other && underway.Entry.Stamp != own || c.doubtful[ch.Key].Compare(held.Entry.Stamp) > 0
	return held.Entry, ok && !other && ch.same(held.Entry)
}

// Accept ends the way of an own write that somebody is told yes for before the log has it:
// readers see it, Offers offers it, peers should be told. False: it is pointless, since the
// fold has met it already, or the state beats it or has moved on by more than R.
func (c *Core) Accept(e crdt.Entry) bool {
	met, s := c.underway[e.Stamp], c.State()
	delete(c.underway, e.Stamp)
	if c.pending.Accept(e) {
		return true
	}
	if met != "" || s != nil && (beats(s, e) || s.expired(e.Stamp.Millis())) {
		return false
	}
	// A later own write of the key has taken its place, and may yet be refused.
	c.pending.Put(PendingEntry{Entry: e, Own: true, Accepted: true})
	return true
}

// Settle ends the way of an own write that the log has stored, once that position is folded
// or nobody waits any longer, and returns what the fold made of it. That is empty if the fold
// has not met this very write: it is accepted then and offered, since the log may have lost it
// and another message may have got its position.
func (c *Core) Settle(e crdt.Entry) Result {
	s, result := c.State(), c.underway[e.Stamp]
	delete(c.underway, e.Stamp)
	switch {
	case c.cfg.Broken.Has(rule.AckActs) && s != nil:
		s.Map.Merge(e)
		c.pending.Drop(e)
		return ResultApplied
	case result != "" || s == nil || s.expired(e.Stamp.Millis()):
		return result
	case beats(s, e): // folded by a rebuild
		if known, _ := s.Map.Get(e.Key); known.Compare(e) > 0 {
			return ResultBeaten
		}
		return ResultApplied
	}
	// A later own write of the key, refused meanwhile, may have taken its place.
	c.pending.Put(PendingEntry{Entry: e, Own: true, Accepted: true})
	return ""
}

// met notes what the serving fold has made of an own write on its way.
func (c *Core) met(e Effect) {
	delete(c.doubtful, e.Entry.Key)
	if _, ok := c.underway[e.Entry.Stamp]; ok {
		c.underway[e.Entry.Stamp] = e.Result
	}
}

// Unknown ends the way of an own write that the log may have stored: it is offered, unseen
// by readers, until the fold decides.
func (c *Core) Unknown(e crdt.Entry) { delete(c.underway, e.Stamp) }

// Doubt ends the way of an own write with a condition that the log may have stored. It is not
// offered: without its condition it could overwrite what came meanwhile. It is Unseen until
// the fold meets a write of its key, behind which the log does not store it any more.
func (c *Core) Doubt(e crdt.Entry) bool {
	c.doubtful[e.Key] = e.Stamp
	return c.Refuse(e)
}

// Refuse forgets an own write that is certainly not in the log and that nobody was told yes
// for. It reports whether e was pending.
func (c *Core) Refuse(e crdt.Entry) bool {
	delete(c.underway, e.Stamp)
	return c.pending.Drop(e)
}

// GiveUp forgets a pending write that no event can hold, whoever wrote it, and returns that it may
// be lost.
func (c *Core) GiveUp(e crdt.Entry) []Report {
	if !c.Refuse(e) {
		return nil
	}
	return []Report{{Entry: e, Reason: ReasonUnfit}}
}

// Offers lists what is to be published now, in order of the keys (rule 11): nothing unless
// Online, own writes at once, others when they are due. Publishing it again and again until
// the fold has taken it out is harmless; nobody acts on the acknowledgement.
func (c *Core) Offers(now time.Time) []PendingEntry {
	c.dropOld(uint64(max(now.UnixMilli(), 0)))
	if !c.online || c.pending.Len() == 0 {
		return nil
	}
	return slices.DeleteFunc(c.pending.Entries(), func(p PendingEntry) bool {
		_, underway := c.underway[p.Entry.Stamp]
		return underway || p.Due.After(now) || !p.Own && c.cfg.Broken.Has(rule.OwnerOnly)
	})
}

// Recall takes in the accepted pending writes that this machine kept over a restart. They
// are offered like own ones, though a process before this one wrote them. It returns what
// may be lost.
func (c *Core) Recall(kept []crdt.Entry) []Report {
	for _, e := range kept {
		c.pending.Put(PendingEntry{Entry: e, Own: true, Accepted: true})
	}
	if s := c.State(); s != nil {
		return c.pending.Sweep(s)
	}
	return nil
}
