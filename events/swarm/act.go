package swarm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/events"
)

// decide does a step about an object; an Ask after reading the log. It reports whether the
// definition was published.
func (w *Watcher) decide(ctx context.Context, s Step) (bool, error) {
	if s.Do == Ask {
		var past Past
		err := w.cfg.API.History(ctx, s.Name, func(r events.Record) error {
			past.Learn(r, s.Object.Source)
			return nil
		})
		if err != nil {
			return false, fmt.Errorf("read the events of %s: %w", s.Name, err)
		}
		s = Judge(s, past)
	}
	switch s.Do {
	case Leave:
		w.log.Info().Str("service", s.Name).Str("reason", s.Reason).Msg("the service is left as it is")
		w.memory[s.Object.Source.ID] = Memory{Settled: settledKey(s.Object, s.Entry)}
		return false, nil
	case Refuse:
		return false, w.refused(s, fmt.Errorf("%w: %s", ErrRefused, s.Reason))
	}
	return w.announce(ctx, s)
}

func (w *Watcher) announce(ctx context.Context, s Step) (bool, error) {
	o := s.Object
	changed, err := w.cfg.API.Announce(ctx, o.Params, o.Source, s.Match)
	switch {
	case errors.Is(err, ErrRefused):
		return false, w.refused(s, err)
	case err != nil:
		return false, fmt.Errorf("announce %s: %w", s.Name, err)
	}
	if !changed {
		w.memory[o.Source.ID] = Memory{Settled: settledKey(o, s.Entry)}
		return false, nil
	}
	delete(w.memory, o.Source.ID)
	w.metrics.writes.WithLabelValues("announce").Inc()
	what := "a route was made"
	if s.Entry != nil {
		what = "a route was changed"
	}
	w.log.Info().Str("service", s.Name).Str("id", o.Source.ID).Uint64("version", o.Source.Version).Msg(what)
	return true, nil
}

// refused tells each refusal once for each change, and remembers it for a while.
func (w *Watcher) refused(s Step, err error) error {
	id, told := s.Object.Source.ID, s.Object.asks()+err.Error()
	if w.memory[id].Told != told {
		w.metrics.refusals.Inc()
		w.log.Warn().Err(err).Str("service", s.Name).Str("id", id).Msg("the labels are refused, nothing is changed")
	}
	w.memory[id] = Memory{Settled: settledKey(s.Object, s.Entry), Until: time.Now().Add(refusedFor), Refused: true, Told: told}
	return err
}

// remove removes a route once Docker, asked for this one, confirms that nothing asks for it.
func (w *Watcher) remove(ctx context.Context, s Step) error {
	if !s.Confirmed {
		gone, err := w.gone(ctx, s.Entry.Source.ID)
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
	w.metrics.writes.WithLabelValues("remove").Inc()
	w.log.Info().Str("service", s.Name).Str("id", s.Entry.Source.ID).Str("reason", s.Reason).Msg("a route was removed")
	return nil
}

func (w *Watcher) gone(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	return w.docker.gone(ctx, id)
}
