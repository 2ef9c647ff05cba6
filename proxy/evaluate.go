package proxy

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// Request is what the rules look at, as the proxy receives it.
type Request struct {
	// Port is the entry port, TLS whether the connection to it is encrypted.
	Port int
	TLS  bool
	// Method is empty for GET.
	Method string
	// Host is the Host header as it is sent, with its port; "" for none.
	Host string
	// Path and Query are as they are sent, percent-encoded; Query is without its "?".
	Path, Query string
	// Header holds all other headers, by canonical name.
	Header http.Header
}

// Kind is what sort of rule a Rule is.
type Kind string

// Kinds of rules.
const (
	KindRedirect   Kind = "redirectFromDomain" // the host redirects
	KindStatistics Kind = "statistics"         // HAProxy's page
	KindPrefix     Kind = "prefix"
	KindExact      Kind = "exactPath"
	KindSpecial    Kind = "special" // neither prefix nor exact path
	KindDefault    Kind = "defaultBackend"
	KindNone       Kind = "none" // nothing matches
)

// Rule is one rule that a request meets.
type Rule struct {
	Kind Kind
	// Service and Index name the destination, Backend its section in haproxy.cfg; a
	// redirect has no section.
	Service string
	Index   int
	Backend string
	// Class is wellKnown, other or root; "" for a redirect and the default backend.
	Class string
	// Host is the pattern that the host matches, "" for any. Path is the one that the path
	// matches, of a special in terms of its criterion.
	Host, Path string
	// Conditions are all that a special asks for, each in HAProxy's words.
	Conditions []string
	// Location is where a redirect leads to.
	Location string
	// Doubt says which condition cannot be judged here, and why; "" for none.
	Doubt string

	entry *entry // nil without a backend of a service
}

// Evaluation is what becomes of a request.
type Evaluation struct {
	// Rule decides, unless one of Doubts does. Its Kind is KindNone if nothing matches.
	Rule Rule
	// Doubts are rules in front of Rule with a condition that cannot be judged here; the
	// first of them that holds decides.
	Doubts []Rule
	// Shadowed are the rules behind Rule that match as well: each is what would decide if
	// all before it were gone. Those with a Doubt may match.
	Shadowed []Rule
}

// Evaluate tries every rule of the services: it is what the order of rules means, written
// without the maps that HAProxy looks them up in. The services are those that are
// rendered; where templates lead is not looked at.
func Evaluate(services []service.Service, r Request) Evaluation {
	pointers := make([]*service.Service, len(services))
	for i := range services {
		pointers[i] = &services[i]
	}
	e := Evaluation{Rule: Rule{Kind: KindNone}}
	list := meet(targets(pointers), &r).inOrder()
	decided := false
	for _, rule := range list {
		switch {
		case decided:
			e.Shadowed = append(e.Shadowed, rule)
		case rule.Doubt != "":
			e.Doubts = append(e.Doubts, rule)
		default:
			e.Rule, decided = rule, true
		}
	}
	return e
}

// contender is a rule that matches, or may, with its place in the total order.
type contender struct {
	Rule
	class class
	kind  hostKind
	place place
}

// met are the rules that a request meets.
type met struct {
	redirects        []Rule // in order
	routes, specials []contender
	fallback         *Rule
}

// meet tries every rule of the targets.
func meet(list []target, r *Request) *met {
	var m met
	for i := range list {
		t := &list[i]
		if !t.routable() {
			continue
		}
		if rule, ok := t.redirect(r); ok {
			m.redirects = append(m.redirects, rule)
		}
		entries := t.entries()
		for j := range entries {
			m.try(&entries[j], r)
		}
	}
	m.fallback = fallback(list)
	return &m
}

// routable reports whether the target's rules are those of the http frontend.
func (t *target) routable() bool {
	return (t.dst.ReqMode == service.HTTP || t.dst.ReqMode == "") && t.svc.TemplateFePath+t.svc.TemplateBePath == ""
}

func (m *met) try(e *entry, r *Request) {
	if e.mapped() {
		for _, rt := range e.routes() {
			if rt.matches(r) {
				m.routes = append(m.routes, rt.contender(e))
			}
		}
		return
	}
	for _, s := range e.specials() {
		if c, ok := s.contender(e, r); ok {
			m.specials = append(m.specials, c)
		}
	}
}

// inOrder merges the rules: a special precedes the prefix and exact-path rules from the
// first one on whose (class, order) is higher than its own.
func (m *met) inOrder() []Rule {
	slices.SortStableFunc(m.routes, func(a, b contender) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.kind, b.kind), cmp.Compare(len(b.Path), len(a.Path)), a.place.compare(b.place))
	})
	slices.SortStableFunc(m.specials, byRank)
	list := m.redirects
	routes, specials := m.routes, m.specials
	for len(routes)+len(specials) > 0 {
		if len(routes) == 0 || len(specials) > 0 && byRank(specials[0], routes[0]) < 0 {
			list, specials = append(list, specials[0].Rule), specials[1:]
		} else {
			list, routes = append(list, routes[0].Rule), routes[1:]
		}
	}
	if m.fallback != nil {
		list = append(list, *m.fallback)
	}
	return list
}

func byRank(a, b contender) int {
	return cmp.Or(cmp.Compare(a.class, b.class), a.place.compare(b.place))
}

// fallback is the default backend: of several the last, with services in the order
// well-known paths, others, root.
func fallback(list []target) *Rule {
	var best *entry
	last := acme
	for i := range list {
		t := &list[i]
		if !t.svc.IsDefaultBackend || !t.routable() {
			continue
		}
		entries := t.entries() // the plain one first
		if c := defaultClass(t.svc); len(entries) > 0 && (best == nil || c >= last) {
			best, last = &entries[0], c
		}
	}
	if best == nil {
		return nil
	}
	rule := best.rule(KindDefault)
	return &rule
}

// defaultClass is the class of a service as a whole: well-known if one of its paths is,
// else root if one is.
func defaultClass(s *service.Service) class {
	best := ordinary
	for i := range s.Destinations {
		t := target{svc: s, dst: &s.Destinations[i]}
		for _, path := range t.paths() {
			if c := classOf(path); c == acme || c == root && best == ordinary {
				best = c
			}
		}
	}
	return best
}

func (e *entry) rule(k Kind) Rule {
	return Rule{Kind: k, Service: e.svc.Name, Index: e.dst.Index, Backend: e.backend, entry: e}
}

// redirect is the rule for hosts that redirect to the target's first domain.
func (t *target) redirect(r *Request) (Rule, bool) {
	domains := t.dst.ServiceDomain
	host, ok := r.host()
	from := slices.IndexFunc(t.dst.RedirectFromDomain, func(name string) bool { return strings.ToLower(name) == host })
	if !ok || from < 0 || len(domains) == 0 || strings.HasPrefix(domains[0], "*") {
		return Rule{}, false
	}
	scheme := "http://"
	if r.TLS {
		scheme = "https://"
	}
	return Rule{
		Kind: KindRedirect, Service: t.svc.Name, Index: t.dst.Index, Host: t.dst.RedirectFromDomain[from],
		Location: scheme + domains[0] + r.uri(),
	}, true
}
