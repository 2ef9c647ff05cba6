package api

import (
	"time"

	"sluice/crdt"
	"sluice/events"
)

// forgotten looks for a removal that only the state knows: its event was lost or trimmed with
// its log. Make it before the events are read, so that these are at least as new.
type forgotten struct {
	tombstone crdt.Entry
	told      bool
}

func (s *Server) forgotten(q events.Query) *forgotten {
	f := &forgotten{told: true}
	if q.Key == "" || q.Kind != "service" || q.After > 0 || q.Conflicts || q.Follow {
		return f
	}
	if e, ok := s.cfg.Replica.Entry(q.Key); ok && e.Deleted {
		f.tombstone, f.told = e, false
	}
	return f
}

// see takes in an event of the log. One without a stamp has its sequence for a node.
func (f *forgotten) see(r events.Record) {
	stamp := f.tombstone.Stamp
	f.told = f.told || r.Stamp == stamp.String() || r.Stamp == "" && r.Seq == stamp.Node
}

// record is the removal without its event: when, but not by whom.
func (f *forgotten) record() events.Record {
	stamp := f.tombstone.Stamp
	return events.Record{Time: time.UnixMilli(int64(stamp.Millis())).UTC(), Kind: "service", Key: f.tombstone.Key, Action: "removed", Stamp: stamp.String(),
		Reason: "the log does not have the event any more: the state tells when, but not by whom"}
}
