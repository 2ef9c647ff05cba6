package events

import (
	"errors"
	"fmt"
)

// Accepted lists the accepted pending changes in order of the keys, at most one a key: what
// other replicas are told.
func (r *Replica) Accepted() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted()
}

// accepted is Accepted for a caller that holds mu.
func (r *Replica) accepted() []Event {
	list := r.core.Accepted()
	out := make([]Event, len(list))
	for i, e := range list {
		out[i] = r.eventOf(e)
	}
	return out
}

// AcceptedDigest tells whether two replicas list the same as Accepted.
func (r *Replica) AcceptedDigest() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.AcceptedDigest()
}

// Admit takes in pending changes of another replica, as far as they are news here. Those are
// kept on disk like own ones; if that fails they are held in memory all the same.
func (r *Replica) Admit(list []Event) {
	news := r.admit(list)
	if len(news) == 0 {
		return
	}
	r.changed.raise()
	err := r.cfg.Journal.Append(news)
	if err != nil {
		r.cfg.Logger.Warn().Err(err).Msg("pending changes of another replica are not kept on disk")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range news {
		delete(r.appending, e.Stamp)
	}
	if err != nil {
		r.lacks++
	} else {
		r.kept = true
	}
}

// admit is the part of Admit in memory.
func (r *Replica) admit(list []Event) (news []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wall, mark := r.cfg.Wall(), r.cfg.Journal.Mark()
	for _, e := range list {
		held, holds := r.core.held(e.Subject)
		admission := r.core.Admit(e.Entry(), wall)
		if holds {
			r.compete(held, e, admission)
		}
		r.metrics.admitted.WithLabelValues(string(admission)).Inc()
		if admission == Admitted {
			news = append(news, e)
			r.appending[e.Stamp] = mark
			r.told.add(e, r.core.Pending())
			r.touched.add(e.Subject)
		}
	}
	return news
}

// Position is where the state is in which log; zero: there is none.
func (r *Replica) Position() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Position()
}

// Wants reports whether the state at p, which another replica has, would be adopted.
func (r *Replica) Wants(p Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.StreamID != "" && r.core.Wants(p, r.unreachable())
}

// unreachable: the last attempt to follow the log has failed. The caller holds mu.
func (r *Replica) unreachable() bool { return !r.core.Online() && r.interruption != "" }

// Hurry reports whether the others may have what this replica lacks: it has no state, does
// not follow the log, or holds what is not in the log yet.
func (r *Replica) Hurry() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.core.Online() || len(r.core.Accepted()) > 0
}

// Export is the whole state for another replica; false: there is none.
func (r *Replica) Export() (Transfer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Export()
}

// Adopt takes the state of another replica, if it is wanted still, and owns it. It serves as
// stale until it was found in the log.
func (r *Replica) Adopt(t Transfer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	pending := r.accepted()
	reports, taken := r.core.Adopt(t, r.unreachable())
	if !taken {
		return false
	}
	r.cover(pending)
	r.replaced()
	poke(r.offers)
	r.report(reports)
	r.restored = true
	r.touched.addAll()
	r.goStale("serving the state of another replica until the log has confirmed it")
	r.awaited.reached(r.core.Seq())
	poke(r.audit)
	r.cfg.Logger.Warn().Str("stream", t.State.StreamID).Uint64("seq", t.State.Seq()).Msg("took over the state of another replica")
	return true
}

// Compare looks at the position of another replica (invariant I1): one that stands at the
// same sequence with another message makes this replica audit, one with another map is an alarm.
func (r *Replica) Compare(name string, p Position) {
	switch r.Position().Discord(p) {
	case LostTail:
		r.cfg.Logger.Warn().Str("replica", name).Uint64("seq", p.Anchor.Seq).Msg("another replica has folded another message there, looking again")
		poke(r.audit)
	case Diverged:
		r.metrics.diverged.Inc()
		r.setProblem(fmt.Sprintf("the map differs from that of %s at sequence %d of one log: restart both replicas, and report this with their data directories", name, p.Anchor.Seq))
	}
}

// Journal keeps accepted pending changes over a restart. Safe for concurrent use.
type Journal interface {
	// Append returns once the events are durable. ErrUnknownOutcome: Load may return them after a
	// restart; any other error: it will not.
	Append([]Event) error
	// Load returns what was appended and not forgotten, oldest first. As long as it fails nothing
	// is appended or forgotten, unless the journal is gone.
	Load() ([]Event, error)
	// Mark counts what was appended so far; it does not wait for the disk.
	Mark() uint64
	// Forget removes what had been appended up to a mark, or was kept before, but keeps the given
	// events. One that cannot be written keeps back none of the others.
	Forget(mark uint64, keep []Event) error
	// Crowded reports whether most of the journal may be superseded, so that it is worth to Forget
	// what is not pending; it does not wait for the disk.
	Crowded() bool
}

// errNoJournal: a replica without a data directory promises nothing over its end.
var errNoJournal = errors.New("there is no place to keep pending changes")

// noJournal is that of a replica without a data directory.
type noJournal struct{}

func (noJournal) Append([]Event) error         { return errNoJournal }
func (noJournal) Load() ([]Event, error)       { return nil, nil }
func (noJournal) Mark() uint64                 { return 0 }
func (noJournal) Forget(uint64, []Event) error { return nil }
func (noJournal) Crowded() bool                { return false }
