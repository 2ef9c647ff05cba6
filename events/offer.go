package events

import (
	"context"
	"errors"
	"time"

	"sluice/crdt"
)

const (
	// offerEvery is how often what is still pending is offered again.
	offerEvery = 10 * time.Second
	// offerAgain is the first pause, to be doubled, after the log could not be written.
	offerAgain = 200 * time.Millisecond
	tickEvery  = time.Hour
)

// offer publishes what is pending while the log is followed (rule 11). Nobody acts on the
// acknowledgement: only the fold takes an entry out of the pending layer.
func (r *Replica) offer(ctx context.Context) error {
	wait, again := offerEvery, offerAgain
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-r.offers:
		case <-t.C:
		}
		t.Stop()
		r.tidyJournal()
		r.watchStuck()
		if r.offerAll(ctx) {
			wait, again = offerEvery, offerAgain
		} else { // the log can often be read a moment before it can be written
			wait, again = again, min(2*again, offerEvery)
		}
	}
}

// offerAll is false if the log took no more.
func (r *Replica) offerAll(ctx context.Context) bool {
	for _, p := range r.offerable() {
		err := r.offerOne(ctx, p)
		if err != nil {
			r.cfg.Logger.Warn().Err(err).Str("key", p.Entry.Key).Msg("offering a pending change")
		}
		if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnknownOutcome) {
			return false // the next one would fare no better
		}
	}
	return true
}

// offerable leaves out what is being written at this moment: a write whose caller may yet
// be told no, or that has a condition, must not get into the log by a side door, and one that
// the fold is about to meet would get into it twice.
func (r *Replica) offerable() []PendingEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Offers(r.cfg.Wall())
}

func (r *Replica) offerOne(ctx context.Context, p PendingEntry) error {
	m, err := r.message(p.Entry)
	if errors.Is(err, ErrEvent) {
		r.giveUp(p.Entry, err)
		return nil
	}
	if err != nil {
		return err
	}
	_, err = r.cfg.Log.Append(ctx, m)
	if errors.Is(err, ErrRefused) && !p.Accepted {
		r.drop(p.Entry)
	}
	return err
}

// giveUp reports an entry that no log will ever hold, instead of keeping it pending for ever.
func (r *Replica) giveUp(e crdt.Entry, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reports := r.core.GiveUp(e)
	for i := range reports {
		reports[i].Err = why
	}
	r.report(reports)
	delete(r.told, e.Stamp)
	r.changed.raise()
}

// tick keeps the log's time moving when nothing else does, so that what is too old can
// be told (rule 4).
func (r *Replica) tick(ctx context.Context) error {
	for {
		if err := pause(ctx, tickEvery+jitter(tickEvery/6)); err != nil {
			return err
		}
		if r.idle() {
			if _, err := r.cfg.Log.Append(ctx, Tick(r.cfg.Subjects, r.tickID())); err != nil {
				r.cfg.Logger.Debug().Err(err).Msg("tick not stored")
			}
		}
	}
}

func (r *Replica) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.core.State()
	return r.core.Online() && r.cfg.Wall().Sub(time.Unix(0, s.Anchor.Time)) > tickEvery
}

func (r *Replica) tickID() string {
	return "tick-" + r.cfg.Wall().UTC().Format("20060102T150405.000000000")
}
