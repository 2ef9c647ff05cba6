package events

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

var (
	// ErrLostBranch: the log no longer holds what was folded. The state goes on serving; the
	// next session must be a rebuild.
	ErrLostBranch = errors.New("the log has lost messages that were folded")
	// ErrSuperseded: the state was replaced while the session was going on. Begin another one.
	ErrSuperseded = errors.New("the state was replaced meanwhile")
)

// Session is one consumer's pass over the log: it proves that what was folded since the
// audited point is still there, then folds on (rules 15 to 17). A session that rebuilds
// folds beside the serving state and takes its place at the log's end. It belongs to its
// Core and is, like that, not safe for concurrent use.
type Session struct {
	core    *Core
	info    LogInfo
	line    *lineage
	serving bool
	matched int // anchors of the trail that were found again
	check   int // anchors of the trail to find again
	// rejected are what a rebuild has rejected: whether that is lost is known at its end (rule 9).
	rejected map[rejected]Report
}

// rejected tells rejected writes apart, so that copies of one are reported once.
type rejected struct {
	key   string
	stamp crdt.Stamp
}

// Progress is what a step of a session did.
type Progress struct {
	// Effects of the message; empty for one that was folded before.
	Effects []Effect
	// Reports tell what may be lost.
	Reports []Report
	// Violations tell what must not be.
	Violations []Violation
	// Audited: from here on everything up to the position was read again by one consumer.
	Audited bool
	// Swapped: a rebuilt state has taken the place of the serving one.
	Swapped bool
	// AtEnd: everything that the log held when the session began is folded.
	AtEnd bool
}

// Continue begins a session that goes on from the serving state, for which Continues holds.
func (c *Core) Continue(info LogInfo) (*Session, Progress) {
	return c.begin(&Session{core: c, info: info, line: c.line, serving: true})
}

// Rebuild begins a session that folds the log anew, from base, for which Usable holds and
// which the session owns from now on; nil: from the log's first message, which must be there (rule 17).
func (c *Core) Rebuild(info LogInfo, base *Transfer) (*Session, Progress) {
	s := &Session{core: c, info: info}
	if base != nil {
		s.line = c.lineage(*base)
	} else {
		s.line = c.beginning(info.StreamID)
	}
	c.Interrupt()
	return c.begin(s)
}

func (c *Core) begin(s *Session) (*Session, Progress) {
	s.check = len(s.line.trail)
	if s.check > 0 && s.unaudited(c.cfg.Broken) {
		s.matched = s.check
	} else if s.check > 0 && c.cfg.Broken.Has(rule.AuditNoPoint) {
		s.matched = 1
	}
	var p Progress
	s.end(&p)
	return s, p
}

// From is the sequence that the consumer has to start with: the audited point, not the one
// behind it, or the log's first message.
func (s *Session) From() uint64 {
	switch {
	case s.matched < s.check:
		return s.line.trail[s.matched].Seq
	case s.check > 0:
		return max(s.line.fold.Next(), s.info.First)
	}
	return max(s.info.First, 1)
}

// Next is the sequence that the fold expects; what lies before it was folded.
func (s *Session) Next() uint64 { return s.line.fold.Next() }

// Counted: the log has a genesis that counts.
func (s *Session) Counted() bool { return s.line.state() != nil }

// Serving: what the session folds is the state that the core serves.
func (s *Session) Serving() bool { return s.serving }

// Auditing: the consumer still delivers what was folded before.
func (s *Session) Auditing() bool { return s.matched < s.check }

// Handle takes the next message of the consumer. An error ends the session: ErrLostBranch,
// ErrSuperseded, ErrGap, ErrFoldVersion.
func (s *Session) Handle(m Message) (Progress, error) {
	if s.serving && s.line != s.core.line {
		return Progress{}, ErrSuperseded
	}
	if s.Auditing() {
		return s.compare(m)
	}
	return s.step(m)
}

// compare is the audit: the consumer must deliver again what was folded (rule 16).
func (s *Session) compare(m Message) (Progress, error) {
	if want := s.line.trail[s.matched]; !s.core.same(want, m.Anchor()) {
		s.forget()
		return Progress{}, fmt.Errorf("%w: sequence %d", ErrLostBranch, want.Seq)
	}
	var p Progress
	if s.matched++; s.matched == s.check {
		s.line.trail = append([]Anchor(nil), s.line.trail[s.check-1])
		if p.Audited = s.serving; p.Audited {
			s.core.verified = true
			p.Violations = s.core.checkPending()
		}
		s.end(&p)
	}
	return p, nil
}

// forget makes the next session rebuild: the state goes on serving, but its anchor may by
// chance be in the log while what led to it is not.
func (s *Session) forget() {
	if s.serving {
		s.core.lost, s.core.verified, s.core.online = true, false, false
	}
}

func (s *Session) step(m Message) (Progress, error) {
	effects, err := s.line.fold.Step(m)
	if err != nil {
		return Progress{}, err // it names the message
	}
	s.line.trail = append(s.line.trail, m.Anchor())
	p := Progress{Effects: effects}
	for _, e := range effects {
		s.line.results.record(e)
		if s.serving {
			s.core.met(e)
			held := s.core.pending.accepted[e.Entry.Key]
			reports := s.core.pending.Fold(s.line.state(), e)
			p.Reports = append(p.Reports, reports...)
			p.Violations = append(p.Violations, s.core.checkStep(e, held, reports)...)
		} else {
			s.rejects(e)
		}
	}
	s.end(&p)
	return p, nil
}

// end swaps a rebuilt state in and declares the core online as soon as everything that the
// log held when the session began is folded.
func (s *Session) end(p *Progress) {
	if s.Auditing() {
		return
	}
	if p.AtEnd = s.line.fold.Next() > s.info.Last; !p.AtEnd || !s.Counted() {
		return
	}
	if !s.serving {
		s.serving, p.Swapped = true, true
		p.Reports = append(p.Reports, s.core.replace(s.line)...)
		p.Reports = append(p.Reports, s.lost()...)
	}
	s.core.verified, s.core.online = true, true
}

// maxRejected bounds what a rebuild remembers; the first ones are reported.
const maxRejected = 10_000

// rejects remembers what a rebuild has rejected.
func (s *Session) rejects(e Effect) {
	if e.Result != ResultFuture && e.Result != ResultExpired || len(s.rejected) == maxRejected {
		return
	}
	if s.rejected == nil {
		s.rejected = map[rejected]Report{}
	}
	s.rejected[rejected{e.Entry.Key, e.Entry.Stamp}] = Report{Entry: e.Entry, Reason: string(e.Result)}
}

// lost reports those that the rebuilt state does not beat and that are not pending, in order
// of their keys: a pending one is offered again, and reported when it is rejected then.
func (s *Session) lost() []Report {
	var reports []Report
	for _, r := range s.rejected {
		if held, ok := s.core.pending.Get(r.Entry.Key); ok && held.Entry.Compare(r.Entry) >= 0 || beats(s.line.state(), r.Entry) {
			continue
		}
		reports = append(reports, r)
	}
	s.rejected = nil
	slices.SortFunc(reports, func(a, b Report) int { return strings.Compare(a.Entry.Key, b.Entry.Key) })
	return reports
}
