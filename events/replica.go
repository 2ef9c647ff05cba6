package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sluice/crdt"
)

// ReplicaConfig holds what a Replica depends on. Durations of zero mean the default.
type ReplicaConfig struct {
	Subjects Subjects
	// Name is the shown name, Node the random identity of this process (top bit set).
	Name string
	Node uint64
	Log  Log
	// Snapshots are asked in this order; all of them are kept up to date.
	Snapshots []Snapshots
	// Archive keeps checkpoints beside the log; nil: none, and the log is never trimmed.
	Archive Archive
	// Wall reads the wall clock; nil: time.Now.
	Wall func() time.Time
	// Journal keeps accepted pending changes over a restart; nil: they live in memory, and none is
	// accepted without the log.
	Journal Journal
	// Broadcast tells the other replicas of accepted pending changes, without waiting; nil: nobody.
	Broadcast func([]Event)
	// PeerHasState reports whether another replica that has a state was heard of; nil: never.
	PeerHasState func() bool
	// PeerFollows reports whether another replica folds the log of that stream; nil: never.
	PeerFollows func(streamID string) bool
	// PeerState fetches the state of another replica whose position fits; nil: there is none.
	PeerState func(ctx context.Context, fits func(Position) bool) (Transfer, bool)

	Bootstrap Bootstrap
	// RestoreAfter is how long the log may stay unreadable before a snapshot serves (10 s).
	RestoreAfter time.Duration
	// AuditEvery is how often the log is read again from the audited point (1 min).
	AuditEvery time.Duration
	// SaveAfter is how long changes settle before they are saved as a snapshot (2 s).
	SaveAfter time.Duration
	// CheckpointEvery is how often a changing state is kept as a checkpoint (1 h).
	CheckpointEvery time.Duration

	Logger     zerolog.Logger
	Registerer prometheus.Registerer
}

// Bootstrap says when a replica may start a new log by itself.
type Bootstrap struct {
	// Forbid leaves it to the operator.
	Forbid bool
	// PeerWait is how long to listen for replicas that have a state before a blank start.
	PeerWait time.Duration
	// Jitter bounds the random wait before a genesis, so that few replicas write one.
	Jitter time.Duration
}

// Replica keeps one replica's state up to date: restore, replay, follow, save. What a
// reader sees is the fold of the log with the accepted pending changes over it. Every
// decision is its Core's; it adds the log, the snapshots, time, locks and what people see.
// All methods are safe for concurrent use.
type Replica struct {
	cfg     ReplicaConfig
	metrics *metrics
	changed signal
	asking  *asking
	listing listing
	audit   chan struct{} // asks the session to end, so that the next one audits
	offers  chan struct{} // asks for pending changes to be offered
	tending chan struct{} // asks for the archive to be looked at

	mu         sync.Mutex
	core       *Core
	touched    touched
	awaited    awaited
	restored   bool
	recalled   string // which snapshot the state began with
	stale      string
	problem    string
	unreadable string    // what is wrong with the journal
	broken     string    // which invariant does not hold
	stuck      time.Time // since when changes are pending though the log is followed; zero: none are
	unfoldable error     // why the log cannot be folded, by nobody who could be asked: errNoBase, ErrFoldVersion
	unbegun    bool      // the log has no state, and an operator decides whether it begins with this one
	// interruption is the last reason logged: each is told once.
	interruption string
	failing      map[string]string // the last failure of each snapshot store
	info         LogInfo
	skew         time.Duration   // stream time of the newest live message - wall
	copies       []chan<- *State // of those who wait for an audited copy
	bytes        uint64          // of the messages that sessions have folded
	tended       uint64          // bytes when the archive was looked at
	newestKept   uint64          // position of the newest checkpoint that was seen
	bytesKept    uint64          // bytes when that was made, or seen
	kept         bool            // the journal holds changes
	// lacks counts what has left accepted pending changes out of the journal; 0: it has them all.
	lacks int
	// appending are being appended to the journal, with the mark of before that.
	appending map[crdt.Stamp]uint64
	covered   []Event // kept though not pending: an unconfirmed state has them, or beats them
	told      told
	newest    crdt.Stamp // of the own writes
	rejected  []Record
	contests  []Record
}

// NewReplica returns a replica that has no state until Run.
func NewReplica(cfg ReplicaConfig) (*Replica, error) {
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	if cfg.Journal == nil {
		cfg.Journal = noJournal{}
	}
	if cfg.Broadcast == nil {
		cfg.Broadcast = func([]Event) {}
	}
	if cfg.PeerHasState == nil {
		cfg.PeerHasState = func() bool { return false }
	}
	if cfg.PeerFollows == nil {
		cfg.PeerFollows = func(string) bool { return false }
	}
	if cfg.PeerState == nil {
		cfg.PeerState = func(context.Context, func(Position) bool) (Transfer, bool) { return Transfer{}, false }
	}
	cfg.RestoreAfter = orDefault(cfg.RestoreAfter, 10*time.Second)
	cfg.AuditEvery = orDefault(cfg.AuditEvery, time.Minute)
	cfg.SaveAfter = orDefault(cfg.SaveAfter, 2*time.Second)
	cfg.CheckpointEvery = orDefault(cfg.CheckpointEvery, time.Hour)
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &Replica{
		cfg:     cfg,
		core:    NewCore(CoreConfig{Subjects: cfg.Subjects, Node: cfg.Node, Jitter: jitter}),
		metrics: m,
		asking:  newAsking(),
		audit:   make(chan struct{}, 1),
		offers:  make(chan struct{}, 1),
		tending: make(chan struct{}, 1),
		stale:   "the state is not restored yet",
		told:    told{},

		appending: map[crdt.Stamp]uint64{},
		failing:   map[string]string{},
	}, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Run restores the state and keeps it up to date until ctx ends, then saves a last
// snapshot. It returns nil, or an error that no retry can mend.
func (r *Replica) Run(ctx context.Context) error {
	r.recall(ctx)
	r.restorePending()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.follow(gctx) })
	g.Go(func() error { return r.adopt(gctx) })
	g.Go(func() error { return r.offer(gctx) })
	g.Go(func() error { return r.tick(gctx) })
	g.Go(func() error { return r.save(gctx) })
	g.Go(func() error { return r.tend(gctx) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return r.saveLast(context.WithoutCancel(ctx))
}

// View is what a replica knows at one moment.
type View struct {
	StreamID string
	// Seq is the position folded up to, LastSeq the log's last sequence as last heard.
	Seq, LastSeq uint64
	// Restored: there is a state that may be served.
	Restored bool
	// Stale says why the state may be behind the log, Problem what needs an operator.
	Stale, Problem string
	Digest         uint64
	Pending        int
	// Rejected is how many changes this process has given up, at most 1,000.
	Rejected int
	// LogBytes and LogLimit are the log's size and its limit.
	LogBytes, LogLimit uint64
}

// View returns what the replica knows now.
func (r *Replica) View() View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view()
}

// view is View for a caller that holds mu.
func (r *Replica) view() View {
	v := View{
		LastSeq: r.info.Last, Restored: r.restored, Stale: r.stale, Problem: r.problem,
		Pending: r.core.Pending().Len(), Rejected: len(r.rejected), LogBytes: r.info.Bytes, LogLimit: r.info.MaxBytes,
	}
	for _, more := range []string{r.unreadable, r.broken, r.clockProblem(), r.stuckProblem()} {
		if more != "" {
			v.Problem = strings.TrimPrefix(v.Problem+"; "+more, "; ")
		}
	}
	if s := r.core.State(); s != nil {
		v.StreamID, v.Seq, v.Digest = s.StreamID, s.Seq(), s.Map.Digest()
		v.LastSeq = max(v.LastSeq, v.Seq)
	}
	return v
}

// Changed returns the channel that is closed at the next change of View or of any entry.
// Take it before looking.
func (r *Replica) Changed() <-chan struct{} { return r.changed.wait() }

// Entry is the visible entry of key, a tombstone included.
func (r *Replica) Entry(key string) (crdt.Entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Visible(key)
}

// Verdict is what the fold made of the event at seq; empty if this process does not know.
func (r *Replica) Verdict(seq uint64) (Result, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Verdict(seq)
}

// Rival is the stamp of the write that the event at seq competed with, and whether that one
// won; zero if none is known.
func (r *Replica) Rival(seq uint64) (stamp crdt.Stamp, won bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.core.verdict(seq)
	return v.rival, v.result == ResultBeaten
}
