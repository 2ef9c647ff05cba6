package proxy

import (
	"slices"
)

// serve gives the sections of a service backends with the servers that they want, all or
// none.
func (l *live) serve(m *Model, p *plan, name string) {
	part := m.parts[name]
	if part == nil {
		return
	}
	if why := l.unable(part); why != "" {
		p.wait(name, why)
		return
	}
	for i := range part.sections {
		s := &part.sections[i]
		home := l.home(s)
		if home == "" {
			home = l.settle(p, s)
		}
		if old := l.bound[s.tenant()]; old != home {
			if old != "" {
				l.unbind(s.tenant())
				l.abandon(p, old)
			}
			l.bind(s.tenant(), home)
			l.open(p, home)
			m.routing.touchAll(part.routes)
		}
		l.staff(p, home, s.servers)
	}
}

// unable says why a part's sections cannot all have backends before the next load, "" if
// they can. What the text around the backends names has to have its own.
func (l *live) unable(part *part) string {
	free := len(l.free)
	for i := range part.sections {
		switch s := &part.sections[i]; {
		case l.home(s) != "":
		case !part.common || !s.poolable(&l.plain):
			return "backend " + s.name
		case l.can.AddBackend && l.backends[s.name] == nil:
		case free == 0:
			return poolEmpty
		default:
			free--
		}
	}
	return ""
}

// poolEmpty: more services have come since the last load than there are backends for.
const poolEmpty = "the pool of backends is empty"

// home is the backend that has the section or can have it with other servers, "" for none.
func (l *live) home(s *section) string {
	for _, name := range []string{l.bound[s.tenant()], s.name} {
		if b := l.backends[name]; b != nil && (b.owner == "" || b.owner == s.owner) && b.alike(s) && l.movable(b, s) {
			return name
		}
	}
	return ""
}

// settle finds a new backend for a section; serve has made sure that there is one.
func (l *live) settle(p *plan, s *section) string {
	name := s.name
	if l.can.AddBackend && l.backends[name] == nil {
		p.commands = append(p.commands, addBackend(name)...)
	} else {
		name = l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
	}
	l.drifted = true
	l.backends[name] = &backend{section: section{kind: s.kind, name: name, head: s.head}, has: map[string]server{}, added: true}
	return name
}

// release gives up what a service has and does not want any more.
func (l *live) release(m *Model, p *plan, name string) {
	part := m.parts[name]
	for _, atRest := range slices.Clone(l.owned[name]) {
		if part != nil && slices.ContainsFunc(part.sections, func(s section) bool { return s.name == atRest }) {
			continue
		}
		home := l.bound[tenant{name, atRest}]
		l.unbind(tenant{name, atRest})
		l.abandon(p, home)
	}
}
