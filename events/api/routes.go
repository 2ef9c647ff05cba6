package api

import (
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const dfpPrefix = "/v1/docker-flow-proxy"

// anyMethod is the key of an action that answers every method but HEAD and OPTIONS.
const anyMethod = ""

// action is what one method of a route does. It answers by itself or returns an error.
type action struct {
	need   need
	handle func(w http.ResponseWriter, r *http.Request, c caller) error
}

// endpoint is one path with its methods.
type endpoint struct {
	server  *Server
	path    string
	dfp     bool // errors in Docker Flow Proxy's form
	actions map[string]action
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(path string, dfp bool, actions map[string]action) {
		mux.Handle(path, &endpoint{server: s, path: path, dfp: dfp, actions: actions})
	}
	any := func(n need, h func(http.ResponseWriter, *http.Request, caller) error) map[string]action {
		return map[string]action{anyMethod: {n, h}}
	}
	get := func(n need, h func(http.ResponseWriter, *http.Request, caller) error) map[string]action {
		return map[string]action{http.MethodGet: {n, h}}
	}
	for path, actions := range map[string]map[string]action{
		dfpPrefix + "/reconfigure": any(changes, s.reconfigure),
		dfpPrefix + "/remove":      any(changes, s.removeDFP),
		dfpPrefix + "/reload":      any(changes, s.reload),
		dfpPrefix + "/config":      any(reads, s.config),
		dfpPrefix + "/cert": {
			http.MethodPut:    {changes, s.putCert},
			http.MethodDelete: {changes, s.deleteCert},
		},
		dfpPrefix + "/certs":                any(reads, s.listCerts),
		dfpPrefix + "/ping":                 any(open, s.ping),
		dfpPrefix + "/successfulinitreload": any(open, s.initReload),
		dfpPrefix + "/metrics":              any(open, s.statistics),
		"/v1/test":                          any(reads, s.test("Test v1")),
		"/v2/test":                          any(reads, s.test("Test v2")),
	} {
		add(path, true, actions)
		mux.HandleFunc(path+"/{$}", withoutSlash)
	}
	add("/v1/services", false, get(reads, s.listServices))
	add("/v1/services/{name}", false, map[string]action{
		http.MethodGet:    {reads, s.getService},
		http.MethodPut:    {changes, s.putService},
		http.MethodDelete: {changes, s.deleteService},
	})
	add("/v1/services/{name}/overlay", false, map[string]action{
		http.MethodGet:    {reads, s.getOverlay},
		http.MethodPut:    {changes, s.putOverlay},
		http.MethodDelete: {changes, s.deleteOverlay},
	})
	add("/v1/recover/{action}", false, map[string]action{http.MethodPost: {changes, s.recover}})
	add("/v1/events", false, get(reads, s.events))
	add("/v1/why", false, get(reads, s.why))
	add("/v1/replicas", false, get(reads, s.replicas))
	add("/healthz", false, get(open, s.healthz))
	add("/readyz", false, get(open, s.readyz))
	for path, source := range map[string]prometheus.Gatherer{"/metrics": s.cfg.Metrics, "/metrics/haproxy": s.cfg.HAProxyMetrics} {
		if source != nil {
			h := promhttp.HandlerFor(source, promhttp.HandlerOpts{})
			add(path, false, get(open, func(w http.ResponseWriter, r *http.Request, _ caller) error {
				h.ServeHTTP(w, r)
				return nil
			}))
		}
	}
	nothing := any(open, func(http.ResponseWriter, *http.Request, caller) error {
		return newProblem(http.StatusNotFound, "no such path")
	})
	add("/", false, nothing)
	add(dfpPrefix+"/", true, nothing)
	return s.guard(mux)
}

// withoutSlash redirects as Docker Flow Proxy's router does.
func withoutSlash(w http.ResponseWriter, r *http.Request) {
	u := *r.URL
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawPath = ""
	http.Redirect(w, r, u.RequestURI(), http.StatusMovedPermanently)
}

// ServeHTTP finds the action, asks for access and turns an error into the answer.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if sw, ok := w.(*recorder); ok {
		sw.route = e.path
	}
	act, ok := e.find(r.Method)
	if !ok {
		w.Header().Set("Allow", strings.Join(e.allowed(), ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		e.fail(w, newProblem(http.StatusMethodNotAllowed, "the method "+shorten(r.Method)+" is not allowed here"))
		return
	}
	actor, err := e.server.authorise(r, act.need)
	if err == nil {
		err = act.handle(w, r, newCaller(r, actor))
	}
	if err != nil {
		e.fail(w, problemOf(err))
	}
}

// find never gives HEAD to something that changes: what only looks must not act.
func (e *endpoint) find(method string) (action, bool) {
	if act, ok := e.actions[method]; ok {
		return act, true
	}
	switch method {
	case http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return action{}, false
	case http.MethodHead:
		act, ok := e.actions[http.MethodGet]
		if !ok {
			act, ok = e.actions[anyMethod]
		}
		return act, ok && act.need != changes
	}
	act, ok := e.actions[anyMethod]
	return act, ok
}

func (e *endpoint) allowed() []string {
	names := []string{http.MethodOptions}
	if act, ok := e.actions[anyMethod]; ok {
		names = append(names, http.MethodDelete, http.MethodGet, http.MethodPatch, http.MethodPost, http.MethodPut)
		if act.need != changes {
			names = append(names, http.MethodHead)
		}
	}
	for name := range e.actions {
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
		if name != anyMethod {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (e *endpoint) fail(w http.ResponseWriter, p *Problem) {
	if p.Status == http.StatusInternalServerError {
		e.server.log.Warn().Str("route", e.path).Str("reason", p.Detail).Msg("request failed")
	}
	if e.dfp {
		writeDFPProblem(w, p)
		return
	}
	p.write(w)
}

// guard is around every request: limits, panics, the log line and the metrics.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w, route: "other"}
		defer s.finish(rec, r, start)
		rec.Header().Set("X-Content-Type-Options", "nosniff")
		rec.Header().Set("Cache-Control", "no-store")
		if len(r.URL.RawQuery) > maxQuery {
			newProblem(http.StatusRequestURITooLong, "the query is longer than "+strconv.Itoa(maxQuery)+" bytes: send the definition as the body of PUT /v1/services/{name}").write(rec)
			return
		}
		r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
		next.ServeHTTP(rec, r)
	})
}

// finish logs without the query, which may hold passwords.
func (s *Server) finish(rec *recorder, r *http.Request, start time.Time) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(http.ErrAbortHandler)
		}
		s.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Str("route", rec.route).Msg("request panicked")
		if rec.status == 0 {
			newProblem(http.StatusInternalServerError, "an error in the program; its log has the details").write(rec)
		}
	}
	took := time.Since(start)
	s.metrics.observe(rec.route, rec.status, took)
	s.log.Debug().Str("method", shorten(r.Method)).Str("path", shorten(r.URL.Path)).Int("status", rec.status).Dur("took", took).Msg("request")
}

func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
