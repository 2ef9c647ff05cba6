package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// stage is one part of a running node.
type stage struct {
	name string
	// run blocks until ctx ends or the part fails.
	run func(ctx context.Context) error
	// within bounds how long run may take to return once ctx has ended.
	within time.Duration
}

// started is a stage that runs.
type started struct {
	stage
	cancel context.CancelFunc
	done   chan error
}

// runStages starts the stages in order and, when ctx ends or one of them does, stops them
// in reverse order, each fully before the next. drain runs before the first is stopped,
// with the cause that ended ctx. The error joins those of all stages.
func runStages(ctx context.Context, stages []stage, drain func(cause error), log zerolog.Logger) error {
	ended := make(chan string, len(stages))
	running := make([]started, len(stages))
	for i, s := range stages {
		sctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		running[i] = started{stage: s, cancel: cancel, done: make(chan error, 1)}
		go func() {
			running[i].done <- s.run(sctx)
			ended <- s.name
		}()
	}
	select {
	case <-ctx.Done():
		drain(context.Cause(ctx))
	case name := <-ended:
		log.Error().Str("part", name).Msg("a part of the node ended, stopping")
	}
	var errs []error
	for i := len(running) - 1; i >= 0; i-- {
		errs = append(errs, running[i].stop())
	}
	return errors.Join(errs...)
}

func (s *started) stop() error {
	s.cancel()
	t := time.NewTimer(s.within)
	defer t.Stop()
	select {
	case err := <-s.done:
		return s.outcome(err)
	case <-t.C:
	}
	select {
	case err := <-s.done: // in time, though this process was not
		return s.outcome(err)
	default:
		return fmt.Errorf("stop %s: it did not end within %s", s.name, s.within)
	}
}

// outcome is what a stage that was told to end has to report.
func (s *started) outcome(err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}
