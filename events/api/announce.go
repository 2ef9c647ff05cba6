package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
)

// OriginListener is the origin of what a Swarm listener said when it was asked.
const OriginListener = "listener"

// ErrNotTaken: an announced service was refused. Asking again would not help.
var ErrNotTaken = errors.New("not taken")

// Announce takes one service that a Swarm listener lists, through the same door as a
// reconfigure. What it lists may be older than the state. So it is written only where
// there has never been such a service, or where mine says that the stored entry came
// from the listener as well; a change or removal that anybody else made stays. It reports
// whether anything was written.
//
// Errors: ErrNotTaken for a definition that is refused; any other means that nothing
// could be written now.
func (s *Server) Announce(ctx context.Context, q url.Values, mine func(context.Context, crdt.Entry) (bool, error)) (bool, error) {
	req, err := s.parse(q)
	if err != nil {
		return false, notTaken(err)
	}
	if req.Remove || s.foreign(req) {
		return false, nil
	}
	t := terms{who: caller{actor: OriginListener, origin: OriginListener}, wait: waiting{scope: events.WaitNone}}
	now, exists := s.cfg.Replica.Entry(service.Key(req.Service.Name))
	if !exists {
		t.cond.absent = true
	} else {
		if taken, err := s.announcedAlready(req.Service, now); err != nil || taken {
			return false, notTaken(err)
		}
		if ok, err := mine(ctx, now); err != nil || !ok {
			return false, err
		}
		t.cond.stamp = now.Stamp.String()
	}
	_, err = s.put(ctx, &req.Service, t)
	if errors.Is(err, events.ErrPrecondition) {
		return false, nil // somebody was faster, what they wrote stays
	}
	return err == nil, notTaken(err)
}

// announcedAlready reports whether an entry is a removal, which stays, or says the same
// as the definition.
func (s *Server) announcedAlready(svc service.Service, now crdt.Entry) (bool, error) {
	if !now.Live() {
		return true, nil
	}
	svc = svc.Clone()
	if err := svc.Validate(s.cfg.Limits); err != nil {
		return false, err
	}
	if err := svc.Protect(s.cfg.Key); err != nil {
		return false, err
	}
	value, err := svc.Canonical()
	if err != nil {
		return false, err
	}
	return service.Redundant(now.Value, value), nil
}

// notTaken marks errors that are the definition's fault, or that tell of newer state.
func notTaken(err error) error {
	if err == nil {
		return nil
	}
	if problemOf(err).Status < http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", ErrNotTaken, err)
	}
	return err
}
