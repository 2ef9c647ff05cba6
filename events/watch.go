package events

import (
	"context"
	"time"
)

const watchEvery = 5 * time.Second

// watch asks the log for its bounds now and then. A consumer of a log that was replaced or
// that lost its tail can stay silent for ever, one that has not come to the session's end
// included: then the session has to begin anew.
func (s *session) watch(ctx context.Context) error {
	for {
		if err := pause(ctx, min(watchEvery, s.r.cfg.AuditEvery)); err != nil {
			return err
		}
		reached := s.reached() // before the question, since the log goes on growing
		info, err := s.r.cfg.Log.Info(ctx)
		if err != nil {
			s.r.cfg.Logger.Debug().Err(err).Msg("asking the log for its bounds")
			continue
		}
		s.r.learn(info)
		if info.StreamID != s.info.StreamID || info.Last < reached {
			return errAudit
		}
	}
}

// reached is the last sequence that the session has folded or has been promised.
func (s *session) reached() uint64 {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	return max(s.info.Last, s.steps.Next()-1)
}

func (r *Replica) learn(info LogInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = info
}

func (r *Replica) following() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Online()
}
