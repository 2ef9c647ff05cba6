package proxy

import (
	"slices"
)

// movable reports whether commands can give the backend the section's servers.
func (l *live) movable(b *backend, s *section) bool {
	for i := range s.servers {
		want := &s.servers[i]
		have, ok := b.has[want.name]
		gone := slices.IndexFunc(l.leaving, func(o leaver) bool { return o.backend == b.name && o.server.name == want.name })
		switch {
		case ok && !b.weighs(&have, want):
			return false
		case ok && (have.set(want) == *want || want.resolvers && have.sameButAddress(want)):
		case ok && have.addr.IsValid() && want.addr.IsValid() && have.sameButAddress(want):
		case !want.addr.IsValid() && !s.fixed:
		case s.fixed, ok && have.addr.IsValid(), want.cookie != "" && !l.can.Cookie:
			return false
		case gone >= 0 && !(l.leaving[gone].server.sameButAddress(want) && b.weighs(&l.leaving[gone].server, want)):
			return false
		}
	}
	return !s.fixed || len(b.has) == len(s.servers)
}

// staff gives a backend the servers that it shall have.
func (l *live) staff(p *plan, name string, servers []server) {
	b := l.backends[name]
	wanted := make(map[string]bool, len(servers))
	for i := range servers {
		want := servers[i]
		have, ok := b.has[want.name]
		// Without an address only a line of the configuration can be; HAProxy itself looks up
		// the addresses of hosts with resolvers.
		if wanted[want.name] = want.addr.IsValid() || ok && !have.addr.IsValid(); !wanted[want.name] {
			continue
		}
		if want.resolvers || !want.addr.IsValid() {
			if ok {
				p.commands = append(p.commands, adjust(name, &have, &want)...)
				b.has[want.name] = have.set(&want)
			}
			continue
		}
		p.commands = append(p.commands, l.hire(name, have, want)...)
		b.has[want.name] = want
	}
	for _, gone := range sortedKeys(b.has) {
		if !wanted[gone] {
			l.dismiss(p, b, gone)
		}
	}
}

// hire are the commands that bring one server from have to want, which has an address; the
// zero value stands for none.
func (l *live) hire(backend string, have, want server) []command {
	id := backend + "/" + want.name
	back := slices.IndexFunc(l.leaving, func(o leaver) bool { return o.backend == backend && o.server.name == want.name })
	switch {
	case have.addr.IsValid() && have.addr == want.addr && have.port == want.port:
		return adjust(backend, &have, &want)
	case have.addr.IsValid():
		return append([]command{moveServer(backend, &want)}, adjust(backend, &have, &want)...)
	case back >= 0: // it has not gone yet
		was := l.leaving[back].server
		was.weight, was.maint = -1, true
		l.leaving = slices.Delete(l.leaving, back, back+1)
		return l.hire(backend, was, want)
	case have.name != "": // a line of the configuration without an address cannot get one
		return append([]command{retire(id), deleteServer(id, nil)}, addServer(backend, &want)...)
	}
	return addServer(backend, &want)
}

// dismiss takes a server out of a backend; it is deleted once its requests are done.
func (l *live) dismiss(p *plan, b *backend, gone string) {
	id := leaver{b.name, b.has[gone]}
	delete(b.has, gone)
	p.after = append(p.after, retire(id.String()))
	l.delete(p, id)
}

// delete tries to delete a server in maintenance.
func (l *live) delete(p *plan, id leaver) {
	p.after = append(p.after, deleteServer(id.String(), func() { l.leaving = append(l.leaving, id) }))
	p.vacated = append(p.vacated, id.backend)
}

// retry plans to delete the servers that had connections before, and backends that had
// servers.
func (l *live) retry(p *plan) {
	again := l.leaving
	l.leaving = nil
	for _, id := range again {
		l.delete(p, id)
	}
	deserted := l.deserted
	l.deserted = nil
	for _, name := range deserted {
		l.demolish(p, name)
	}
}
