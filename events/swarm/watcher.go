package swarm

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

const (
	debounce = 100 * time.Millisecond
	// quick is the pace while tasks start or stop, which Docker tells nobody; slower once
	// nothing has come of it for patience.
	quick    = 300 * time.Millisecond
	slower   = time.Second
	patience = time.Minute
	// emptyFor is how long Docker must have nothing at all before that is believed.
	emptyFor = 2 * time.Second
	// again and most bound the wait after a failure, which doubles.
	again = time.Second
	most  = 5 * time.Second
	// refusedFor is when something that was refused is tried again: what it was refused
	// for may be another service.
	refusedFor = time.Minute
)

// Watcher keeps the state as Docker's labels ask. Create it with New, then call Run once.
type Watcher struct {
	cfg     Config
	log     zerolog.Logger
	metrics metrics
	docker  *docker
	wake    chan struct{}
	health  health

	// The rest belongs to Run.
	memory map[string]Memory // by id of the object
	// warned are the labels, by id of the object, for which unknown ones were told.
	warned map[string]string
	marks  Marks
	// seen is the digest of the last answer that everything was done about; empty: none.
	seen string
	// shown is that of the newest answer, lastChange when it came; lastFull is the last
	// comparison.
	shown                string
	lastFull, lastChange time.Time
	// emptySince is since when Docker has nothing; zero: it has something.
	emptySince time.Time
	told       string // the last failure that was logged
}

// New checks the configuration; it does not connect.
func New(cfg Config) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c, err := connect(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	return &Watcher{
		cfg: cfg, log: cfg.Logger.With().Str("component", "swarm").Logger(), metrics: m,
		docker: &docker{client: c, rules: newRules(cfg.NotifyLabel, cfg.Prefix), networks: cfg.Networks},
		wake:   make(chan struct{}, 1), memory: map[string]Memory{}, warned: map[string]string{}, marks: Marks{},
	}, nil
}

// Run watches until ctx ends. Neither Docker nor the API ends it: it waits for them.
func (w *Watcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.follow(ctx) })
	group.Go(func() error { return w.loop(ctx) })
	err := group.Wait()
	_ = w.docker.client.Close() // idle connections only
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *Watcher) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures := 0
	full := true
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-w.wake:
			if !wait(ctx, debounce) {
				return ctx.Err()
			}
			full = true
		}
		next, err := w.look(ctx, full || time.Since(w.lastFull) >= w.cfg.Interval)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			next, full = min(again<<min(failures, 4), most), true
			failures++
			w.failed(err, next)
		default:
			failures, full = 0, false
			w.succeeded()
		}
		timer.Reset(next)
	}
}

// wait reports false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// failed tells each reason once, not at every attempt.
func (w *Watcher) failed(err error, next time.Duration) {
	w.health.note(err)
	w.metrics.looks.WithLabelValues("failed").Inc()
	level := zerolog.DebugLevel
	if w.told != err.Error() {
		w.told, level = err.Error(), zerolog.WarnLevel
	}
	w.log.WithLevel(level).Err(err).Dur("again_in", next).Msg("cannot compare Docker and the state, nothing is changed meanwhile")
}

func (w *Watcher) succeeded() {
	w.health.note(nil)
	w.metrics.looks.WithLabelValues("done").Inc()
	w.metrics.lastLook.SetToCurrentTime()
	if w.told != "" {
		w.told = ""
		w.log.Info().Msg("Docker and the state are compared again")
	}
}
