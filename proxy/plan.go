package proxy

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// plan is what brings a worker from what it holds to what a model wants.
type plan struct {
	// commands are done in order: servers come before the routes to them and go after.
	commands []command
	// bulk are maps of which so much changes that they are replaced as a whole.
	bulk []bulk
	// after follow the maps.
	after []command
	// vacated are backends that may be free once all is done.
	vacated []string
	// load says why not all can be done while HAProxy runs, "" if all can; waiting are the
	// services that stay as they are until that load.
	load    string
	waiting map[string]bool
}

// bulk is a map that is replaced in one step.
type bulk struct {
	file  string
	lines map[string]string
}

// manyChanges is how many lines of a map are changed one by one at most: HAProxy before 2.9
// searches all lines for each.
const manyChanges = 200

func (p *plan) wait(service, why string) {
	p.waiting[service] = true
	p.needLoad(why)
}

func (p *plan) needLoad(why string) {
	if p.load == "" {
		p.load = why
	}
}

func (p *plan) empty() bool { return len(p.commands)+len(p.bulk)+len(p.after) == 0 }

// follow plans what was touched of the model, and counts it as done. What has to wait for a
// load stays touched.
func (l *live) follow(m *Model) *plan {
	p := &plan{waiting: map[string]bool{}}
	if m.around {
		l.compare(m, p)
	}
	if l.frozen(m) {
		p.needLoad("entry ports or wildcards")
		return p
	}
	structural := p.load != ""
	touched := slices.Sorted(maps.Keys(m.touched))
	for _, name := range touched {
		if structural && m.touched[name] {
			p.wait(name, p.load)
		} else {
			l.serve(m, p, name)
		}
	}
	l.route(m, p)
	if m.around && !structural && len(p.waiting) == 0 {
		l.small(m, p)
	}
	for _, name := range touched {
		if !p.waiting[name] {
			l.release(m, p, name)
			delete(m.touched, name)
		}
	}
	m.around = m.around && (structural || len(p.waiting) > 0)
	return p
}

// frozen reports whether keys have another form than in the worker.
func (l *live) frozen(m *Model) bool {
	same := func(a, b int) bool { return (a == 0) == (b == 0) }
	return !slices.Equal(l.ports, m.routing.sortedPorts()) || !maps.EqualFunc(l.wild, m.routing.wild, same)
}

// compare looks at the text around the sections. A lookup that is not needed any more does
// no harm until the next load.
func (l *live) compare(m *Model, p *plan) {
	sh := m.shape()
	made := maps.Clone(sh.used)
	maps.Copy(made, l.made)
	before, behind := sh.structure(made)
	if before != l.before || behind != l.behind {
		p.needLoad("the configuration around the backends")
		return
	}
	for i := range sh.sections {
		s := &sh.sections[i]
		if b := l.backends[s.name]; b == nil || !b.alike(s) || !l.movable(b, s) {
			p.needLoad("section " + s.name)
			return
		}
	}
	for i := range sh.sections {
		l.staff(p, sh.sections[i].name, sh.sections[i].servers)
	}
	l.certify(m, p)
}

// alike reports whether the backend treats requests as the section says.
func (b *backend) alike(s *section) bool {
	return b.kind == s.kind && b.head == s.head && b.tail == s.tail
}

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
		p.commands = append(p.commands, addBackend(name, l.can)...)
	} else {
		name = l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
	}
	l.drifted = true
	l.backends[name] = &backend{section: section{kind: s.kind, name: name, head: s.head}, has: map[string]server{}, added: true}
	return name
}

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
		l.leaving = slices.Delete(l.leaving, back, back+1)
		return append([]command{moveServer(backend, &want)}, adjust(backend, &server{weight: -1, maint: true}, &want)...)
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

// retry plans to delete the servers that had connections before.
func (l *live) retry(p *plan) {
	again := l.leaving
	l.leaving = nil
	for _, id := range again {
		l.delete(p, id)
	}
}

// vacate frees a backend of the pool that nobody has and that no server has to leave.
func (l *live) vacate(name string) {
	b := l.backends[name]
	if b == nil || !pooled(name) || b.owner != "" || len(b.has) > 0 {
		return
	}
	if !slices.ContainsFunc(l.leaving, func(o leaver) bool { return o.backend == name }) {
		delete(l.backends, name)
		l.free = append(l.free, name)
	}
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

// abandon leaves a backend without owner. Those of the configuration stay as they are until
// the next load: their service may come back.
func (l *live) abandon(p *plan, name string) {
	b := l.backends[name]
	b.owner, l.drifted = "", true
	if _, ranked := l.maps[rankFile][name]; ranked {
		delete(l.maps[rankFile], name)
		p.after = append(p.after, deleteLine(rankFile, name))
	}
	if !b.added {
		return
	}
	p.vacated = append(p.vacated, name)
	for _, gone := range sortedKeys(b.has) {
		l.dismiss(p, b, gone)
	}
}

// edit collects the changes of one map.
type edit struct {
	add, set, del []string
}

// route plans the lines of the rules.
func (l *live) route(m *Model, p *plan) {
	edits := map[string]*edit{}
	kept := map[mapKey]bool{}
	for k := range m.routing.touched {
		lines, made := l.maps[k.file()]
		if !made { // its lookup comes with a load, which makes all its lines
			continue
		}
		if !l.line(m, p, edits, k, lines) {
			kept[k] = true
		}
	}
	l.ranks(m, p, edits)
	for _, file := range sortedKeys(edits) {
		l.edit(p, file, edits[file])
	}
	m.routing.touched = kept
}

// line plans one line; false: it has to wait.
func (l *live) line(m *Model, p *plan, edits map[string]*edit, k mapKey, lines map[string]string) bool {
	want := ""
	if rt := m.routing.winner(k); rt != nil {
		if want = l.bound[tenant{rt.place.service, rt.backend}]; want == "" || p.waiting[rt.place.service] {
			return false
		}
	}
	have, known := lines[k.key]
	if owner := l.ownerOf(have); known && owner != "" && p.waiting[owner] && want != have {
		return false
	}
	return l.change(p, edits, k.file(), k.key, want)
}

// change plans what makes a line have a value, "" for no line; false: it has to wait.
func (l *live) change(p *plan, edits map[string]*edit, file, key, want string) bool {
	have, known := l.maps[file][key]
	if have == want {
		return true
	}
	if known && !plainKey.MatchString(key) {
		p.needLoad("the key " + key)
		return false
	}
	e := edits[file]
	if e == nil {
		e = &edit{}
		edits[file] = e
	}
	switch {
	case want == "":
		delete(l.maps[file], key)
		e.del = append(e.del, key)
		return true
	case known:
		e.set = append(e.set, key)
	default:
		e.add = append(e.add, key)
	}
	l.maps[file][key] = want
	return true
}

// edit turns the changes of one map into commands.
func (l *live) edit(p *plan, file string, e *edit) {
	lines := l.maps[file]
	if len(e.set)+len(e.del) > manyChanges {
		p.bulk = append(p.bulk, bulk{file, lines})
		return
	}
	slices.Sort(e.add)
	slices.Sort(e.set)
	slices.Sort(e.del)
	p.commands = append(p.commands, addLines(file, "", e.add, func(key string) string { return lines[key] })...)
	for _, key := range e.set {
		p.commands = append(p.commands, setLine(file, key, lines[key]))
	}
	for _, key := range e.del {
		p.commands = append(p.commands, deleteLine(file, key))
	}
}

// ranks plans the places of the touched services' backends, where rules outside the maps
// compare themselves with them.
func (l *live) ranks(m *Model, p *plan, edits map[string]*edit) {
	if l.maps[rankFile] == nil {
		return
	}
	for name := range m.touched {
		part := m.parts[name]
		if part == nil || p.waiting[name] {
			continue
		}
		for i := range part.routes {
			rt := &part.routes[i]
			rank := ""
			if n := m.shape().rankOf(rt.place); n > 0 {
				rank = strconv.Itoa(n)
			}
			l.change(p, edits, rankFile, cmp.Or(l.bound[tenant{name, rt.backend}], rt.backend), rank)
		}
	}
}

// small plans the maps that do not belong to the rules.
func (l *live) small(m *Model, p *plan) {
	edits := map[string]*edit{}
	wanted := m.shape().smallMaps()
	for _, file := range []string{keyFile, saltsFile, usersFile} {
		if wanted[file] == nil { // nobody is asked for a user any more
			wanted[file] = map[string]string{}
		}
	}
	for file, lines := range wanted {
		if l.maps[file] == nil {
			continue
		}
		for key, want := range lines {
			l.change(p, edits, file, key, want)
		}
		for _, key := range sortedKeys(l.maps[file]) {
			if _, wanted := lines[key]; !wanted {
				l.change(p, edits, file, key, "")
			}
		}
	}
	for _, file := range sortedKeys(edits) {
		l.edit(p, file, edits[file])
	}
}
