package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"sluice/crdt/service"
	"sluice/events"
)

// Outcomes of a change, in answers.
const (
	OutcomeDurable   = "durable"   // in the log
	OutcomeAccepted  = "accepted"  // taken without the log, which gets it later
	OutcomeUnchanged = "unchanged" // the state was already as asked
	OutcomeUnknown   = "unknown"   // sent to the log, which gave no answer
)

// Problem is an error answer: RFC 9457 problem JSON on native routes. The client returns
// it as error.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Errors lists what is wrong with the input, all of it.
	Errors []ParamProblem `json:"errors,omitempty"`
	// Outcome, for a change that was sent: durable (but not live everywhere in time) or
	// unknown; empty: certainly not applied.
	Outcome string `json:"outcome,omitempty"`
	// EventID is the event to ask for when Outcome is unknown.
	EventID string `json:"eventId,omitempty"`
	// Receipt is set when the change is durable.
	Receipt *Receipt `json:"receipt,omitempty"`
	// Missing names the replicas where a durable change is not live yet.
	Missing []string `json:"missing,omitempty"`
	// Quarantined tells, by replica name, why a durable change is not served there.
	Quarantined map[string]events.Quarantined `json:"quarantined,omitempty"`

	foreign    bool // somebody else answered, such as a proxy before the API
	retryAfter int  // seconds; 0: no such header
	dfpStatus  int  // overrides the status on Docker Flow Proxy's routes
}

// ParamProblem is one thing that is wrong with the input.
type ParamProblem struct {
	Param   string `json:"param"`
	Problem string `json:"problem"`
	Remedy  string `json:"remedy,omitempty"`
}

// Error is one line.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

func newProblem(status int, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

func badParam(param, problem, remedy string) *Problem {
	p := newProblem(http.StatusBadRequest, fmt.Sprintf("%s: %s: %s", param, problem, remedy))
	p.Errors = []ParamProblem{{Param: param, Problem: problem, Remedy: remedy}}
	return p
}

// cause maps an error that callers decide by to its status.
type cause struct {
	err        error
	status     int
	retryAfter int
}

func causes() []cause {
	return []cause{
		{events.ErrPrecondition, http.StatusPreconditionFailed, 0},
		{events.ErrConflict, http.StatusPreconditionFailed, 0},
		{events.ErrUnknownOutcome, http.StatusServiceUnavailable, 5}, // write answers 504 when it has sent the event
		{events.ErrNotReady, http.StatusServiceUnavailable, 2},
		{events.ErrUnavailable, http.StatusServiceUnavailable, 5},
		{events.ErrNoLog, http.StatusServiceUnavailable, 5},
		{events.ErrRefused, http.StatusServiceUnavailable, 30},
		{events.ErrClock, http.StatusServiceUnavailable, 30},
		{events.ErrRejected, http.StatusServiceUnavailable, 5},
	}
}

// problemOf is the one place where an error becomes an answer.
func problemOf(err error) *Problem {
	var known *Problem
	var denied *denial
	var tooLarge *http.MaxBytesError
	var fields service.Errors
	var refused refusal
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &denied):
		return newProblem(denied.status, denied.detail)
	case errors.As(err, &tooLarge):
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit))
	case errors.Is(err, service.ErrIncomplete):
		return withFields(newProblem(http.StatusConflict, err.Error()), err)
	case errors.As(err, &fields) && fields.Taken():
		return withFields(newProblem(http.StatusConflict, err.Error()), err)
	case errors.As(err, &fields):
		return withFields(newProblem(http.StatusBadRequest, err.Error()), err)
	case errors.As(err, &refused):
		param, reason := refused.Refused()
		if param == "" {
			param = "definition"
		}
		return badParam(param, reason, "correct it and send it again; nothing was changed")
	case errors.Is(err, service.ErrTooLarge), errors.Is(err, events.ErrEvent):
		return badParam("body", err.Error(), "split the service or shorten its lists")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p := newProblem(http.StatusServiceUnavailable, "nothing was changed, it took too long: "+err.Error())
		p.retryAfter = 5
		return p
	}
	for _, c := range causes() {
		if errors.Is(err, c.err) {
			p := newProblem(c.status, err.Error())
			p.retryAfter = c.retryAfter
			return p
		}
	}
	return newProblem(http.StatusInternalServerError, err.Error())
}

func withFields(p *Problem, err error) *Problem {
	var fields service.Errors
	if !errors.As(err, &fields) {
		return p
	}
	for _, f := range fields {
		p.Errors = append(p.Errors, ParamProblem{Param: f.Param, Problem: f.Problem, Remedy: f.Remedy})
	}
	return p
}

// notLive is the answer for a durable change that is not live where the caller asked.
func notLive(r Receipt, scope events.Scope, res events.WaitResult) *Problem {
	p := newProblem(http.StatusGatewayTimeout, "")
	p.Outcome, p.Receipt, p.Missing, p.Quarantined = OutcomeDurable, &r, res.Missing, res.Quarantined
	var parts []string
	names := make([]string, 0, len(res.Quarantined))
	for name := range res.Quarantined {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		q := res.Quarantined[name]
		serving := "no version of it is served there"
		if q.Serving != "" {
			serving = "version " + q.Serving + " is served instead"
		}
		parts = append(parts, fmt.Sprintf("%s does not serve it: %s; %s", name, q.Reason, serving))
	}
	if len(res.Missing) > 0 {
		parts = append(parts, "not live in time on "+strings.Join(missing(res), ", "))
	}
	if len(parts) == 0 {
		parts = append(parts, "not live in time ("+string(scope)+")")
	}
	p.Detail = "the change is durable at sequence " + strconv.FormatUint(r.Seq, 10) + ", but " + strings.Join(parts, "; ")
	return p
}

// missing are the names of the replicas that are behind, with what ails them.
func missing(res events.WaitResult) []string {
	list := make([]string, len(res.Missing))
	for i, name := range res.Missing {
		list[i] = name
		if why := res.Problems[name]; why != "" {
			list[i] += " (" + why + ")"
		}
	}
	return list
}

// write sends the problem as problem JSON.
func (p *Problem) write(w http.ResponseWriter) {
	p.headers(w)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	// The client may be gone; there is nobody left to tell.
	_ = encode(w, p)
}

func (p *Problem) headers(w http.ResponseWriter) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Add("WWW-Authenticate", `Bearer realm="sluice"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="sluice", charset="UTF-8"`)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return encode(w, v)
}

// encode keeps < > & readable: no answer is ever embedded in HTML.
func encode(w interface{ Write([]byte) (int, error) }, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
