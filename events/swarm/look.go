package swarm

import (
	"context"
	"fmt"
	"time"
)

// look compares Docker with the state and writes the difference. Not full: only if Docker
// shows something new. It returns when to look next.
func (w *Watcher) look(ctx context.Context, full bool) (time.Duration, error) {
	if full || w.docker.kind == "" || !w.emptySince.IsZero() {
		if err := w.identify(ctx); err != nil {
			return 0, err
		}
	} else {
		seen, err := w.see(ctx)
		if err != nil {
			return 0, err
		}
		if seen.Digest() == w.seen {
			return w.next(seen), nil
		}
	}
	w.seen = ""
	// The state first: what Docker shows is then at least as new, so that a condition on
	// the state's stamp holds only if nothing newer was written about it.
	listed, err := w.listed(ctx)
	if err != nil {
		return 0, err
	}
	seen, err := w.see(ctx)
	if err != nil {
		return 0, err
	}
	w.metrics.objects.Set(float64(len(seen.Objects)))
	done, err := w.settle(ctx, seen, listed)
	if err != nil {
		return 0, err
	}
	w.lastFull = time.Now()
	if !done {
		return quick, nil
	}
	w.seen = seen.Digest()
	if w.seen != w.shown {
		w.shown, w.lastChange = w.seen, time.Now()
	}
	return w.next(seen), nil
}

func (w *Watcher) identify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	before := w.docker.kind + w.docker.cluster
	if err := w.docker.identify(ctx); err != nil {
		return err
	}
	if before != w.docker.kind+w.docker.cluster {
		w.log.Info().Str("kind", w.docker.kind).Str("cluster", w.docker.cluster).Str("docker", w.cfg.Host).Msg("watching Docker")
	}
	return nil
}

func (w *Watcher) see(ctx context.Context) (*Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	return w.docker.see(ctx)
}

func (w *Watcher) listed(ctx context.Context) (map[string]Listed, error) {
	list, err := w.cfg.API.Services(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the state: %w", err)
	}
	m := make(map[string]Listed, len(list))
	for _, l := range list {
		m[l.Name] = l
	}
	return m, nil
}

// next is the time until the next look.
func (w *Watcher) next(seen *Seen) time.Duration {
	rest := max(w.cfg.Interval-time.Since(w.lastFull), 0)
	pace := rest
	switch {
	case seen.Moving && time.Since(w.lastChange) < patience:
		pace = quick
	case seen.Moving:
		pace = slower
	}
	return min(pace, rest)
}
