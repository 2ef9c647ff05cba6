package node

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sluice/crdt/service"
	"sluice/events"
	"sluice/events/gossip"
	"sluice/proxy"
)

const (
	beatEvery = time.Second
	// beatGap bounds the heartbeats that a stream of changes causes.
	beatGap = 10 * time.Millisecond
)

// status composes what this replica tells about itself and keeps the roster and the other
// replicas informed.
type status struct {
	fixed      events.Status // what never changes: node, name, version …
	replica    *events.Replica
	controller *proxy.Controller
	roster     *events.Roster
	siblings   *siblings
	reach      *reach // nil without a mesh
	beats      *gossip.Heartbeats
	met        func() // called when a replica is heard of that was not there
	log        zerolog.Logger

	// gone are the replicas that said goodbye, and when: what they said before may arrive after
	// it, over another connection. It belongs to hear.
	gone map[string]time.Time

	mu      sync.Mutex
	leaving bool // said goodbye: whoever asks from now on is told the same
}

// current is this replica's status now.
func (s *status) current() events.Status {
	report := s.controller.Report() // first: what it has reached, the view has as well
	view := s.replica.View()
	out := s.fixed
	out.StreamID, out.Seq, out.LastSeq = view.StreamID, view.Seq, view.LastSeq
	out.Lag = view.LastSeq - view.Seq
	out.Live = live(view, report)
	out.Reached, out.Behind = reached(view, report), report.Behind
	out.Digest, out.ConfigDigest = fmt.Sprintf("%016x", view.Digest), report.ConfigDigest
	out.Generation, out.Services, out.Pending = report.Generation, s.replica.Count(service.Key("")), view.Pending
	out.Rejected = view.Rejected
	out.Ready = view.Restored && report.Ready
	out.Stale = view.Stale
	all := problems(view, report)
	for _, trouble := range []string{s.siblings.trouble(), s.reach.trouble(s.roster.Others())} {
		if trouble != "" {
			all = append(all, trouble)
		}
	}
	out.Problem = strings.Join(all, "; ")
	out.Notes = report.Notes[:min(len(report.Notes), maxNotes)]
	out.Quarantine = []events.Quarantined{}
	for _, q := range report.Quarantine {
		out.Quarantine = append(out.Quarantine, events.Quarantined(q))
	}
	out.Time = time.Now().UTC()
	if out.Leaving = s.left(); out.Leaving {
		out.Ready = false
	}
	return out
}

// live is the position that HAProxy serves; 0 if that is of another log, or of a tail that
// the log has lost and may grow again with other changes.
func live(v events.View, r proxy.Report) uint64 {
	if r.StreamID != v.StreamID || r.Seq > v.Seq {
		return 0
	}
	return r.Seq
}

// reached is the same for the position that is live but for the services behind.
func reached(v events.View, r proxy.Report) uint64 {
	if r.StreamID != v.StreamID || r.Reached > v.Seq {
		return 0
	}
	return r.Reached
}

func (s *status) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

// fullLog is the part of the log's limit from which on an operator is told.
const fullLog = 0.7

// maxNotes bounds what a heartbeat tells about parameters without effect.
const maxNotes = 20

// maxCertProblems bounds what a heartbeat tells about certificates.
const maxCertProblems = 5

func problems(v events.View, r proxy.Report) []string {
	var out []string
	if v.Problem != "" {
		out = append(out, v.Problem)
	}
	if r.LastError != "" {
		out = append(out, r.LastError)
	}
	out = append(out, r.Problems[:min(len(r.Problems), maxCertProblems)]...)
	if v.LogLimit > 0 && float64(v.LogBytes) > fullLog*float64(v.LogLimit) {
		out = append(out, fmt.Sprintf("the log holds %d of at most %d bytes: raise the stream's limit", v.LogBytes, v.LogLimit))
	}
	return out
}

// run tells the roster at once what this replica has made live, and the roster and the other
// replicas at every change and every second what else is new, until ctx ends; then it says
// goodbye.
func (s *status) run(ctx context.Context) error {
	every := time.NewTicker(beatEvery)
	defer every.Stop()
	gap := time.NewTicker(beatGap)
	defer gap.Stop()
	// Taken before the status is read, so that no change in between is missed.
	replica, controller := s.replica.Changed(), s.controller.Reported()
	for untold := true; ; {
		var due <-chan time.Time
		if untold {
			due = gap.C
		}
		select {
		case <-ctx.Done():
			s.goodbye(context.WithoutCancel(ctx))
			return nil
		case <-replica:
			replica, untold = s.replica.Changed(), true
		case <-controller:
			controller, untold = s.controller.Reported(), true
			s.roster.Observe(s.current())
		case <-every.C:
			untold = true
		case <-due:
			untold = false
			s.tell(ctx)
		}
	}
}

func (s *status) tell(ctx context.Context) {
	now := s.current()
	s.roster.Observe(now)
	if err := s.beats.Publish(ctx, now); err != nil {
		s.log.Debug().Err(err).Msg("heartbeat not sent")
	}
}

// goodbye lets the others stop waiting for this replica. If nobody can be reached, their
// patience ends it: an outage is no reason to end with an error.
func (s *status) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	if err := s.beats.Publish(ctx, s.current()); err != nil {
		s.log.Debug().Err(err).Msg("goodbye not sent")
	}
}

// goneFor is how long a goodbye is remembered.
const goneFor = time.Minute

// hear takes in what another replica tells, one at a time.
func (s *status) hear(other events.Status, way string) {
	switch {
	case other.Node == s.fixed.Node:
	case other.Leaving:
		s.forget(other.Node)
	case s.gone[other.Node].IsZero():
		if s.roster.Observe(other) {
			s.met()
		}
		s.reach.heard(other.Node, way)
	}
}

// forget takes a goodbye: that identity never comes back.
func (s *status) forget(node string) {
	s.roster.Forget(node)
	maps.DeleteFunc(s.gone, func(_ string, at time.Time) bool { return time.Since(at) > goneFor })
	if s.gone == nil {
		s.gone = map[string]time.Time{}
	}
	s.gone[node] = time.Now()
}
