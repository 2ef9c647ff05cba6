package events

import (
	"time"

	"sluice/crdt"
	"sluice/crdt/hlc"
	"sluice/events/internal/rule"
)

const (
	// admitAhead is the default of CoreConfig.A.
	admitAhead = 5 * time.Second
	// dueAfter and dueWithin: another replica's write is offered so long after it was learnt
	// (rule 11), since its own replica will usually have done it.
	dueAfter  = 10 * time.Second
	dueWithin = 20 * time.Second
)

// CoreConfig holds what a Core depends on.
type CoreConfig struct {
	Subjects Subjects
	// Node is the random identity of this process (top bit set).
	Node uint64
	// A is how far the stamp of a peer's write may be ahead of the own wall clock; 0: 5 s.
	A time.Duration
	// Jitter draws a duration of at least 0 and below its argument; nil: always 0.
	Jitter func(time.Duration) time.Duration
	// Decode reads events; nil: DecodeEvent. Whatever is given must do the same.
	Decode func([]byte) (Event, error)
	// Broken are rules that a test breaks.
	Broken rule.Set
}

// Core is every decision of one replica about its state, without goroutines, I/O, clocks or
// locks: what it needs of them are arguments. It owns the state that serves, the anchors
// folded since that was audited, the pending layer, and the clock of its own writes.
// It is not safe for concurrent use; entries and reports that it returns stay as they are.
type Core struct {
	cfg     CoreConfig
	clock   hlc.Reading
	line    *lineage // serving; nil: no state yet
	pending *Pending
	// underway are own writes on their way to the log, which are not to be offered, with what
	// the serving fold has made of them; empty: it has not met them.
	underway map[crdt.Stamp]Result
	// doubtful are, by key, own writes with a condition that were sent and not answered.
	doubtful map[string]crdt.Stamp
	lost     bool // the log no longer holds what line was folded from
	verified bool // line was found in the log by a session, and none has ended otherwise since
	online   bool // verified, and folded up to the log's end since the last interruption
}

// NewCore returns the core of a process that has no state yet.
func NewCore(cfg CoreConfig) *Core {
	if cfg.A == 0 {
		cfg.A = admitAhead
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func(time.Duration) time.Duration { return 0 }
	}
	if cfg.Decode == nil {
		cfg.Decode = DecodeEvent
	}
	p := NewPending()
	p.broken = cfg.Broken
	return &Core{cfg: cfg, pending: p, underway: map[crdt.Stamp]Result{}, doubtful: map[string]crdt.Stamp{}}
}

// State is the state that serves, owned by the Core; nil: none yet.
func (c *Core) State() *State { return c.line.state() }

// Pending is the layer over it, owned by the Core: read it, change it by the Core's methods.
func (c *Core) Pending() *Pending { return c.pending }

// Seq is the position folded up to; 0: no state.
func (c *Core) Seq() uint64 {
	if s := c.State(); s != nil {
		return s.Seq()
	}
	return 0
}

// Online: the state is verified and was folded to the log's end since the last interruption.
func (c *Core) Online() bool { return c.online }

// Visible is what readers see of key, a tombstone included; false: nothing.
func (c *Core) Visible(key string) (crdt.Entry, bool) { return Visible(c.State(), c.pending, key) }

// Verdict is what the fold of the serving state made of the event at seq, and why; empty if
// that is not known.
func (c *Core) Verdict(seq uint64) (Result, string) {
	v := c.verdict(seq)
	return v.result, v.reason
}

func (c *Core) verdict(seq uint64) verdict {
	if c.line == nil {
		return verdict{}
	}
	return c.line.results.of(seq, c.Seq())
}

// Interrupt: the log cannot be followed now, or the state is being rebuilt. The state goes
// on serving and nothing is offered until a session has come to the log's end again.
func (c *Core) Interrupt() { c.online = false }

// lineage is a fold with the anchors of everything it folded since its audited point,
// that point included (rule 16). trail[len-1] is the fold's position.
type lineage struct {
	fold    *Fold
	trail   []Anchor
	results *results
}

func (l *lineage) state() *State {
	if l == nil {
		return nil
	}
	return l.fold.State()
}

// lineage goes on from t, which it owns from now on.
func (c *Core) lineage(t Transfer) *lineage {
	return &lineage{fold: c.fold(ResumeFold(c.cfg.Subjects, t.State)), trail: t.trail(), results: newResults()}
}

// beginning is the lineage that folds a log from its first message on.
func (c *Core) beginning(streamID string) *lineage {
	return &lineage{fold: c.fold(NewFold(c.cfg.Subjects, streamID)), results: newResults()}
}

func (c *Core) fold(f *Fold) *Fold {
	f.decode, f.broken = c.cfg.Decode, c.cfg.Broken
	return f
}
