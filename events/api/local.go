package api

import (
	"fmt"
	"net/http"

	"sluice/crdt/service"
)

// keepLocal refuses the removal of a service that would go on being served, because this
// replica's environment defines it.
func (s *Server) keepLocal(name string) error {
	if _, local := s.cfg.Local[name]; !local {
		return nil
	}
	if e, ok := s.cfg.Replica.Entry(service.Key(name)); ok && e.Live() {
		return nil // what replaced it can be removed
	}
	return newProblem(http.StatusConflict, fmt.Sprintf(
		"service %q cannot be removed here: the environment of this replica defines it (DFP_SERVICE_*); take the variables away and start the replica again", name))
}
