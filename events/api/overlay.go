package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
)

// noOverlay is the document that says nothing.
const noOverlay = "{}"

// OverlayChanged is the answer of PUT and DELETE /v1/services/{name}/overlay.
type OverlayChanged struct {
	Receipt Receipt `json:"receipt"`
	// Overlay is the overlay as it was understood; {} for none.
	Overlay json.RawMessage `json:"overlay"`
}

// getOverlay answers {} where nothing is in force.
func (s *Server) getOverlay(w http.ResponseWriter, r *http.Request, _ caller) error {
	if err := refuseAt(r); err != nil {
		return err
	}
	name := r.PathValue("name")
	if _, err := s.definitionOf(name); err != nil {
		return err
	}
	e, _ := s.cfg.Replica.Entry(service.OverlayKey(name))
	if !e.Live() {
		return writeJSON(w, http.StatusOK, json.RawMessage(noOverlay))
	}
	etag := `"` + e.Stamp.String() + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, http.StatusOK, shownOverlay(&e))
}

// shownOverlay is the document of an entry, also of one that a foreign log holds.
func shownOverlay(e *crdt.Entry) json.RawMessage {
	if !json.Valid(e.Value) {
		return json.RawMessage(noOverlay)
	}
	return e.Value
}

// overlays are those in the state, by service.
func (s *Server) overlays() map[string]json.RawMessage {
	found := map[string]json.RawMessage{}
	for _, e := range s.cfg.Replica.Entries(service.OverlayKey("")) {
		if name, ok := service.Overlaid(e.Key); ok && e.Live() {
			found[name] = shownOverlay(&e)
		}
	}
	return found
}

func (s *Server) putOverlay(w http.ResponseWriter, r *http.Request, c caller) error {
	t, err := nativeTerms(r, c)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	svc, err := s.definitionOf(r.PathValue("name"))
	if err != nil {
		return err
	}
	o, err := service.ParseOverlay(body)
	if err == nil {
		err = o.Fits(&svc)
	}
	if err != nil {
		return err
	}
	return s.answerOverlay(w, r, o, t)
}

func (s *Server) deleteOverlay(w http.ResponseWriter, r *http.Request, c caller) error {
	t, err := nativeTerms(r, c)
	if err != nil {
		return err
	}
	if _, err := s.definitionOf(r.PathValue("name")); err != nil {
		return err
	}
	return s.answerOverlay(w, r, service.Overlay{}, t)
}

// answerOverlay publishes an overlay; one that says nothing is none.
func (s *Server) answerOverlay(w http.ResponseWriter, r *http.Request, o service.Overlay, t terms) error {
	receipt, value, err := s.writeOverlay(r, o, t)
	if err != nil {
		return err
	}
	out := OverlayChanged{Receipt: receipt, Overlay: value}
	if value == nil {
		out.Overlay = json.RawMessage(noOverlay)
	} else {
		setETag(w, receipt)
	}
	return writeJSON(w, receipt.status(), out)
}

// writeOverlay begins anew when somebody else was faster with the part that is not the
// caller's.
func (s *Server) writeOverlay(r *http.Request, o service.Overlay, t terms) (Receipt, []byte, error) {
	key := service.OverlayKey(r.PathValue("name"))
	for attempt := 1; ; attempt++ {
		c := events.Change{Key: key, Actor: t.who.actor, Origin: t.who.origin, TraceParent: t.who.trace,
			IfMatch: t.cond.stamp, IfAbsent: t.cond.absent}
		now, _ := s.cfg.Replica.Entry(key)
		stored, err := service.DecodeOverlay(shownOverlay(&now))
		if err != nil {
			stored = service.Overlay{} // it has no effect: what is sent replaces it
		}
		both := apart(o, stored, t.who)
		if c.Value, err = both.Canonical(); err != nil {
			return Receipt{}, nil, err
		}
		c.Delete = c.Value == nil
		unconditional := t.cond == (condition{})
		if unconditional && (t.who.watches() || !stored.Tasks.IsZero()) && string(c.Value) != string(now.Value) {
			c.IfMatch, c.IfAbsent = stampOf(now), !now.Live()
		}
		receipt, err := s.write(r.Context(), t.wait, c)
		if !unconditional || attempt == attempts || !errors.Is(err, events.ErrPrecondition) {
			return receipt, c.Value, err
		}
	}
}

// stampOf is the stamp of a live entry.
func stampOf(e crdt.Entry) string {
	if !e.Live() {
		return ""
	}
	return e.Stamp.String()
}

// definitionOf is the service called name, of the state or of this replica's environment. An
// overlay needs one to be over.
func (s *Server) definitionOf(name string) (service.Service, error) {
	if err := service.CheckName(name); err != nil {
		return service.Service{}, err
	}
	if e, _ := s.cfg.Replica.Entry(service.Key(name)); e.Live() {
		svc, err := service.Decode(e.Value)
		if err != nil {
			return svc, newProblem(http.StatusConflict, fmt.Sprintf("the definition of service %s cannot be read: %v: replace it first", name, err))
		}
		return svc, nil
	}
	if svc, local := s.cfg.Local[name]; local {
		return svc, nil
	}
	return service.Service{}, newProblem(http.StatusNotFound, fmt.Sprintf("there is no service %q", name))
}

// forgetOverlay deletes the overlay over a service that is not there: it must not come back by
// surprise with a service of the same name.
func (s *Server) forgetOverlay(ctx context.Context, name string, who caller) error {
	key := service.OverlayKey(name)
	if e, _ := s.cfg.Replica.Entry(key); !e.Live() {
		return nil
	}
	_, err := s.publish(ctx, events.Change{Key: key, Delete: true, Actor: who.actor, Origin: who.origin, TraceParent: who.trace})
	return err
}
