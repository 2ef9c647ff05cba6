package api

import (
	"net/http"

	"sluice/crdt/service"
)

const (
	// OriginSwarm is the origin of what a watcher of Docker writes.
	OriginSwarm = "swarm"
	// SourceHeader is where a watcher tells what a definition was made from: a
	// service.Source as JSON.
	SourceHeader = "X-Sluice-Source"

	actorWatcher = "watcher"
)

// watches reports whether a watcher asks.
func (c caller) watches() bool { return c.origin == OriginSwarm }

// sourceOf is what the definition of a request was made from. Only watchers have a say in it:
// whatever else changes a definition takes it over.
func sourceOf(r *http.Request, c caller) (*service.Source, error) {
	if !c.watches() {
		return nil, nil
	}
	return service.ParseSource([]byte(r.Header.Get(SourceHeader)))
}

// settled reports whether a watcher's definition is in force already at the stamp that it
// asks for. Nothing would be written but the news that Docker has another version.
func (s *Server) settled(key string, value []byte, t terms) (Receipt, bool) {
	now, ok := s.cfg.Replica.Entry(key)
	if !t.who.watches() || !ok || !now.Live() || t.cond.stamp != now.Stamp.String() || !service.Redundant(now.Value, value) {
		return Receipt{}, false
	}
	st := s.cfg.Replica.Status()
	return Receipt{Outcome: OutcomeUnchanged, StreamID: st.StreamID, Seq: st.Seq, Stamp: now.Stamp.String()}, true
}

// apart keeps what is not the caller's in an overlay: the tasks are the watchers', everything
// else is people's.
func apart(given, stored service.Overlay, c caller) service.Overlay {
	if c.watches() {
		stored.Tasks = given.Tasks
		return stored
	}
	given.Tasks = stored.Tasks
	return given
}
