package api

import (
	"context"
	"errors"
	"net/http"

	"sluice/events"
)

// Recovery is what an operator can do where no rule lets the replicas go on by themselves.
// Errors are those of package events, ErrNothingToRecover above all.
type Recovery interface {
	// NewLog deletes the log, the replicas begin a new one with their states.
	NewLog(ctx context.Context) error
	// BeginLog lets the log begin with this replica's state, however old that is.
	BeginLog(ctx context.Context) error
}

// Recovered is the answer of a recovery.
type Recovered struct {
	Done string `json:"done"`
}

// RecoverAction names one.
type RecoverAction string

// Actions of a Recovery.
const (
	RecoverNewLog   RecoverAction = "new-log"
	RecoverBeginLog RecoverAction = "begin-log"
)

func (s *Server) recover(w http.ResponseWriter, r *http.Request, c caller) error {
	if s.cfg.Recovery == nil {
		return newProblem(http.StatusNotFound, "there is no log to recover here")
	}
	var do func(context.Context) error
	var done string
	switch action := RecoverAction(r.PathValue("action")); action {
	case RecoverNewLog:
		do, done = s.cfg.Recovery.NewLog, "the log was deleted; the replicas begin a new one with their states within a minute"
	case RecoverBeginLog:
		do, done = s.cfg.Recovery.BeginLog, "the log begins with this replica's state"
	default:
		return newProblem(http.StatusNotFound, "no such recovery: use new-log or begin-log")
	}
	s.log.Warn().Str("actor", c.actor).Str("action", r.PathValue("action")).Msg("an operator asks for a recovery")
	err := do(r.Context())
	if errors.Is(err, events.ErrNothingToRecover) {
		return newProblem(http.StatusConflict, err.Error()+": nothing was changed")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Recovered{Done: done})
}

// Recover asks a replica for a recovery; a *Problem with status 409 if there is nothing to recover.
func (c *Client) Recover(ctx context.Context, action RecoverAction) (Recovered, error) {
	var out Recovered
	err := c.json(ctx, call{method: http.MethodPost, path: "/v1/recover/" + string(action)}, &out)
	return out, err
}
