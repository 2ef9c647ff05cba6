package api

import (
	"net/http"

	"sluice/events"
)

const unserved = "the state is not restored and served yet"

// unready says why this replica should not get traffic; empty: it should.
func (s *Server) unready() string {
	status := s.cfg.Replica.Status()
	switch {
	case s.draining.Load():
		return "the replica is stopping"
	case !status.Ready && status.Stale != "" && status.Problem != "":
		return unserved + ": " + status.Stale + "; " + status.Problem
	case !status.Ready && status.Stale+status.Problem != "":
		return unserved + ": " + status.Stale + status.Problem
	case !status.Ready:
		return unserved
	case !s.cfg.Proxy.Ready():
		return "HAProxy does not serve a configuration"
	}
	s.wasReady.Store(true)
	return ""
}

// readyz is for load balancers: the state is restored and HAProxy serves it.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request, _ caller) error {
	if why := s.unready(); why != "" {
		return newProblem(http.StatusServiceUnavailable, why)
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// healthz is for orchestrators: not before the first ready, afterwards only a dead HAProxy
// is a reason to restart. An outage of the log kills nobody.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ caller) error {
	why := s.unready()
	if s.wasReady.Load() {
		why = ""
		if !s.cfg.Proxy.Ready() {
			why = "HAProxy does not serve a configuration"
		}
	}
	if why != "" {
		return newProblem(http.StatusServiceUnavailable, why)
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": alive})
}

// replicaList is the answer of GET /v1/replicas.
type replicaList struct {
	Replicas []events.Status `json:"replicas"`
}

func (s *Server) replicas(w http.ResponseWriter, _ *http.Request, _ caller) error {
	all := s.cfg.Replicas.Replicas()
	if all == nil {
		all = []events.Status{}
	}
	return writeJSON(w, http.StatusOK, replicaList{Replicas: all})
}
