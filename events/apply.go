package events

import "errors"

// observe notes what messages tell about the log itself. The caller holds mu.
func (s *session) observe(m Message, effects []Effect) {
	r := s.r
	if m.Seq > s.info.Last { // live, not replayed: its time can be compared with ours
		r.skew = m.Time.Sub(r.cfg.Wall())
		r.metrics.skew.Set(r.skew.Seconds())
	}
	r.info.Last = max(r.info.Last, m.Seq)
	if r.bytes += uint64(len(m.Subject) + len(m.Data)); r.grown() {
		poke(r.tending)
	}
	for _, e := range effects {
		r.metrics.folded(e.Result)
		if !e.rival().IsZero() {
			r.metrics.conflicts.Inc()
		}
		if e.Result == ResultIgnored {
			r.cfg.Logger.Warn().Uint64("seq", e.Seq).Str("reason", e.Reason).Msg("message has no effect")
		}
	}
}

// progressed lets readers, waiting callers and the log of the process follow what a step of
// the session did. The caller holds mu.
func (s *session) progressed(p Progress) {
	r := s.r
	if s.serving && !p.Swapped {
		for _, e := range p.Effects {
			r.touched.add(e.Entry.Key)
		}
	}
	if p.Swapped {
		s.serving = true
		r.touched.addAll()
		r.replaced()
		state := r.core.State()
		r.cfg.Logger.Info().Str("stream", state.StreamID).Uint64("seq", state.Seq()).
			Int("pending", r.core.Pending().Len()).Msg("state restored from the log")
	}
	r.report(p.Reports)
	r.violated(p.Violations)
	if s.serving && (p.Swapped || len(p.Effects) > 0) {
		if r.kept && r.core.Pending().Len() == 0 {
			poke(r.offers) // which forgets what is kept
		}
		r.awaited.reached(r.core.Seq())
		r.changed.raise()
	}
	if p.Audited {
		s.audited()
	}
	if s.steps.Counted() {
		closeOnce(s.counted)
	}
	if p.AtEnd {
		closeOnce(s.end)
		if s.serving {
			r.fresh()
		}
	}
}

// closeOnce closes c unless that was done. Callers hold mu.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// fresh: verified and at the log's end. The caller holds mu.
func (r *Replica) fresh() {
	if r.restored && r.stale == "" {
		return
	}
	if r.restored {
		r.cfg.Logger.Info().Uint64("seq", r.core.Seq()).Msg("caught up with the log")
	}
	r.restored, r.stale, r.problem, r.interruption = true, "", "", ""
	r.unbegun = false
	r.metrics.stale.Set(0)
	r.changed.raise()
	poke(r.offers)
}

// interrupted: the log cannot be followed now; the state goes on serving, marked stale.
// It reports whether the log was followed until now.
func (r *Replica) interrupted(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	followed := r.core.Online() || errors.Is(err, ErrLostBranch)
	if why := err.Error(); why != r.interruption {
		r.cfg.Logger.Warn().Err(err).Msg("following the log was interrupted")
		r.interruption = why
	}
	r.goStale(err.Error())
	return followed
}

// rebuilding: the log is not the continuation of the serving state. The caller holds mu.
func (r *Replica) rebuilding() {
	r.goStale("the state is being rebuilt from the log")
}

func (r *Replica) goStale(why string) {
	r.core.Interrupt()
	r.stale = why
	r.metrics.stale.Set(1)
	r.changed.raise()
}

func (r *Replica) setProblem(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem != text {
		r.cfg.Logger.Error().Msg(text)
	}
	r.problem = text
	r.changed.raise()
}

// report tells about pending changes that were given up and may be lost. The caller holds mu.
func (r *Replica) report(reports []Report) {
	for _, p := range reports {
		r.touched.add(p.Entry.Key)
		if p.Reason == ReasonCollected { // an old tombstone: nothing is lost with it
			r.cfg.Logger.Debug().Str("key", p.Entry.Key).Msg("the new state has no trace of an old removal")
			continue
		}
		if !r.reject(p) {
			continue
		}
		r.metrics.reported.WithLabelValues(p.Reason).Inc()
		r.cfg.Logger.Error().Str("key", p.Entry.Key).Stringer("stamp", p.Entry.Stamp).
			Bool("deleted", p.Entry.Deleted).Str("reason", p.Reason).AnErr("error", p.Err).Msg("a change may be lost")
	}
}

// audited: everything up to the state's position was read again by one consumer. A copy
// of it goes to whoever waits for one. The caller holds mu.
func (s *session) audited() {
	r := s.r
	if len(r.copies) == 0 {
		return
	}
	if state, ok := r.core.Checkpoint(); ok {
		for _, c := range r.copies {
			c <- state // there is room for this one
		}
		r.copies = nil
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
