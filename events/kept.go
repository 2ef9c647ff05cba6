package events

import (
	"context"
	"fmt"

	"sluice/crdt"
)

// restorePending takes in what was accepted before the restart. What cannot be read stays where
// it is and is told; it keeps nobody from serving, and is tried again with each offer.
func (r *Replica) restorePending() {
	list, err := r.cfg.Journal.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.setUnreadable(fmt.Sprintf("changes that were accepted without the log cannot be read, and no more are accepted so: %v; restore the file, or remove it to give them up", err))
		return
	}
	r.setUnreadable("")
	if len(list) == 0 {
		return
	}
	for _, e := range list { // one after the other, so that reports know who asked
		r.told.add(e, r.core.Pending())
		r.report(r.core.Recall([]crdt.Entry{e.Entry()}))
	}
	r.kept = true
	r.touched.addAll()
	r.changed.raise()
	r.cfg.Logger.Info().Int("changes", len(list)).Msg("changes of before the restart are pending still")
}

// setUnreadable tells of a journal that stays as it is until somebody looks at it; empty: it
// can be read. The caller holds mu.
func (r *Replica) setUnreadable(text string) {
	if text == r.unreadable {
		return
	}
	if text != "" {
		r.cfg.Logger.Error().Msg(text)
	} else {
		r.cfg.Logger.Info().Msg("the file of pending changes can be read again, or is gone")
	}
	r.unreadable = text
	r.changed.raise()
}

// reread tries again to read a journal that could not be read.
func (r *Replica) reread() {
	r.mu.Lock()
	unreadable := r.unreadable != ""
	r.mu.Unlock()
	if unreadable {
		r.restorePending()
	}
}

// replaced: a state has taken the place of another, and what it lacks has gone to the pending
// layer. Only the snapshots have that on disk, and the next ones will be of the new state: it
// must be in the journal before (secured), which the next round of offer does. The caller holds mu.
func (r *Replica) replaced() {
	if len(r.core.Pending().accepted) > 0 {
		r.lacks++
	}
}

// tidyJournal makes the journal hold the accepted pending changes and nothing else, if it is
// worth it: it lacks some, none are left, or most of what it holds is superseded. offer alone calls it,
// and saveLast after that has ended, so that no rewriting overtakes another one.
func (r *Replica) tidyJournal() {
	r.reread()
	t, due := r.tidying()
	if !due {
		return
	}
	err := r.cfg.Journal.Forget(t.mark, t.keep)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.kept = true
		r.cfg.Logger.Warn().Err(err).Int("changes", len(t.keep)).Msg("the file of pending changes cannot be written anew")
		return
	}
	if r.lacks -= t.lacks; t.lacks > 0 {
		r.changed.raise()
	}
}

// tidying is one rewriting of the journal.
type tidying struct {
	mark  uint64
	keep  []Event
	lacks int
}

func (r *Replica) tidying() (tidying, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	online := r.core.Online()
	if online {
		r.covered = nil
	}
	settled := r.kept && online && r.core.Pending().Len() == 0
	due := settled || r.lacks > 0 || r.kept && r.cfg.Journal.Crowded()
	if _, none := r.cfg.Journal.(noJournal); none || !due || r.unreadable != "" {
		return tidying{}, false
	}
	t := tidying{mark: r.cfg.Journal.Mark(), keep: r.accepted(), lacks: r.lacks}
	// What is appended at this moment may not be pending yet.
	for _, before := range r.appending {
		t.mark = min(t.mark, before)
	}
	t.keep = append(t.keep, r.covered...)
	r.kept = len(t.keep) > 0
	return t, true
}

// cover keeps in the journal those of the changes that are not pending any more since a state was
// adopted that has or beats them: it is in memory alone until the log confirms it. The caller holds mu.
func (r *Replica) cover(pending []Event) {
	for _, e := range pending {
		if beats(r.core.State(), e.Entry()) {
			r.covered = append(r.covered, e)
		}
	}
}

// secured waits until the journal holds all that is pending and was on disk in snapshots
// alone, so that these may be replaced.
func (r *Replica) secured(ctx context.Context) error {
	for {
		changed := r.Changed()
		if r.secure() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// secure reports whether snapshots may be replaced now. Without a journal nothing is promised.
func (r *Replica) secure() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, none := r.cfg.Journal.(noJournal)
	return none || r.lacks == 0 || len(r.core.Pending().accepted) == 0
}
