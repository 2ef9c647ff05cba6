package swarm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxFailures is how many services in a row may fail before a look ends: then it is the API
// that fails.
const maxFailures = 3

// settle does what there is to do. It reports false if something is left to be looked at
// again in a moment.
func (w *Watcher) settle(ctx context.Context, seen *Seen, listed map[string]Listed) (bool, error) {
	steps := Decide(World{Seen: seen, Listed: listed, Memory: w.memory, Now: time.Now()})
	removable := w.believes(seen, steps)
	done, failures := removable, 0
	var first error
	kept := map[string]bool{} // ids whose announcement did not get through
	for _, s := range steps {
		if s.Do == Remove && (!removable || kept[s.Entry.Source.ID]) {
			continue
		}
		err := w.do(ctx, s, listed)
		if err != nil && s.Object != nil {
			kept[s.Object.Source.ID] = true
		}
		switch {
		case err == nil, errors.Is(err, ErrRefused):
			failures = 0
		case errors.Is(err, ErrRaced):
			done, failures = false, 0
		default:
			failures++
			if first == nil {
				first = err
			}
		}
		if failures >= maxFailures || ctx.Err() != nil {
			return false, first
		}
	}
	w.forget(seen)
	if first != nil {
		return false, first
	}
	return done, w.tell(ctx, seen, listed)
}

// do does one step, and changes listed as it changes the state.
func (w *Watcher) do(ctx context.Context, s Step, listed map[string]Listed) error {
	if s.Do == Remove {
		err := w.remove(ctx, s)
		if err == nil {
			delete(listed, s.Name)
		}
		return err
	}
	changed, err := w.decide(ctx, s)
	if changed {
		l := listed[s.Name]
		l.Name, l.Source = s.Name, &s.Object.Source
		listed[s.Name] = l
	}
	return err
}

// believes reports whether removals may be made: not while Docker has nothing at all of
// late, although it had before. That may be a daemon that has lost its state.
func (w *Watcher) believes(seen *Seen, steps []Step) bool {
	removes := false
	for _, s := range steps {
		removes = removes || s.Do == Remove
	}
	if len(seen.IDs) > 0 || !removes {
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
	for id := range w.memory {
		if !ids[id] {
			delete(w.memory, id)
		}
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
	return (l.Source == nil || w.own(l)) && (l.Tasks.Cluster == "" || l.Tasks.Cluster == seen.Cluster)
}
