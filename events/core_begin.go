package events

import (
	"time"

	"sluice/crdt"
	"sluice/events/internal/rule"
)

// Around is what a replica knows about others when it reads a log that has no genesis.
type Around struct {
	// Forbid: the operator begins logs, not this replica (--no-bootstrap).
	Forbid bool
	// Unknown: a place that may hold a state (data directory, Consul) could not be read.
	Unknown bool
	// Listened: there was time enough to hear of peers that have a state.
	Listened bool
	// PeerHasState: one was heard of.
	PeerHasState bool
	// Waited: the random wait is over, and all of this was looked at after it.
	Waited bool
}

// Obstacle says why a log is not begun now.
type Obstacle string

// Obstacles.
const (
	// Unobstructed: publish the genesis.
	Unobstructed Obstacle = ""
	// ObstacleForbidden: the operator does it.
	ObstacleForbidden Obstacle = "forbidden"
	// ObstacleUnknown: there may be a state somewhere that could not be read.
	ObstacleUnknown Obstacle = "unknown"
	// ObstacleListening: wait for peers to be heard first.
	ObstacleListening Obstacle = "listening"
	// ObstaclePeer: a peer has a state, it will begin the log.
	ObstaclePeer Obstacle = "peer"
	// ObstacleWaiting: wait for a random time below 10 s, so that few begin it, and look around anew.
	ObstacleWaiting Obstacle = "waiting"
)

// Genesis decides how a log begins that was read to its end and has no genesis (rule 18):
// with the state at hand, whatever others do, or blank where nothing that could hold a state
// does. The caller sets the ID and publishes at once, unless one counted meanwhile.
func (c *Core) Genesis(around Around, wall time.Time) (Genesis, Obstacle) {
	if o := c.obstacle(around); o != Unobstructed {
		return Genesis{}, o
	}
	now := uint64(max(wall.UnixMilli(), 0))
	switch s, broken := c.State(), c.cfg.Broken; {
	case s == nil:
		return Genesis{Params: DefaultParams(), Ref: now, Map: crdt.NewMap()}, Unobstructed
	case broken.Has(rule.BlankSeed):
		return Genesis{Params: s.Params, Ref: max(s.Ref, now), Map: crdt.NewMap()}, Unobstructed
	case broken.Has(rule.GenNoTomb):
		return Genesis{Params: s.Params, Ref: s.Ref, Map: withoutTombstones(s.Map)}, Unobstructed
	default:
		return Genesis{Params: s.Params, Ref: s.Ref, Map: s.Map.Clone()}, Unobstructed
	}
}

func (c *Core) obstacle(around Around) Obstacle {
	switch blank := c.State() == nil; {
	case around.Forbid:
		return ObstacleForbidden
	case blank && around.Unknown:
		return ObstacleUnknown
	case blank && !around.Listened:
		return ObstacleListening
	case blank && around.PeerHasState:
		return ObstaclePeer
	case !around.Waited:
		return ObstacleWaiting
	}
	return Unobstructed
}

// Force is the state as a genesis that counts however old it is (rule 18): an operator's last
// word. Its time is never ahead of the wall clock, so that it also begins a log after one whose
// clock was wrong. False: there is no state.
func (c *Core) Force(wall time.Time) (Genesis, bool) {
	s := c.State()
	if s == nil {
		return Genesis{}, false
	}
	ref := min(s.Ref, uint64(max(wall.UnixMilli(), 0)))
	return Genesis{Params: s.Params, Ref: ref, Map: s.Map.Clone(), Force: true}, true
}

// Checkpoint copies the state if it may be kept as a checkpoint (rule 20): verified, and
// audited up to its very position, as it is when Progress.Audited was told.
func (c *Core) Checkpoint() (*State, bool) {
	if c.line == nil || !c.verified || len(c.line.trail) != 1 {
		return nil, false
	}
	return c.State().Clone(), true
}

// Newest picks what to serve first when a process starts (rule 22): of one log the furthest,
// else the one that was taken last. -1: none has a state.
func Newest(list []Snapshot) int {
	best := -1
	for i, s := range list {
		if s.State != nil && (best < 0 || newer(s, list[best])) {
			best = i
		}
	}
	return best
}

func newer(a, b Snapshot) bool {
	if a.State.StreamID == b.State.StreamID {
		return a.State.Seq() > b.State.Seq()
	}
	return a.Taken.After(b.Taken)
}
