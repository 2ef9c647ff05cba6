package swarm

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// health is what the looks came to; it is read while the watcher runs.
type health struct {
	mu   sync.Mutex
	last time.Time // the end of the last look that was complete; zero: none yet
	err  error     // why the newest one failed, nil if it did not
}

func (h *health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err = err; err == nil {
		h.last = time.Now()
	}
}

// Healthy is nil once Docker and the state were compared to the end, and for as long as that has
// been so within three intervals and a minute; else it says why not. Safe for concurrent use.
func (w *Watcher) Healthy() error {
	w.health.mu.Lock()
	defer w.health.mu.Unlock()
	patience := 3*w.cfg.Interval + time.Minute
	switch last, err := w.health.last, w.health.err; {
	case last.IsZero() && err != nil:
		return fmt.Errorf("no look at Docker and the state has come to its end yet: %w", err)
	case last.IsZero():
		return errors.New("no look at Docker and the state has come to its end yet")
	case time.Since(last) <= patience:
		return nil
	case err != nil:
		return fmt.Errorf("no look at Docker and the state has come to its end for %s: %w", time.Since(last).Round(time.Second), err)
	default:
		return fmt.Errorf("no look at Docker and the state has come to its end for %s", time.Since(last).Round(time.Second))
	}
}
