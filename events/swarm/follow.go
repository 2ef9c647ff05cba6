package swarm

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/client"
)

// follow turns Docker's events into "look again soon". What an event says is not looked at,
// so that one that is lost, late or double does no harm.
func (w *Watcher) follow(ctx context.Context) error {
	since, told := "", ""
	for {
		last, err := w.listen(ctx, since)
		if last > 0 {
			since = strconv.FormatInt(last/int64(time.Second), 10)
		}
		if err != nil && ctx.Err() == nil && err.Error() != told {
			told = err.Error() // each reason once
			w.log.Warn().Err(err).Msg("cannot follow Docker's events, looking every second meanwhile")
		}
		if !wait(ctx, again) {
			return ctx.Err()
		}
		w.signal() // whatever happened meanwhile
	}
}

// listen follows until the stream breaks, and returns the time of the last event in
// nanoseconds since 1970, zero without one. The error is nil if the stream just ended.
func (w *Watcher) listen(ctx context.Context, since string) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	filters := client.Filters{}.
		Add("type", "service", "node", "container", "network").
		Add("event", "create", "update", "remove", "start", "die", "destroy", "rename", "health_status", "pause", "unpause", "connect", "disconnect")
	stream := w.docker.client.Events(ctx, client.EventsListOptions{Since: since, Filters: filters})
	last := int64(0)
	for {
		select {
		case m := <-stream.Messages:
			last = max(last, m.TimeNano)
			w.signal()
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return last, err
		}
	}
}

func (w *Watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
