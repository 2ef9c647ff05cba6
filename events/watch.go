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
		folded := r.View().Seq // before the question, since the log goes on growing
		info, err := r.cfg.Log.Info(ctx)
		if err != nil {
			r.cfg.Logger.Debug().Err(err).Msg("asking the log for its bounds")
			continue
		}
		if r.discontinued(info, folded) {
			poke(r.audit)
		}
	}
}

func (r *Replica) following() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.online
}

func (r *Replica) discontinued(info LogInfo, folded uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = info
	return info.StreamID != r.line.state().StreamID || info.Last < folded
}
