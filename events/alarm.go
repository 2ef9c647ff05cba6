package events

import (
	"fmt"
	"time"
)

// stuckAfter is how long changes may be pending while the log is followed: twice as long as
// everybody who holds one needs to offer it (rule 11).
const stuckAfter = 2 * (dueAfter + dueWithin)

// violated makes broken invariants visible. The caller holds mu.
func (r *Replica) violated(list []Violation) {
	for _, v := range list {
		r.metrics.violations.WithLabelValues(v.Invariant).Inc()
		r.cfg.Logger.Error().Str("invariant", v.Invariant).Str("what", v.Text).Msg("an invariant does not hold")
		r.broken = fmt.Sprintf("invariant %s does not hold, %s: restart this replica, and report this with its log", v.Invariant, v.Text)
		r.changed.raise()
	}
}

// clockProblem tells of clocks that are too far apart (I12). The caller holds mu.
func (r *Replica) clockProblem() string {
	if !r.skewed() {
		return ""
	}
	return fmt.Sprintf("this machine's clock and the log's are %s apart, so that changes are refused: set both by NTP; if this one was wrong, restart this replica",
		r.skew.Abs().Round(time.Second))
}

// watchStuck notes since when changes are pending though they could be in the log.
func (r *Replica) watchStuck() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.core.Online() || r.core.Pending().Len() == 0:
		r.stuck = time.Time{}
	case r.stuck.IsZero():
		r.stuck = r.cfg.Wall()
	}
}

// stuckProblem tells of changes that do not get into the log (I11). The caller holds mu.
func (r *Replica) stuckProblem() string {
	if r.stuck.IsZero() || r.cfg.Wall().Sub(r.stuck) < stuckAfter {
		return ""
	}
	return fmt.Sprintf("%d changes do not get into the log, though it can be read: is it full, or may this replica only read it? The replica's own log names the reason", r.core.Pending().Len())
}
