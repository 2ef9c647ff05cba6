package events

import (
	"context"
	"time"
)

const watchEvery = 5 * time.Second

// watch asks the log for its bounds now and then. A consumer of a log that was replaced
// or that lost its tail can stay silent for ever: then the session has to begin anew.
func (r *Replica) watch(ctx context.Context) error {
	for {
		if err := pause(ctx, watchEvery); err != nil {
			return err
		}
		if !r.following() {
			continue
		}
		info, err := r.cfg.Log.Info(ctx)
		if err != nil {
			r.cfg.Logger.Debug().Err(err).Msg("asking the log for its bounds")
			continue
		}
		if r.discontinued(info) {
			poke(r.audit)
		}
	}
}

func (r *Replica) following() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.online
}

func (r *Replica) discontinued(info LogInfo) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = info
	s := r.line.state()
	return info.StreamID != s.StreamID || info.Last < s.Seq()
}
