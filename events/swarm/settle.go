package swarm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// atOnce is how many steps are done at the same time.
	atOnce = 8
	// maxFailures is how many steps in a row may fail before a look ends: then it is the API
	// that fails, and not one service.
	maxFailures = 3
)

// settle does what there is to do. It reports false if something is left to be looked at
// again in a moment.
func (w *Watcher) settle(ctx context.Context, seen *Seen, listed map[string]Listed) (bool, error) {
	w.warn(seen)
	var announcements, removals []Step
	for _, s := range Decide(World{Seen: seen, Listed: listed, Memory: w.memory, Now: time.Now()}) {
		if s.Do == Remove {
			removals = append(removals, s)
		} else {
			announcements = append(announcements, s)
		}
	}
	removable := w.believes(seen, removals)
	first := w.pass(ctx, announcements, listed)
	var second passed
	if removable && !first.stopped {
		removals = slices.DeleteFunc(removals, func(s Step) bool { return first.failed[s.Entry.Source.ID] })
		second = w.pass(ctx, removals, listed)
	}
	w.forget(seen)
	err := firstOf(first.err, second.err)
	if !first.stopped && !second.stopped {
		err = firstOf(err, w.tell(ctx, seen, listed))
	}
	return removable && !first.raced && !second.raced, err
}

// passed is what became of several steps.
type passed struct {
	failed map[string]bool // ids of objects
	raced  bool
	err    error // of the API or Docker
	// stopped: the rest was not tried.
	stopped bool
}

// pass does steps, several at once, and stops early if it is not the steps that fail.
func (w *Watcher) pass(ctx context.Context, steps []Step, listed map[string]Listed) passed {
	p := passed{failed: map[string]bool{}}
	failures := 0
	for chunk := range slices.Chunk(steps, atOnce) {
		outcomes := make([]outcome, len(chunk))
		var group errgroup.Group
		for i, s := range chunk {
			group.Go(func() error { outcomes[i] = w.attempt(ctx, s); return nil })
		}
		_ = group.Wait() // outcomes hold the errors
		for _, o := range outcomes {
			w.note(o, listed)
			if o.err != nil && o.Object != nil {
				p.failed[o.Object.Source.ID] = true
			}
			switch {
			case o.err == nil, errors.Is(o.err, ErrRefused):
				failures = 0
			case errors.Is(o.err, ErrRaced):
				p.raced, failures = true, 0
			default:
				failures++
				p.err = firstOf(p.err, o.err)
			}
		}
		if failures >= maxFailures || ctx.Err() != nil {
			p.stopped = true
			break
		}
	}
	return p
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// believes reports whether removals may be made: not while Docker has nothing at all of
// late, although it had before. That may be a daemon that has lost its state.
func (w *Watcher) believes(seen *Seen, removals []Step) bool {
	if len(seen.IDs) > 0 || len(removals) == 0 {
		w.emptySince = time.Time{}
		return true
	}
	if w.emptySince.IsZero() {
		w.emptySince = time.Now()
		w.log.Warn().Msg("Docker has nothing at all: asking again before routes are removed")
	}
	return time.Since(w.emptySince) >= emptyFor
}

// forget drops what is remembered of objects that are gone.
func (w *Watcher) forget(seen *Seen) {
	ids := map[string]bool{}
	for i := range seen.Objects {
		ids[seen.Objects[i].Source.ID] = true
	}
	gone := func(id string) bool { return !ids[id] }
	maps.DeleteFunc(w.memory, func(id string, _ Memory) bool { return gone(id) })
	maps.DeleteFunc(w.warned, func(id, _ string) bool { return gone(id) })
}

// warn tells of labels that mean nothing, once for each change of labels.
func (w *Watcher) warn(seen *Seen) {
	for i := range seen.Objects {
		o := &seen.Objects[i]
		if len(o.Unknown) == 0 || w.warned[o.Source.ID] == o.Source.Labels {
			continue
		}
		w.warned[o.Source.ID] = o.Source.Labels
		w.log.Warn().Str("service", o.Name).Str("id", o.Source.ID).Strs("labels", o.Unknown).Msg("labels have no effect, they are no parameters of the proxy")
	}
}

// tell writes what is known of tasks beside services that are there.
func (w *Watcher) tell(ctx context.Context, seen *Seen, listed map[string]Listed) error {
	for _, o := range pick(seen.Objects, listed) {
		l, ok := listed[o.Name]
		if !ok || o.rival != "" || o.Invalid != "" || w.memory[o.Source.ID].Refused || !tells(&l, seen) {
			continue
		}
		next := w.marks.Next(o.Object, l.Tasks, time.Now())
		if next.Equal(l.Tasks) {
			continue
		}
		changed, err := w.cfg.API.SetTasks(ctx, o.Name, next)
		switch {
		case errors.Is(err, ErrRaced), errors.Is(err, ErrRefused):
			w.log.Debug().Err(err).Str("service", o.Name).Msg("addresses of tasks are not taken now")
			w.lastFull = time.Time{}
		case err != nil:
			return fmt.Errorf("tell the tasks of %s: %w", o.Name, err)
		case changed:
			w.metrics.writes.WithLabelValues("tasks").Inc()
			w.log.Info().Str("service", o.Name).Strs("running", next.Running).Strs("leaving", next.Leaving).Msg("tasks of the service have changed")
		}
	}
	return nil
}

// tells: the tasks of another Swarm's service are not this one's.
func tells(l *Listed, seen *Seen) bool {
	w := World{Seen: seen}
	return w.own(l) || l.Source == nil && (l.Tasks.Cluster == "" || l.Tasks.Cluster == seen.Cluster)
}
