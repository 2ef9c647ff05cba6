package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func TestStagesStopInReverseOrder(t *testing.T) {
	var stopped []string
	part := func(name string) stage {
		return stage{name, func(ctx context.Context) error {
			<-ctx.Done()
			stopped = append(stopped, name)
			return ctx.Err()
		}, time.Second}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrDrain)
	var cause error
	drain := func(why error) {
		cause = why
		stopped = append(stopped, "drained")
	}
	if err := runStages(ctx, []stage{part("log"), part("proxy"), part("api")}, drain, zerolog.Nop()); err != nil {
		t.Error(err)
	}
	if want := []string{"drained", "api", "proxy", "log"}; !cmp.Equal(stopped, want) {
		t.Errorf("stopped %v, want %v", stopped, want)
	}
	if !errors.Is(cause, ErrDrain) {
		t.Errorf("drain was told %v", cause)
	}
}

func TestStageThatFailsStopsTheOthers(t *testing.T) {
	broken := errors.New("broken")
	stopped := false
	err := runStages(t.Context(), []stage{
		{"log", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }, time.Second},
		{"proxy", func(context.Context) error { return broken }, time.Second},
	}, func(error) { t.Error("drained without being asked to stop") }, zerolog.Nop())
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "proxy") || !stopped {
		t.Errorf("error %v, other stopped: %v", err, stopped)
	}
}

func TestStageThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := runStages(ctx, []stage{{"proxy", func(context.Context) error { <-hang; return nil }, time.Second}}, func(error) {}, zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), "stop proxy") {
			t.Errorf("error %v", err)
		}
		close(hang)
	})
}

// A stage that has ended is not blamed for a process that stood still until its time was up.
func TestStageThatEndedIsNotLate(t *testing.T) {
	for range 100 {
		s := started{stage: stage{name: "proxy", within: -1}, cancel: func() {}, done: make(chan error, 1)}
		s.done <- nil
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
}
