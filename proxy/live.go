package proxy

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// live mirrors what the worker of the newest load holds: what was loaded, and every change
// since then that it has confirmed.
type live struct {
	can Capabilities
	// before and behind are the loaded text around the sections, made the lookups in it.
	before, behind string
	made           map[lookup]bool
	ports          []int
	wild           map[string]int
	plain          section

	// backends are all sections by the name that HAProxy knows them by.
	backends map[string]*backend
	// bound maps a section in use to that name, owned a service to its sections' names at rest.
	bound map[tenant]string
	owned map[string][]string
	// lent are the backends of the pool in use, with the name at rest of their section.
	lent *names
	// free are the backends of the pool that nobody has, size is how many there were.
	free []string
	size int
	// drifted: what is held has another form than the files at rest.
	drifted bool
	// leaving are servers in maintenance that still have connections.
	leaving []leaver
	// deserted are backends that were added and will be deleted as soon as they can be.
	deserted []string
	// amiss sets right the servers that were found with another state or weight.
	amiss []command
	maps  map[string]map[string]string
	// certs are in the order of HAProxy's list, readFile reads local ones.
	certs    []presentedCert
	readFile func(path string) ([]byte, error)
}

// tenant is a section at rest: a name can pass from one service to another one.
type tenant struct{ service, section string }

// backend is a section as HAProxy has it.
type backend struct {
	section
	has map[string]server // the section's own servers field is not kept up to date
	// added: it is not of the configuration, or is one of the pool.
	added bool
	// closed: it was added, nobody has it any more, and it takes no requests; demolished: it is
	// being deleted as well.
	closed, demolished bool
}

// leaver is a server that will be deleted as soon as it can be. Its backend is free then,
// if it is one of the pool and nobody's.
type leaver struct {
	backend string
	server  server
}

func (o leaver) String() string { return o.backend + "/" + o.server.name }

// newLive is what a worker holds that has just loaded the model.
func newLive(m *Model, can Capabilities, lent *names) *live {
	lent.clear()
	sh := m.shape()
	l := &live{
		can: can, made: sh.used, ports: sh.ports, wild: maps.Clone(m.routing.wild), plain: m.plain,
		backends: map[string]*backend{}, bound: map[tenant]string{}, owned: map[string][]string{}, lent: lent,
		maps: sh.smallMaps(), size: m.pool, certs: presents(sh), readFile: os.ReadFile,
	}
	l.before, l.behind = sh.structure(sh.used)
	for name, lines := range l.maps {
		l.maps[name] = maps.Clone(lines)
	}
	for look := range sh.used {
		lines := make(map[string]string, len(m.routing.lines[look]))
		for key := range m.routing.lines[look] {
			if rt := m.routing.winner(mapKey{look, key}); rt != nil {
				lines[key] = rt.backend
			}
		}
		l.maps[look.file()] = lines
	}
	if len(sh.ranks) > 0 {
		l.maps[rankFile] = sh.rankLines(slices.Collect(maps.Values(m.parts)))
	}
	for i := range sh.sections {
		l.backends[sh.sections[i].name] = newBackend(&sh.sections[i])
	}
	for _, part := range m.parts {
		for i := range part.sections {
			l.backends[part.sections[i].name] = newBackend(&part.sections[i])
			l.bind(part.sections[i].tenant(), part.sections[i].name)
		}
	}
	for i := m.pool; i > 0; i-- {
		l.free = append(l.free, poolName(i))
	}
	return l
}

func newBackend(s *section) *backend {
	b := &backend{section: *s, has: make(map[string]server, len(s.servers))}
	for _, srv := range s.servers {
		b.has[srv.name] = srv
	}
	return b
}

// bind gives a section the backend of that name in HAProxy.
func (l *live) bind(t tenant, name string) {
	if _, known := l.bound[t]; !known {
		l.owned[t.service] = append(l.owned[t.service], t.section)
	}
	l.bound[t], l.backends[name].owner = name, t.service
	if pooled(name) {
		l.lent.set(name, t.section)
	}
}

func (l *live) unbind(t tenant) {
	l.lent.remove(l.bound[t])
	delete(l.bound, t)
	rest := slices.DeleteFunc(l.owned[t.service], func(n string) bool { return n == t.section })
	if l.owned[t.service] = rest; len(rest) == 0 {
		delete(l.owned, t.service)
	}
}

// ownerOf is the service that a backend in HAProxy works for, "" for none.
func (l *live) ownerOf(name string) string {
	if b := l.backends[name]; b != nil {
		return b.owner
	}
	return ""
}

// pooled reports whether a backend in HAProxy is one of the pool.
func pooled(name string) bool { return strings.HasPrefix(name, poolPrefix) }
