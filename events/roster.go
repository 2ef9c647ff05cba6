package events

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// heardWithin: a replica heard of in this time is there.
	heardWithin = 10 * time.Second
	// missedFor: how much longer one that fell silent counts as missing.
	missedFor = 60 * time.Second
)

// Roster knows the replicas that were heard of lately, this one included. It is safe for
// concurrent use.
type Roster struct {
	self string
	wall func() time.Time

	changed signal
	mu      sync.Mutex
	heard   map[string]heard // by node
}

type heard struct {
	status Status
	at     time.Time
}

// NewRoster returns a roster of the replica with node id self.
func NewRoster(self string, wall func() time.Time) *Roster {
	return &Roster{self: self, wall: wall, heard: map[string]heard{}}
}

// Observe takes in a status, of this replica or of another. A new process with the name
// of a silent one takes its place. It reports whether the process was not known before.
func (r *Roster) Observe(s Status) (met bool) {
	r.mu.Lock()
	now := r.wall()
	// Answers and beats may overtake each other, but never by much: a status that is much
	// older is of a clock that was set back.
	if late := r.heard[s.Node].status.Time.Sub(s.Time); late > 0 && late <= heardWithin {
		r.mu.Unlock()
		return false
	}
	_, known := r.heard[s.Node]
	r.heard[s.Node] = heard{s, now}
	for node, h := range r.heard {
		silent := now.Sub(h.at)
		replaced := node != s.Node && h.status.Name == s.Name && silent > heardWithin/3
		if silent > heardWithin+missedFor || replaced {
			delete(r.heard, node)
		}
	}
	r.mu.Unlock()
	r.changed.raise()
	return !known
}

// Forget removes a replica that said that it stops.
func (r *Roster) Forget(node string) {
	r.mu.Lock()
	delete(r.heard, node)
	r.mu.Unlock()
	r.changed.raise()
}

// Replicas lists the replicas that are there or missing, by name.
func (r *Roster) Replicas() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Status
	for _, h := range r.heard {
		if r.wall().Sub(h.at) > heardWithin+missedFor {
			continue
		}
		out = append(out, h.status)
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
	return out
}

// Others are the identities of the other replicas that are there.
func (r *Roster) Others() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for node, h := range r.heard {
		if node != r.self && r.wall().Sub(h.at) <= heardWithin {
			out = append(out, node)
		}
	}
	slices.Sort(out)
	return out
}

// HasState reports whether another replica that is there has a state.
func (r *Roster) HasState() bool {
	return r.any(func(s *Status) bool { return s.StreamID != "" })
}

// Follows reports whether another replica that is there has a state of that log.
func (r *Roster) Follows(streamID string) bool {
	return r.any(func(s *Status) bool { return s.StreamID == streamID })
}

// any reports whether another replica that is there is such a one.
func (r *Roster) any(is func(*Status) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for node, h := range r.heard {
		if node != r.self && is(&h.status) && r.wall().Sub(h.at) <= heardWithin {
			return true
		}
	}
	return false
}

// Wait blocks until the position is live on every replica of the scope, one of them has
// quarantined the key, or ctx ends; then the result says what is missing and the error is nil.
func (r *Roster) Wait(ctx context.Context, w Wait) (WaitResult, error) {
	again := time.NewTicker(time.Second) // silence is not signalled
	defer again.Stop()
	for {
		changed := r.changed.wait()
		result := r.check(w)
		if result.Live || len(result.Quarantined) > 0 {
			return result, nil
		}
		select {
		case <-ctx.Done():
			return result, nil
		case <-changed:
		case <-again.C:
		}
	}
}

// serves reports whether what is waited for is live. A replica may be ahead with it while other
// services keep the whole position from being live.
func (s *Status) serves(w Wait) bool {
	if s.Live >= w.Seq {
		return true
	}
	kind, name, _ := strings.Cut(w.Key, "/")
	return (kind == "service" || kind == "overlay") && s.Reached >= w.Seq && !slices.Contains(s.Behind, name)
}

func (w *WaitResult) miss(s *Status) {
	w.Missing = append(w.Missing, s.Name)
	if s.Problem != "" {
		w.Problems[s.Name] = s.Problem
	}
}

func (r *Roster) check(w Wait) WaitResult {
	result := WaitResult{Quarantined: map[string]Quarantined{}, Problems: map[string]string{}}
	if w.Scope == WaitNone {
		result.Live = true
		return result
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for node, h := range r.heard {
		if node != r.self && (w.Scope == WaitLocal || !h.status.Ready) {
			continue
		}
		live := h.status.StreamID == w.StreamID && h.status.serves(w) && r.wall().Sub(h.at) <= heardWithin
		if !live {
			result.miss(&h.status)
			continue
		}
		for _, q := range h.status.Quarantine {
			if "service/"+q.Service == w.Key {
				result.Quarantined[h.status.Name] = q
			}
		}
	}
	slices.Sort(result.Missing)
	_, spoken := r.heard[r.self]
	result.Live = spoken && len(result.Missing) == 0 && len(result.Quarantined) == 0
	return result
}
