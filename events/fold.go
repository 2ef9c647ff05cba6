package events

import (
	"errors"
	"fmt"
	"time"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// Errors of Fold.Step. The fold is unchanged by the message that caused them.
var (
	// ErrFoldVersion: the log's genesis asks for a fold that this program does not know.
	ErrFoldVersion = errors.New("unknown fold version")
	// ErrGap: the message is not the next one of the log.
	ErrGap = errors.New("not the next message")
)

// Result is what the fold made of a message.
type Result string

// Results of a message.
const (
	// ResultApplied: the write is in the map now.
	ResultApplied Result = "applied"
	// ResultBeaten: the map has an identical or greater entry.
	ResultBeaten Result = "beaten"
	// ResultFuture: rejected, the stamp is too far ahead of the log's time.
	ResultFuture Result = "future"
	// ResultExpired: rejected, the stamp is older than R.
	ResultExpired Result = "expired"
	// ResultIgnored: not an event, or one under a foreign subject.
	ResultIgnored Result = "ignored"
	// ResultGenesis: the genesis that counts.
	ResultGenesis Result = "genesis"
	// ResultInert: a genesis that does not count.
	ResultInert Result = "inert"
	// ResultTick: a sign of time.
	ResultTick Result = "tick"
	// ResultChunk: a part of a genesis.
	ResultChunk Result = "chunk"
)

// Effect is what one message did to the state.
type Effect struct {
	Seq    uint64
	Time   time.Time // the stream's
	Result Result
	// Event is the decoded event; zero for control messages and ignored ones.
	Event Event
	// Entry is what the event writes, with the stamp that a raw event was given. Prior is
	// the state's entry of that key before; zero if there was none.
	Entry, Prior crdt.Entry
	// Reason explains every result but applied.
	Reason string
}

// Fold turns the messages of one log into State, deterministically: it reads nothing
// but its state and the message. It is not safe for concurrent use.
type Fold struct {
	subjects Subjects
	next     uint64
	state    *State   // nil until a genesis counted
	prelude  *prelude // what waits for that genesis; nil afterwards
	decode   func([]byte) (Event, error)
	broken   rule.Set
	second   *prelude // of a fold that is broken
}

// NewFold folds a log from its first message on.
func NewFold(s Subjects, streamID string) *Fold {
	return &Fold{subjects: s, next: 1, prelude: &prelude{streamID: streamID}, decode: DecodeEvent}
}

// ResumeFold goes on from st, which the fold owns from now on.
func ResumeFold(s Subjects, st *State) *Fold {
	return &Fold{subjects: s, next: st.Seq() + 1, state: st, decode: DecodeEvent}
}

// State is the state so far, changed by the next Step; nil until a genesis counted.
func (f *Fold) State() *State { return f.state }

// Next is the sequence that Step expects.
func (f *Fold) Next() uint64 { return f.next }

// Step folds the next message of the log and returns its effect. Before a genesis
// counts there are none: messages wait, and the genesis returns the effects of all of
// them in order, its own last. ErrGap, ErrFoldVersion.
func (f *Fold) Step(m Message) ([]Effect, error) {
	if f.broken.Has(rule.ResumeGap) {
		f.next = max(f.next, m.Seq)
	}
	if m.Seq != f.next {
		return nil, fmt.Errorf("fold message %d: %w, that is %d", m.Seq, ErrGap, f.next)
	}
	if f.state == nil {
		return f.stepPrelude(m)
	}
	if v := f.state.Params.Version; v != FoldVersion {
		return nil, fmt.Errorf("fold message %d: %w %d", m.Seq, ErrFoldVersion, v)
	}
	e := f.read(m)
	if e.Result == ResultGenesis {
		e.Result, e.Reason = ResultInert, "another genesis counts already"
	}
	if f.broken.Has(rule.GenTwice) {
		f.again(e, m)
	}
	f.state.fold(&e, m.millis(), f.broken)
	f.state.Anchor = m.Anchor()
	f.next++
	return []Effect{e}, nil
}

// stepPrelude is Step as long as no genesis counted.
func (f *Fold) stepPrelude(m Message) ([]Effect, error) {
	e := f.read(m)
	state, err := f.prelude.add(&e, m, f.broken)
	if err != nil {
		return nil, fmt.Errorf("fold message %d: %w", m.Seq, err)
	}
	f.next++
	if state == nil {
		return nil, nil
	}
	effects := f.prelude.waiting
	f.state, f.prelude = state, nil
	return effects, nil
}

// read classifies a message. The result is empty for an event, which only a state can judge.
func (f *Fold) read(m Message) Effect {
	e := Effect{Seq: m.Seq, Time: m.Time}
	switch f.subjects.controlled(m.Subject) {
	case ControlGenesis:
		e.Result = ResultGenesis
		return e
	case ControlChunk:
		e.Result, e.Reason = ResultChunk, "part of a genesis"
		return e
	case ControlTick:
		e.Result, e.Reason = ResultTick, "sign of time"
		return e
	}
	ev, err := f.decode(m.Data)
	if err != nil {
		e.Result, e.Reason = ResultIgnored, err.Error()
		return e
	}
	if f.subjects.Event(ev.Subject) != m.Subject {
		e.Result, e.Reason = ResultIgnored, fmt.Sprintf("published under another subject than its key %q belongs to", ev.Subject)
		return e
	}
	e.Event = ev
	return e
}

// fold applies one classified message with stream time t (rules 4, 5, 6 and 8).
func (s *State) fold(e *Effect, t uint64, broken rule.Set) {
	if s.Ref = max(s.Ref, t); broken.Has(rule.RefRaw) {
		s.Ref = t
	}
	if e.Result == "" {
		e.Entry = e.Event.Entry()
		e.Prior, _ = s.Map.Get(e.Entry.Key)
		if e.Event.Raw() {
			s.foldRaw(e, broken)
		} else {
			s.foldEntry(e, broken)
		}
	}
	if e.Seq%s.Params.N != 0 {
		return
	}
	if broken.Has(rule.CollectEarly) {
		s.Map.Collect(s.Ref)
	}
	s.Map.Collect(oldest(s.Ref, s.Params))
}

func (s *State) foldEntry(e *Effect, broken rule.Set) {
	switch ms := e.Entry.Stamp.Millis(); {
	case ms > s.Ref+uint64(s.Params.F.Milliseconds()) && !broken.Has(rule.FoldNoFuture):
		e.Result, e.Reason = ResultFuture, "stamped too far ahead of the log's time"
	case s.expired(ms) && !broken.Has(rule.FoldNoExpiry):
		e.Result, e.Reason = ResultExpired, "stamped longer ago than tombstones are kept"
	case broken.Has(rule.TieKeepsFirst) && e.Prior.Stamp.HLC == e.Entry.Stamp.HLC:
		e.Result = ResultBeaten
	case s.Map.Merge(e.Entry) == crdt.Applied:
		e.Result = ResultApplied
	default:
		e.Result, e.Reason = ResultBeaten, "a later write of the key is known"
		if e.Entry.Compare(e.Prior) == 0 {
			e.Reason = "the same write is known"
		}
	}
}

// foldRaw gives the write the stamp of its arrival, later than whatever the key has.
func (s *State) foldRaw(e *Effect, broken rule.Set) {
	floor := uint64(0)
	if !e.Prior.Stamp.IsZero() && !broken.Has(rule.RawNoPlus) {
		floor = e.Prior.Stamp.HLC + 1
	}
	e.Entry.Stamp = crdt.Stamp{HLC: max(s.Ref<<16, floor), Node: e.Seq}
	e.Result = ResultApplied
	if s.Map.Merge(e.Entry) != crdt.Applied && !broken.Has(rule.RawNoPlus) {
		// Only an entry at the very end of time is not followed by a later stamp.
		s.Map.Remove(e.Entry.Key)
		s.Map.Merge(e.Entry)
	}
}
