package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/crdt/service"
	"sluice/events"
)

// dfp gives Docker Flow Proxy's statuses, which its old listener understands.
func (p *Problem) dfp() int {
	switch {
	case p.dfpStatus != 0:
		return p.dfpStatus
	case p.Status == http.StatusGatewayTimeout, p.Status == http.StatusPreconditionFailed:
		return http.StatusInternalServerError
	}
	return p.Status
}

func writeDFPProblem(w http.ResponseWriter, p *Problem) {
	p.headers(w)
	// The client may be gone; there is nobody left to tell.
	_ = writeJSON(w, p.dfp(), dfpStatus{Status: "NOK", Message: p.Error()})
}

// parameters are those of the query; a form body adds what the query does not give.
func parameters(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badParam("query", err.Error(), "percent-encode the values (; is %3B, % is %25)")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" || r.Method == http.MethodGet {
		return q, nil
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badParam("body", err.Error(), "percent-encode the values (; is %3B, % is %25)")
	}
	for name, values := range form {
		if !q.Has(name) {
			q[name] = values
		}
	}
	return q, nil
}

// dfpWaiting: these routes wait for this replica, with distribute=true for all.
func dfpWaiting(q url.Values, distribute bool) (waiting, error) {
	if distribute {
		return parseWaiting(q, events.WaitAll)
	}
	return parseWaiting(q, events.WaitLocal)
}

func (s *Server) reconfigure(w http.ResponseWriter, r *http.Request, c caller) error {
	q, err := parameters(r)
	if err != nil {
		return err
	}
	req, err := s.parse(q)
	if err != nil {
		return err
	}
	wait, err := dfpWaiting(q, req.Distribute)
	if err != nil {
		return err
	}
	svc := &req.Service
	answer := newDFPResponse(svc)
	answer.Distribute = req.Distribute
	if s.foreign(req) {
		answer.Message = fmt.Sprintf("not configured: the service belongs to proxy instance %q, this is %q", req.ProxyInstanceName, s.cfg.Instance)
		return writeJSON(w, http.StatusOK, answer)
	}
	var receipt Receipt
	if req.Remove {
		receipt, err = s.remove(r.Context(), svc.Name, terms{who: c, wait: wait})
	} else {
		receipt, err = s.put(r.Context(), svc, terms{who: c, wait: wait})
	}
	if err != nil {
		return err
	}
	if req.Distribute {
		answer.Message = receipt.distributed()
	}
	return writeJSON(w, http.StatusOK, answer)
}

// foreign applies FILTER_PROXY_INSTANCE_NAME.
func (s *Server) foreign(req service.Request) bool {
	return s.cfg.FilterInstance && !strings.EqualFold(req.ProxyInstanceName, s.cfg.Instance)
}

// distributed keeps Docker Flow Proxy's text where it is proven.
func (r Receipt) distributed() string {
	switch {
	case r.Live == string(events.WaitAll):
		return "Distributed to all instances"
	case r.Outcome == OutcomeUnchanged && r.unlogged():
		return "Nothing to change as far as this instance knows; the log and the other instances were not asked"
	case r.unlogged():
		return "Accepted without the log; all instances that can be reached are told, the others get it later"
	}
	return "Accepted for all instances"
}

func (s *Server) removeDFP(w http.ResponseWriter, r *http.Request, c caller) error {
	q, err := parameters(r)
	if err != nil {
		return err
	}
	name := q.Get("serviceName")
	if name == "" {
		return badParam("serviceName", "is missing", "name the service to remove")
	}
	if acl := q.Get("aclName"); acl != "" && service.CheckName(acl) != nil {
		return badParam("aclName", "is not a name", "leave it out, serviceName is enough")
	}
	distribute, err := boolean(q, "distribute")
	if err != nil {
		return err
	}
	wait, err := dfpWaiting(q, distribute)
	if err != nil {
		return err
	}
	receipt, err := s.remove(r.Context(), name, terms{who: c, wait: wait})
	if err != nil {
		return err
	}
	answer := newDFPResponse(&service.Service{Name: name})
	answer.AclName, answer.Distribute = q.Get("aclName"), distribute
	if distribute {
		answer.Message = receipt.distributed()
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request, _ caller) error {
	q, err := parameters(r)
	if err != nil {
		return err
	}
	fromListener, err := boolean(q, "fromListener")
	if err != nil {
		return err
	}
	recreate, err := boolean(q, "recreate")
	if err != nil {
		return err
	}
	if fromListener {
		err = s.notifyListener(r)
	} else {
		err = s.cfg.Proxy.Reload(r.Context(), recreate)
	}
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	return writeJSON(w, http.StatusOK, dfpStatus{Status: "OK"})
}

func (s *Server) notifyListener(r *http.Request) error {
	if s.cfg.Listener == nil {
		return errors.New("no listener is configured: set LISTENER_ADDRESS")
	}
	return s.cfg.Listener.Notify(r.Context())
}

func (s *Server) config(w http.ResponseWriter, r *http.Request, _ caller) error {
	q, err := parameters(r)
	if err != nil {
		return err
	}
	switch kind := strings.ToLower(q.Get("type")); kind {
	case "json":
		return s.configJSON(w)
	case "", "text":
	default:
		return badParam("type", "is not a form of the configuration", "use type=json, or leave it out for HAProxy's own")
	}
	text, err := s.cfg.Proxy.Config(r.Context())
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// configJSON leaves out what this program cannot read: an entry of a newer version.
func (s *Server) configJSON(w http.ResponseWriter) error {
	all := map[string]service.DockerFlow{}
	for name, svc := range s.cfg.Local {
		all[name] = service.NewDockerFlow(&svc)
	}
	for _, e := range s.cfg.Replica.Entries(service.Key("")) {
		if !e.Live() {
			continue
		}
		svc, err := service.Decode(e.Value)
		if err != nil {
			s.log.Warn().Err(err).Str("key", e.Key).Msg("definition is unreadable")
			continue
		}
		all[svc.Name] = service.NewDockerFlow(&svc)
	}
	return writeJSON(w, http.StatusOK, all)
}

func (s *Server) ping(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return writeJSON(w, http.StatusOK, dfpStatus{Status: "OK"})
}

func (s *Server) initReload(w http.ResponseWriter, _ *http.Request, _ caller) error {
	if why := s.unready(); why != "" {
		return newProblem(http.StatusServiceUnavailable, why)
	}
	return writeJSON(w, http.StatusOK, dfpStatus{Status: "OK"})
}

func (s *Server) test(message string) func(http.ResponseWriter, *http.Request, caller) error {
	return func(w http.ResponseWriter, _ *http.Request, _ caller) error {
		return writeJSON(w, http.StatusOK, dfpStatus{Status: "OK", Message: message})
	}
}

// boolean refuses what Docker Flow Proxy takes for false: a mistyped distribute would be
// answered as if every replica had been asked.
func boolean(q url.Values, name string) (bool, error) {
	text := strings.TrimSpace(q.Get(name))
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, badParam(name, "is neither true nor false", "use true or false")
	}
	return b, nil
}
