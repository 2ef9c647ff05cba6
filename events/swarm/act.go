package swarm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/events"
)

// outcome is what became of a step. Leave and Refuse may take the place of what it wanted.
type outcome struct {
	Step
	changed bool
	err     error
}

// attempt does a step. It remembers and tells nothing, so that several may be done at once.
func (w *Watcher) attempt(ctx context.Context, s Step) outcome {
	if s.Do == Ask {
		var past Past
		err := w.cfg.API.History(ctx, s.Name, func(r events.Record) error {
			past.Learn(r, s.Object.Source)
			return nil
		})
		if err != nil {
			return outcome{Step: s, err: fmt.Errorf("read the events of %s: %w", s.Name, err)}
		}
		s = Judge(s, past)
	}
	o := outcome{Step: s}
	switch s.Do {
	case Announce:
		if o.changed, o.err = w.cfg.API.Announce(ctx, s.Object.Params, s.Object.Source, s.Match); o.err != nil {
			o.err = fmt.Errorf("announce %s: %w", s.Name, o.err)
		}
	case Refuse:
		o.err = fmt.Errorf("%w: %s", ErrRefused, s.Reason)
	case Remove:
		o.err = w.remove(ctx, s)
		o.changed = o.err == nil
	}
	return o
}

// remove removes a route once Docker, asked for this one, confirms that nothing asks for it.
func (w *Watcher) remove(ctx context.Context, s Step) error {
	if !s.Confirmed {
		asking, cancel := context.WithTimeout(ctx, dockerTimeout)
		defer cancel()
		gone, err := w.docker.gone(asking, s.Entry.Source.ID)
		if err != nil {
			return err
		}
		if !gone {
			w.log.Warn().Str("service", s.Name).Msg("Docker did not list a service that it has: nothing is removed")
			return ErrRaced
		}
	}
	if err := w.cfg.API.Remove(ctx, s.Name, s.Match); err != nil {
		return fmt.Errorf("remove %s: %w", s.Name, err)
	}
	return nil
}

// note tells and remembers what became of a step, and changes listed as it changed the state.
func (w *Watcher) note(o outcome, listed map[string]Listed) {
	switch {
	case errors.Is(o.err, ErrRefused):
		w.refused(o)
	case o.err != nil:
	case o.Do == Remove:
		delete(listed, o.Name)
		w.metrics.writes.WithLabelValues("remove").Inc()
		w.log.Info().Str("service", o.Name).Str("id", o.Entry.Source.ID).Str("reason", o.Reason).Msg("a route was removed")
	case o.Do == Leave:
		w.log.Info().Str("service", o.Name).Str("reason", o.Reason).Msg("the service is left as it is")
		w.memory[o.Object.Source.ID] = Memory{Settled: settledKey(o.Object, o.Entry)}
	case !o.changed:
		w.memory[o.Object.Source.ID] = Memory{Settled: settledKey(o.Object, o.Entry)}
	default:
		w.announced(o, listed)
	}
}

func (w *Watcher) announced(o outcome, listed map[string]Listed) {
	src := &o.Object.Source
	l := listed[o.Name]
	l.Name, l.Source = o.Name, src
	listed[o.Name] = l
	delete(w.memory, src.ID)
	w.metrics.writes.WithLabelValues("announce").Inc()
	what := "a route was made"
	if o.Entry != nil {
		what = "a route was changed"
	}
	w.log.Info().Str("service", o.Name).Str("id", src.ID).Uint64("version", src.Version).Msg(what)
}

// refused tells each refusal once for each change, and remembers it for a while.
func (w *Watcher) refused(o outcome) {
	if o.Object == nil {
		return // of a removal: the next look finds it again
	}
	id, told := o.Object.Source.ID, o.Object.asks()+o.err.Error()
	if w.memory[id].Told != told {
		w.metrics.refusals.Inc()
		w.log.Warn().Err(o.err).Str("service", o.Name).Str("id", id).Msg("the labels are refused, nothing is changed")
	}
	w.memory[id] = Memory{Settled: settledKey(o.Object, o.Entry), Until: time.Now().Add(refusedFor), Refused: true, Told: told}
}
