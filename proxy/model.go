package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// Model is a whole configuration, built in one pass and ready to be written. It is
// immutable once built.
type Model struct {
	options *Options
	view    *View

	routing     *routing
	wildLookups []wildLookup
	specials    [classes][]special
	ranks       []target
	moved       map[string]string // host -> host that it redirects to
	sni         map[string]map[string]string
	lists       map[string]*userList
	templates   []string // frontend parts from templates

	defaultBackend string
	tunnel         int // the longest tunnel timeout in seconds
	certificates   []Certificate
	certFiles      []File

	body     string // everything behind the generation
	refusals []*Refusal
	notes    []string
	problems []string // certificates that cannot be used
	tcpList  []int
}

// Build makes the model of the services; they are not changed. It is deterministic: equal
// arguments give equal files, whatever the order of services. A definition that cannot
// be rendered is left out and found in Refusals.
func Build(o *Options, services []service.Service, view View) *Model {
	m := &Model{
		options: o, view: &view, moved: map[string]string{},
		sni: map[string]map[string]string{}, lists: map[string]*userList{}, tunnel: o.Timeouts.Tunnel,
	}
	var usable []*service.Service
	for i := range services {
		if refusal := renderable(&services[i]); refusal != nil {
			m.refusals = append(m.refusals, refusal)
			continue
		}
		usable = append(usable, &services[i])
	}
	m.notes = slices.Clone(view.Problems)
	m.render(targets(usable))
	return m
}

// Refusals are the definitions that were left out.
func (m *Model) Refusals() []*Refusal { return m.refusals }

// Notes are accepted parameters that have no effect here, sorted, one line each.
func (m *Model) Notes() []string { return m.notes }

// TCPPorts are the ports that the model listens on besides Options.Binds, sorted.
func (m *Model) TCPPorts() []int { return m.tcpList }

func (m *Model) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

func (m *Model) refuse(s *service.Service, param, reason string) {
	m.refusals = append(m.refusals, &Refusal{Service: s.Name, Param: param, Reason: reason})
}

// render lays out all sections. Sections that only services fill come behind the shared
// ones, in the order of targets.
func (m *Model) render(list []target) {
	var backends, tcp text
	ports := m.tcpPorts(list)
	for i := range ports {
		m.tcpList = append(m.tcpList, ports[i].port)
		m.tcp(&tcp, &ports[i])
	}
	entries := m.plan(list)
	for i := range entries {
		m.backend(&backends, &entries[i])
	}
	m.templated(list, &backends)
	m.certify(list)
	for i := range list {
		m.tunnel = max(m.tunnel, list[i].dst.TimeoutTunnel)
	}
	var all text
	m.shared(&all)
	m.userlists(&all)
	m.frontend(&all)
	all.WriteString(tcp.String())
	all.WriteString(backends.String())
	m.body = all.String()
	slices.Sort(m.notes)
	m.notes = slices.Compact(m.notes)
}

// plan turns the http targets into rules and returns their entries.
func (m *Model) plan(list []target) []entry {
	var entries []entry
	var routes []route
	var specials []special
	for i := range list {
		t := &list[i]
		if t.dst.ReqMode != service.HTTP && t.dst.ReqMode != "" || t.svc.TemplateFePath+t.svc.TemplateBePath != "" {
			continue
		}
		own := t.entries()
		for j := range own {
			if t.mapped() {
				routes = append(routes, own[j].routes()...)
			} else {
				specials = append(specials, own[j].specials()...)
			}
		}
		m.move(t)
		entries = append(entries, own...)
	}
	m.ranks = list
	m.routing = compile(routes)
	m.wildLookups = m.routing.wildLookups()
	m.specials = sortSpecials(specials)
	m.defaultBackend = lastDefault(entries)
	return entries
}

// move notes the hosts that redirect to the target's first domain.
func (m *Model) move(t *target) {
	for _, from := range t.dst.RedirectFromDomain {
		from = strings.ToLower(from)
		if len(t.dst.ServiceDomain) == 0 || strings.HasPrefix(t.dst.ServiceDomain[0], "*") {
			m.note("service %s: redirectFromDomain needs a whole serviceDomain to redirect to", t.svc.Name)
			return
		}
		if _, taken := m.moved[from]; !taken {
			m.moved[from] = t.dst.ServiceDomain[0]
		}
	}
}

// lastDefault is the backend for requests that no rule matches: of several the last, with
// services in the order well-known paths, others, root.
func lastDefault(entries []entry) string {
	best, bestClass := "", class(-1)
	for i := range entries {
		e := &entries[i]
		if !e.svc.IsDefaultBackend || e.tls && e.dst.Port > 0 {
			continue
		}
		if c := serviceClass(e.svc); c >= bestClass {
			best, bestClass = e.backend, c
		}
	}
	return best
}

func serviceClass(s *service.Service) class {
	c := ordinary
	for i := range s.Destinations {
		t := target{svc: s, dst: &s.Destinations[i]}
		for _, path := range t.paths() {
			switch classOf(path) {
			case acme:
				return acme
			case root:
				c = root
			}
		}
	}
	return c
}

// rankLines map every backend to its place in the order, for the rules outside the maps.
func (m *Model) rankLines() []byte {
	var lines []string
	for i := range m.ranks {
		for _, e := range m.ranks[i].entries() {
			lines = append(lines, fmt.Sprintf("%s %d\n", e.backend, e.order))
		}
	}
	slices.SortFunc(lines, cmp.Compare)
	return []byte(strings.Join(lines, ""))
}
