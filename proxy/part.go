package proxy

import (
	"fmt"

	"sluice/crdt/service"
)

// part is everything that one service adds to the model. It is immutable once made.
type part struct {
	options *Options
	view    *View

	svc     *service.Service
	targets []target
	routes  []route
	// specials are rules that no map expresses, sections the backends of its http entries.
	specials []special
	sections []section
	lists    map[string]*userList
	hosts    []string
	notes    []string
	refusal  *Refusal
	// local: it was made with a secret or a template of this machine.
	local bool
	// common: besides routes and sections it adds nothing to the configuration.
	common bool
}

// part makes that of a renderable service whose parts are called after section.
func (m *Model) part(s *service.Service, section string) *part {
	p := &part{options: m.options, view: m.view, svc: s, lists: map[string]*userList{}, hosts: hostsOf(s)}
	p.targets = targetsOf(s, section)
	p.overlay(m.overlays[s.Name])
	for i := range p.targets {
		t := &p.targets[i]
		p.remark(t)
		if t.http() {
			p.enter(t)
		}
	}
	p.common = p.isCommon()
	return p
}

// enter adds the rules and backends of one http destination.
func (p *part) enter(t *target) {
	entries := t.entries()
	for i := range entries {
		e := &entries[i]
		if t.mapped() {
			p.routes = append(p.routes, e.routes()...)
		} else {
			p.specials = append(p.specials, e.specials()...)
		}
		p.sections = append(p.sections, p.backend(e))
	}
}

func (p *part) isCommon() bool {
	if len(p.specials) > 0 || p.ownLists() || p.svc.IsDefaultBackend || p.svc.ServiceCert != nil {
		return false
	}
	for i := range p.targets {
		if t := &p.targets[i]; !t.http() || len(t.dst.RedirectFromDomain) > 0 || t.dst.TimeoutTunnel > p.options.Timeouts.Tunnel {
			return false
		}
	}
	return true
}

// ownLists reports whether users are asked for that are not the proxy's own.
func (p *part) ownLists() bool {
	for id := range p.lists {
		if id != globalUsers {
			return true
		}
	}
	return false
}

func (p *part) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *part) secret(name string) (string, bool) {
	p.local = true
	return p.view.secret(name)
}
