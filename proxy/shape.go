package proxy

import (
	"maps"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// shape is what only all services together give: everything around the backends of the
// http frontend. It is immutable once made.
type shape struct {
	options *Options
	view    *View
	// ports are the entry ports that keys of the routing begin with, wildLookups how the
	// narrowest wildcard of a host is found, used what has to be looked up.
	ports       []int
	wildLookups []wildLookup
	anyWild     bool
	used        map[lookup]bool

	specials [classes][]special
	// ranks are the places of all specials, sorted.
	ranks []place
	// sections are those of tcp ports, templates the frontend parts and raw the backend
	// parts of services with templates.
	sections       []section
	templates, raw []string
	tcp            text // the frontends of tcp ports
	tcpPorts       []int
	listeners      []target // those of tcp ports

	moved          map[string]string // host -> host that it redirects to
	sni            map[string]map[string]string
	lists          map[string]*userList
	defaultBackend string
	tunnel         int // the longest tunnel timeout in seconds

	certificates []Certificate
	certFiles    []File

	refusals []*Refusal
	notes    []string
	problems []string // certificates that cannot be used
}

func newShape(m *Model) *shape {
	s := &shape{
		options: m.options, view: m.view, ports: m.routing.sortedPorts(), used: m.routing.used(),
		wildLookups: wildLookups(m.routing.wild), anyWild: m.routing.wild["*"] > 0,
		moved: map[string]string{}, sni: map[string]map[string]string{}, lists: map[string]*userList{}, tunnel: m.options.Timeouts.Tunnel,
	}
	if len(m.options.Users) > 0 {
		s.lists[globalUsers] = globalList(m.options)
	}
	if list := m.options.statisticsList(); list != nil {
		s.lists[statsUsers] = list
	}
	parts := m.ordered()
	var list []target
	for _, p := range parts {
		list = append(list, p.targets...)
		maps.Copy(s.lists, p.lists)
		s.rank(p.specials)
	}
	s.settle(list)
	s.defaultBackend = lastDefault(parts)
	s.listen(list)
	s.templated(list)
	s.certify(parts)
	return s
}

// rank takes the rules in that no map expresses.
func (s *shape) rank(list []special) {
	for i := range list {
		s.specials[list[i].class] = append(s.specials[list[i].class], list[i])
		s.ranks = append(s.ranks, list[i].place)
	}
}

// settle orders what came in any order and notes what single targets ask for.
func (s *shape) settle(list []target) {
	slices.SortFunc(s.ranks, place.compare)
	s.ranks = slices.Compact(s.ranks)
	for _, rules := range s.specials {
		slices.SortStableFunc(rules, func(a, b special) int { return a.place.compare(b.place) })
	}
	for i := range list {
		s.tunnel = max(s.tunnel, list[i].dst.TimeoutTunnel)
		if list[i].http() {
			s.move(&list[i])
		}
	}
}

// rankOf is the number of rules outside the maps that precede a place or stand in it.
func (s *shape) rankOf(p place) int {
	i, found := slices.BinarySearchFunc(s.ranks, p, place.compare)
	if found {
		i++
	}
	return i
}

// move notes the hosts that redirect to the target's first domain.
func (s *shape) move(t *target) {
	for _, from := range t.dst.RedirectFromDomain {
		from = strings.ToLower(from)
		if len(t.dst.ServiceDomain) == 0 || strings.HasPrefix(t.dst.ServiceDomain[0], "*") {
			s.note("service %s: redirectFromDomain needs a whole serviceDomain to redirect to", t.svc.Name)
			return
		}
		if _, taken := s.moved[from]; !taken {
			s.moved[from] = t.dst.ServiceDomain[0]
		}
	}
}

// lastDefault is the backend for requests that no rule matches: of several the last, with
// services in the order well-known paths, others, root.
func lastDefault(parts []*part) string {
	best, bestClass := "", class(-1)
	for _, p := range parts {
		if !p.svc.IsDefaultBackend {
			continue
		}
		for i := range p.targets {
			if c := serviceClass(p.svc); c >= bestClass && p.targets[i].http() {
				if name, ok := p.targets[i].defaultName(); ok {
					best, bestClass = name, c
				}
			}
		}
	}
	return best
}

// defaultName is the backend of a target that may take what nobody else does.
func (t *target) defaultName() (string, bool) {
	for _, e := range t.entries() {
		if !e.tls || t.dst.Port == 0 {
			return e.backend, true
		}
	}
	return "", false
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

// structure is the text around the sections, with the lookups that are to be made.
func (s *shape) structure(made map[lookup]bool) (before, behind string) {
	var t text
	s.shared(&t)
	s.userlists(&t)
	s.frontend(&t, made)
	t.WriteString(s.tcp.String())
	var raw text
	for _, r := range s.raw {
		raw.WriteString("\n" + r)
	}
	return t.String(), raw.String()
}

// smallMaps are the lines of all maps that are neither rules nor their places, by file.
func (s *shape) smallMaps() map[string]map[string]string {
	files := map[string]map[string]string{}
	maps.Copy(files, s.sni)
	for i := range s.wildLookups {
		files[s.wildLookups[i].file()] = s.wildLookups[i].lines()
	}
	if len(s.ports) > 0 {
		files[entryFile] = portLines(s.ports)
	}
	if len(s.moved) > 0 {
		files[movedFile] = s.moved
	}
	maps.Copy(files, s.credentials())
	return files
}
