package proxy

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// serving are the versions that HAProxy serves, sorted by name. For the loop's goroutine.
func (c *Controller) serving() []candidate {
	list := make([]candidate, 0, len(c.current))
	for _, name := range sortedKeys(c.current) {
		if good, live := c.good[name]; live {
			list = append(list, good)
		}
	}
	return list
}

// Answer tells what becomes of a request on what HAProxy serves now.
type Answer struct {
	// Request is what was asked, completed.
	Request Request
	Evaluation
	// Outcome is what the proxy answers by itself if Rule decides.
	Outcome
	// ErrorFile is the page of such an answer; empty: HAProxy's own.
	ErrorFile string
	// Version and Value are those of the deciding rule's service, as they serve.
	Version string
	Value   []byte
	// Notes are what else may decide, and is not looked at; one line each.
	Notes []string
}

// Why tells what becomes of a request. Its Port may be 0: then it enters at the first
// port for its scheme. ErrNotReady before the first load. Safe for concurrent use.
func (c *Controller) Why(ctx context.Context, r Request) (Answer, error) {
	var list []candidate
	var pages map[int]string
	var notes map[string][]string
	err := c.ask(ctx, request{run: func(context.Context) error {
		list, pages, notes = c.serving(), c.model.view.Errorfiles, c.model.remarks()
		return nil
	}})
	if err != nil {
		return Answer{}, err
	}
	services := servicesOf(list)
	a := Answer{Notes: c.options.enter(&r, services)}
	a.Request, a.Evaluation = r, Evaluate(services, r)
	c.options.statisticsFirst(&a)
	a.Outcome = a.outcome(c.options)
	if a.Status >= http.StatusBadRequest {
		a.ErrorFile = pages[a.Status]
	}
	for i := range list {
		if list[i].name == a.Rule.Service {
			a.Version, a.Value = list[i].version, list[i].value
		}
	}
	if a.Rule.entry != nil {
		a.Notes = append(a.Notes, a.Rule.entry.reservations(&r, c.options)...)
	}
	a.Notes = append(a.Notes, notes[a.Rule.Service]...)
	a.Notes = append(a.Notes, c.options.foreignRules(services)...)
	return a, nil
}

// outcome is what the rule that decides makes of the request.
func (a *Answer) outcome(o *Options) Outcome {
	switch {
	case a.Rule.Kind == KindNone:
		return Outcome{Status: http.StatusServiceUnavailable, Reason: "no rule matches"}
	case a.Rule.Kind == KindRedirect:
		return Outcome{Status: http.StatusMovedPermanently, Location: a.Rule.Location, Reason: string(KindRedirect)}
	case a.Rule.entry != nil:
		return a.Rule.entry.outcome(&a.Request, o)
	}
	return Outcome{}
}

// statisticsFirst lets the statistics page take what is its own: it comes before all
// rules but the redirects.
func (o *Options) statisticsFirst(a *Answer) {
	decided := a.Rule.Kind == KindRedirect
	if decided || !o.Stats.Enabled() || o.OwnStatsPort() != 0 || !strings.HasPrefix(a.Request.uri(), o.Stats.URI) {
		return
	}
	if a.Rule.Kind != KindNone {
		a.Shadowed = slices.Concat(a.Doubts, []Rule{a.Rule}, a.Shadowed)
	}
	a.Doubts = nil
	a.Rule = Rule{Kind: KindStatistics, Backend: statsSection, Path: o.Stats.URI}
}

// enter settles entry port and TLS; the notes say where the proxy would not take the
// request in as it was asked.
func (o *Options) enter(r *Request, services []service.Service) (notes []string) {
	if r.Port == 0 {
		if r.Port = o.portFor(r.TLS); r.Port == 0 {
			r.Port = defaultPort(r.TLS)
			notes = append(notes, fmt.Sprintf("the proxy has no port for %s: %s", scheme(r.TLS), o.entryPorts()))
		}
		return notes
	}
	for i := range services {
		for j := range services[i].Destinations {
			if d := &services[i].Destinations[j]; d.SrcPort == r.Port && (d.ReqMode == service.TCP || d.ReqMode == service.SNI) {
				return append(notes, fmt.Sprintf("port %d belongs to service %s (reqMode %s), whose connections are not read as HTTP", r.Port, services[i].Name, d.ReqMode))
			}
		}
	}
	i := slices.IndexFunc(o.Binds, func(b Bind) bool { return b.Port == r.Port })
	switch {
	case i < 0:
		notes = append(notes, fmt.Sprintf("the proxy does not listen on port %d: %s; leave the port out if it is one outside the container", r.Port, o.entryPorts()))
	case o.Binds[i].TLS != r.TLS:
		r.TLS = o.Binds[i].TLS
		notes = append(notes, fmt.Sprintf("port %d speaks %s", r.Port, scheme(r.TLS)))
	}
	return notes
}

// portFor is the scheme's own port if the proxy listens there, else the first one that
// speaks the scheme; 0 for none.
func (o *Options) portFor(tls bool) int {
	first := 0
	for _, b := range o.Binds {
		switch {
		case b.TLS != tls:
		case b.Port == defaultPort(tls):
			return b.Port
		case first == 0:
			first = b.Port
		}
	}
	return first
}

func (o *Options) entryPorts() string {
	var ports []string
	for _, b := range o.Binds {
		ports = append(ports, strconv.Itoa(b.Port)+" ("+scheme(b.TLS)+")")
	}
	return "it listens on " + strings.Join(ports, ", ")
}

func scheme(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

func defaultPort(tls bool) int {
	if tls {
		return tlsEntry
	}
	return plainEntry
}

// foreignRules names what stands in the frontend before the rules and is not read.
func (o *Options) foreignRules(services []service.Service) []string {
	var notes []string
	for i := range services {
		if s := &services[i]; s.TemplateFePath+s.TemplateBePath != "" {
			notes = append(notes, fmt.Sprintf("service %s has templates of its own: where they lead is not looked at", s.Name))
		}
	}
	if len(o.ExtraFrontend) > 0 {
		notes = append(notes, "EXTRA_FRONTEND: its lines come first and may decide otherwise; they are not looked at")
	}
	return notes
}
