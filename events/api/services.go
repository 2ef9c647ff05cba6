package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"sluice/crdt"
	"sluice/crdt/service"
	"sluice/events"
)

// Item is one live service.
type Item struct {
	Name string `json:"name"`
	// Stamp is the version; the ETag is the stamp in quotes.
	Stamp string `json:"stamp"`
	// Definition is the JSON definition without its secrets.
	Definition json.RawMessage `json:"definition"`
	// Overlay is what is in force over the service; absent: nothing. Only in lists.
	Overlay json.RawMessage `json:"overlay,omitempty"`
}

// itemList is the answer of GET /v1/services.
type itemList struct {
	Services []Item `json:"services"`
}

// Changed is the answer of PUT and DELETE /v1/services/{name}.
type Changed struct {
	Receipt Receipt `json:"receipt"`
	// Service is the definition as it was understood, without its secrets; null after a removal.
	Service json.RawMessage `json:"service"`
}

func (s *Server) listServices(w http.ResponseWriter, r *http.Request, _ caller) error {
	if err := refuseAt(r); err != nil {
		return err
	}
	out, overlays := itemList{Services: []Item{}}, s.overlays()
	for _, e := range s.cfg.Replica.Entries(service.Key("")) {
		if item, ok := itemOf(e); ok {
			item.Overlay = overlays[item.Name]
			out.Services = append(out.Services, item)
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

func itemOf(e crdt.Entry) (Item, bool) {
	name, ok := service.Name(e.Key)
	if !ok || !e.Live() {
		return Item{}, false
	}
	return Item{Name: name, Stamp: e.Stamp.String(), Definition: redact(e.Value)}, true
}

func (s *Server) getService(w http.ResponseWriter, r *http.Request, _ caller) error {
	if err := refuseAt(r); err != nil {
		return err
	}
	name := r.PathValue("name")
	e, _ := s.cfg.Replica.Entry(service.Key(name))
	item, ok := itemOf(e)
	if !ok {
		return newProblem(http.StatusNotFound, fmt.Sprintf("there is no service %q", shorten(name)))
	}
	etag := `"` + item.Stamp + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, http.StatusOK, item.Definition)
}

// refuseAt: an answer about now to a question about then would be wrong.
func refuseAt(r *http.Request) error {
	if r.URL.Query().Has("at") {
		return badParam("at", "is not available", "leave it out to see the present state; GET /v1/events has the past")
	}
	return nil
}

func (s *Server) putService(w http.ResponseWriter, r *http.Request, c caller) error {
	t, err := nativeTerms(r, c)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := service.CheckName(name); err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	req, err := s.definition(r, c, body)
	if err != nil {
		return err
	}
	if s.foreign(req) {
		return badParam("proxyInstanceName", "is that of another proxy instance", "send it to that instance, or name this one: "+s.cfg.Instance)
	}
	if req.Remove {
		return s.answerRemoval(w, r, name, t)
	}
	if req.Service.Source, err = sourceOf(r, c); err != nil {
		return err
	}
	receipt, err := s.put(r.Context(), &req.Service, t)
	if err != nil {
		return err
	}
	// Canonical succeeded in put: this cannot fail, and what was understood is what is shown.
	value, err := req.Service.Canonical()
	if err != nil {
		return err
	}
	setETag(w, receipt)
	return writeJSON(w, receipt.status(), Changed{Receipt: receipt, Service: redact(value)})
}

// definition reads a JSON definition, or Docker Flow Proxy's parameters as a form. What begins
// with a brace is no form, although curl -d calls everything one.
func (s *Server) definition(r *http.Request, c caller, body []byte) (service.Request, error) {
	name := r.PathValue("name")
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		q, err := url.ParseQuery(string(body))
		if err != nil {
			return service.Request{}, badParam("body", err.Error(), "percent-encode the values (; is %3B, % is %25)")
		}
		q.Set("serviceName", name)
		if !c.watches() { // labels may be anybody's
			if err := service.CheckNames(q); err != nil {
				return service.Request{}, err
			}
		}
		return s.parse(q)
	}
	current, _ := s.cfg.Replica.Entry(service.Key(name))
	body, err := keepSecrets(body, current)
	if err != nil {
		return service.Request{}, err
	}
	svc, err := service.ParseBody(body)
	if err != nil {
		return service.Request{}, asBadBody(err)
	}
	if svc.Name == "" {
		svc.Name = name
	}
	if svc.Name != name {
		return service.Request{}, badParam("serviceName", "is not the name in the path", "leave it out or make them equal")
	}
	return service.Request{Service: svc, Remove: svc.Replicas != nil && *svc.Replicas == 0, ProxyInstanceName: svc.ProxyInstanceName}, nil
}

// asBadBody makes an unreadable body the caller's fault.
func asBadBody(err error) error {
	var fields service.Errors
	if errors.As(err, &fields) || errors.Is(err, service.ErrIncomplete) {
		return err
	}
	return badParam("body", err.Error(), "send a JSON definition as GET /v1/services/{name} shows it")
}

func (s *Server) deleteService(w http.ResponseWriter, r *http.Request, c caller) error {
	t, err := nativeTerms(r, c)
	if err != nil {
		return err
	}
	return s.answerRemoval(w, r, r.PathValue("name"), t)
}

func (s *Server) answerRemoval(w http.ResponseWriter, r *http.Request, name string, t terms) error {
	receipt, err := s.remove(r.Context(), name, t)
	if err != nil {
		return err
	}
	return writeJSON(w, receipt.status(), Changed{Receipt: receipt})
}

// nativeTerms reads what goes with a change; it does not wait unless asked to.
func nativeTerms(r *http.Request, c caller) (terms, error) {
	t := terms{who: c}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return t, badParam("query", err.Error(), "percent-encode the values")
	}
	if t.wait, err = parseWaiting(q, events.WaitNone); err != nil {
		return t, err
	}
	t.cond, err = parseCondition(r.Header)
	return t, err
}

// parseCondition takes one strong ETag or "*" (RFC 9110, section 13.1), since a service
// has one version.
func parseCondition(h http.Header) (condition, error) {
	var cond condition
	switch none := h.Get("If-None-Match"); none {
	case "":
	case "*":
		cond.absent = true
	default:
		return cond, badParam("If-None-Match", "is not supported with a change", `use "*" to create only`)
	}
	match := h.Get("If-Match")
	if match == "" || match == "*" {
		cond.stamp = match
		return cond, nil
	}
	stamp, err := crdt.ParseStamp(strings.Trim(match, `"`))
	if err != nil || match != `"`+stamp.String()+`"` {
		return cond, badParam("If-Match", "is not an ETag of this API", `use the ETag of GET /v1/services/{name} with its quotes, or *`)
	}
	cond.stamp = stamp.String()
	return cond, nil
}

func setETag(w http.ResponseWriter, r Receipt) {
	if r.Stamp != "" {
		w.Header().Set("ETag", `"`+r.Stamp+`"`)
	}
}

// readBody is bounded by the guard around every request.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, err
	}
	if err != nil {
		return nil, badParam("body", "cannot be read to its end", "send it again")
	}
	return body, nil
}
