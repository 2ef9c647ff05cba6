package proxy

import (
	"maps"
	"slices"
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
	// certified: certificates are among the commands.
	certified bool
	// vague: more than the waiting services is not as desired.
	vague bool
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
		p.vague = true
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
