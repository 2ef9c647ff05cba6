package proxy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sluice/crdt/service"
)

// Model is a whole configuration: the desired one of the controller, kept up to date service
// by service, or one that is built at once. Equal services give equal files, in whatever
// order they came. It is not safe for concurrent use.
type Model struct {
	options *Options
	view    *View
	// plain is the section that backends of the pool look like, pool how many there are.
	plain section
	pool  int
	// spare is the text of the pool when it had this size.
	spare struct {
		size int
		text string
	}

	parts    map[string]*part    // by service
	overlays map[string]overlaid // by service, which need not be there
	sections map[string][]string // services of each aclName, sorted
	routing  *routing
	// touched are the services that may have changed since the touched ones were last
	// taken: true if the configuration around the backends may have changed with them.
	touched map[string]bool
	// around: the configuration around the backends may have changed.
	around bool
	// noted are the services whose parts have notes, refused those that are left out.
	noted, refused map[string]bool
	// shaped is what only all parts together give, nil after a change to any of that.
	shaped *shape
}

// newModel makes the model of no services.
func newModel(o *Options, view *View) *Model {
	return &Model{
		options: o, view: view, plain: plainSection(o), parts: map[string]*part{}, overlays: map[string]overlaid{}, sections: map[string][]string{},
		routing: newRouting(), touched: map[string]bool{}, noted: map[string]bool{}, refused: map[string]bool{},
	}
}

// Build makes the model of the services; they are not changed. It is deterministic: equal
// arguments give equal files, whatever the order of services. A definition that cannot
// be rendered is left out and found in Refusals.
func Build(o *Options, services []service.Service, view View) *Model {
	m := newModel(o, &view)
	services = slices.Clone(services) // the caller may go on with its own
	for i := range services {
		m.Put(&services[i])
	}
	return m
}

// Put adds a service or replaces the one with its name; s must not change any more.
func (m *Model) Put(s *service.Service) {
	refusal := renderable(s)
	if refusal == nil {
		refusal = m.view.foreignHosts(s)
	}
	if old := m.parts[s.Name]; old != nil && (refusal != nil || old.svc.Section() != s.Section()) {
		m.Remove(s.Name)
	}
	if refusal != nil {
		m.replace(s.Name, &part{svc: s, refusal: refusal, common: true})
		return
	}
	m.join(s)
	m.expand(s)
}

// Remove takes a service out; one that is not there is no error.
func (m *Model) Remove(name string) {
	old := m.parts[name]
	if old == nil {
		return
	}
	m.replace(name, nil)
	if old.refusal == nil {
		m.leave(old.svc)
	}
}

// join enters a service in the list of its aclName. One that had the lowest name before
// has its parts called otherwise now.
func (m *Model) join(s *service.Service) {
	list := m.sections[s.Section()]
	i, known := slices.BinarySearch(list, s.Name)
	if known {
		return
	}
	m.sections[s.Section()] = slices.Insert(list, i, s.Name)
	if i == 0 && len(list) > 0 {
		m.expand(m.parts[m.sections[s.Section()][1]].svc)
	}
}

func (m *Model) leave(s *service.Service) {
	list := m.sections[s.Section()]
	i, _ := slices.BinarySearch(list, s.Name)
	list = slices.Delete(list, i, i+1)
	if len(list) == 0 {
		delete(m.sections, s.Section())
		return
	}
	m.sections[s.Section()] = list
	if i == 0 {
		m.expand(m.parts[list[0]].svc)
	}
}

// expand makes a service's part again.
func (m *Model) expand(s *service.Service) {
	first := m.sections[s.Section()][0] == s.Name
	m.replace(s.Name, m.part(s, sectionName(s, first)))
}

// replace puts a part in the place of what its service had before; nil: nothing.
func (m *Model) replace(name string, p *part) {
	around := false
	if old := m.parts[name]; old != nil {
		m.routing.remove(old.routes)
		around = !old.common
		delete(m.parts, name)
		delete(m.noted, name)
		delete(m.refused, name)
	}
	if p != nil {
		m.routing.add(p.routes)
		around = around || !p.common
		m.parts[name] = p
		if len(p.notes) > 0 {
			m.noted[name] = true
		}
		if p.refusal != nil {
			m.refused[name] = true
		}
	}
	if m.routing.reshaped {
		m.routing.rebuild(slices.Collect(maps.Values(m.parts)))
		around = true
	}
	if m.routing.shifted {
		m.routing.shifted, around = false, true
	}
	m.touched[name] = m.touched[name] || around
	if around {
		m.around, m.shaped = true, nil
	}
}

// Refresh takes the world as it is now: what depends on local files is made again.
func (m *Model) Refresh(view *View) {
	moved := !m.view.samePlace(view)
	if !maps.Equal(m.view.Errorfiles, view.Errorfiles) {
		m.spare.text = "" // its defaults name them
	}
	m.view, m.around, m.shaped = view, true, nil
	if !moved {
		m.again(func(p *part) bool { return p.local })
		return
	}
	for _, p := range slices.Collect(maps.Values(m.parts)) {
		m.Put(p.svc)
	}
}

// Readdress makes the parts again that depend on hosts whose addresses have changed.
func (m *Model) Readdress(hosts map[string]bool) {
	m.again(func(p *part) bool {
		return slices.ContainsFunc(p.hosts, func(h string) bool { return hosts[h] })
	})
}

func (m *Model) again(concerned func(*part) bool) {
	for _, p := range slices.Collect(maps.Values(m.parts)) {
		if p.refusal == nil && concerned(p) {
			m.expand(p.svc)
		}
	}
}

// touchAll marks everything as touched.
func (m *Model) touchAll() {
	m.around = true
	for name, p := range m.parts {
		m.touched[name] = true
		m.routing.touchAll(p.routes)
	}
}

// settled forgets what was touched.
func (m *Model) settled() {
	m.around = false
	clear(m.touched)
	clear(m.routing.touched)
}

// ordered are the parts in the order of their targets.
func (m *Model) ordered() []*part { return inOrder(slices.Collect(maps.Values(m.parts))) }

// inOrder sorts parts in place.
func inOrder(list []*part) []*part {
	slices.SortFunc(list, func(a, b *part) int {
		return cmp.Or(cmp.Compare(a.svc.Section(), b.svc.Section()), cmp.Compare(a.svc.Name, b.svc.Name))
	})
	return list
}

// shape is what only all parts together give.
func (m *Model) shape() *shape {
	if m.shaped == nil {
		m.shaped = newShape(m)
	}
	return m.shaped
}

// Refusals are the definitions that were left out, in whole or in part.
func (m *Model) Refusals() []*Refusal {
	list := slices.Clone(m.shape().refusals)
	for name := range m.refused {
		list = append(list, m.parts[name].refusal)
	}
	slices.SortStableFunc(list, func(a, b *Refusal) int { return cmp.Compare(a.Service, b.Service) })
	return list
}

// refusal is the verdict on one service alone, nil for none.
func (m *Model) refusal(name string) *Refusal {
	if p := m.parts[name]; p != nil {
		return p.refusal
	}
	return nil
}

// plainService reports whether a service has no needs of its own.
func (m *Model) plainService(name string) bool {
	p := m.parts[name]
	return p != nil && p.common && !slices.ContainsFunc(p.sections, func(s section) bool { return !s.poolable(&m.plain) })
}

// Notes are accepted parameters that have no effect here, sorted, one line each.
func (m *Model) Notes() []string {
	notes := slices.Concat(m.view.Problems, m.shape().notes)
	for name := range m.noted {
		notes = append(notes, m.parts[name].notes...)
	}
	slices.Sort(notes)
	return slices.Compact(notes)
}

// remarks are the notes on single services, by name.
func (m *Model) remarks() map[string][]string {
	notes := make(map[string][]string, len(m.noted))
	for name := range m.noted {
		notes[name] = m.parts[name].notes
	}
	return notes
}

// TCPPorts are the ports that the model listens on besides Options.Binds, sorted.
func (m *Model) TCPPorts() []int { return m.shape().tcpPorts }

// Certificates are those that the model presents, the self-signed one aside, with absolute
// paths and in the order of HAProxy's list.
func (m *Model) Certificates() []Certificate { return m.shape().named(m.options.CfgDir) }

// each goes through all sections but those of the pool, in their order.
func each(sh *shape, parts []*part, visit func(*section)) {
	for i := range sh.sections {
		visit(&sh.sections[i])
	}
	for _, p := range inOrder(parts) {
		for i := range p.sections {
			visit(&p.sections[i])
		}
	}
}

func (s *shape) refuse(svc *service.Service, param, format string, args ...any) {
	s.refusals = append(s.refusals, &Refusal{Service: svc.Name, Param: param, Reason: fmt.Sprintf(format, args...)})
}

func (s *shape) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}
