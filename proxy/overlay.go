package proxy

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// overlaid is what is in force over a service: nothing with fault, which says why it cannot
// be read.
type overlaid struct {
	overlay *service.Overlay
	fault   error
}

// Overlay puts an overlay over a service, in the place of the one before; nil lifts it. The
// service may come later. A value that cannot be read has no effect but a note.
func (m *Model) Overlay(name string, value []byte) {
	delete(m.overlays, name)
	if len(value) > 0 {
		o, err := service.DecodeOverlay(value)
		m.overlays[name] = overlaid{&o, err}
	}
	if p := m.parts[name]; p != nil && p.refusal == nil {
		m.expand(p.svc)
	}
}

// overlay puts o over all targets, and notes what of it has no effect.
func (p *part) overlay(o overlaid) {
	if o.overlay == nil {
		return
	}
	if o.fault != nil {
		p.note("service %s: its overlay is not in force, since it cannot be read: %v", p.svc.Name, o.fault)
		return
	}
	if p.svc.TemplateFePath+p.svc.TemplateBePath != "" {
		p.note("service %s: its overlay has no effect, its servers are those of its template", p.svc.Name)
		return
	}
	var known []service.Server
	for i := range p.targets {
		p.targets[i].overlay = o.overlay
		known = append(known, p.servable(&p.targets[i])...)
	}
	if missing := o.overlay.Unmatched(known); len(missing) > 0 {
		p.note("service %s: the overlay has no effect on what the service does not have here: %s", p.svc.Name, strings.Join(missing, ", "))
	}
}

// servable are all servers that a target may have.
func (p *part) servable(t *target) []service.Server {
	host := t.svc.Host(t.dst)
	var list []service.Server
	for _, port := range []int{t.dst.Port, t.dst.HTTPSPort} {
		srv := service.Server{Index: t.dst.Index, Host: host, Port: port}
		list = append(list, srv)
		for _, addr := range slices.Concat(p.view.addresses(host), p.view.addresses(tasksOf(t.svc.Name)), t.known()) {
			srv.Addr = addr
			list = append(list, srv)
		}
	}
	return list
}

// addresses are those of the target's host; where that does not resolve, those that a watcher
// tells. Of containers they are the watcher's alone, as long as the labels name no host: names
// of one Docker host are shared, each compose project may have a "web".
func (t *target) addresses(v *View) []netip.Addr {
	if !nameless(t.svc, t.dst) {
		if addrs := v.addresses(t.svc.Host(t.dst)); len(addrs) > 0 {
			return addrs
		}
	}
	return t.known()
}

// contained reports whether a watcher made the service from containers of one Docker host.
func contained(s *service.Service) bool {
	return s.Source != nil && s.Source.Kind == service.DockerSource
}

// nameless reports whether the destination is those containers, and not a host by its name.
func nameless(s *service.Service, d *service.Destination) bool {
	return contained(s) && d.OutboundHostname == ""
}

// known are the addresses of the target's tasks that a watcher tells. They are not those of a
// host of its own choice, nor those that a service of this name had on another Docker host.
func (t *target) known() []netip.Addr {
	if t.overlay == nil || contained(t.svc) && (!nameless(t.svc, t.dst) || t.overlay.Tasks.Cluster != t.svc.Source.Cluster) {
		return nil
	}
	return t.overlay.Tasks.Addresses()
}

// overlaid gives servers of the target the weight and state that are in force. If none would
// take requests because the tasks are leaving, those go on: better a task that stops than none.
func (t *target) overlaid(list []server) []server {
	if t.setAll(list, t.overlay) || t.overlay == nil || len(t.overlay.Tasks.Leaving) == 0 {
		return list
	}
	settings := *t.overlay
	settings.Tasks = service.Tasks{}
	t.setAll(list, &settings)
	return list
}

// setAll gives servers what an overlay says, and reports whether any takes requests.
func (t *target) setAll(list []server, o *service.Overlay) bool {
	takes := false
	for i := range list {
		srv := &list[i]
		state, weight := o.At(service.Server{Index: t.dst.Index, Host: t.svc.Host(t.dst), Addr: srv.addr, Port: srv.port})
		srv.weight, srv.maint = weight, state == service.Maint
		if state == service.Drain {
			srv.weight = 0
		}
		takes = takes || srv.weight > 0 && !srv.maint
	}
	return takes
}

// set is the server with weight and state of another one.
func (s server) set(o *server) server {
	s.weight, s.maint = o.weight, o.maint
	return s
}

// adjust are the commands that give a server another weight and state, in the order in which
// it never gets more requests than before and after.
func adjust(backend string, have, want *server) []command {
	var list []command
	id := backend + "/" + want.name
	if have.weight != want.weight {
		list = append(list, setWeight(id, want.weight))
	}
	if have.maint != want.maint {
		list = append(list, putState(id, want.maint))
	}
	if want.maint {
		slices.Reverse(list)
	}
	return list
}

// balanceLine matches how a section chooses among its servers.
var balanceLine = regexp.MustCompile(`(?m)^\s*balance\s+([a-z-]+)`)

// weighs reports whether a command can give the server in HAProxy the weight of want. Where
// weights are laid out once and for all, there is only none and that of the configuration.
func (b *backend) weighs(have, want *server) bool {
	if have.weight == want.weight || want.weight == 0 {
		return true
	}
	if slices.ContainsFunc(b.servers, func(s server) bool { return s.name == want.name && s.weight == want.weight }) {
		return true
	}
	for _, line := range balanceLine.FindAllStringSubmatch(b.head+b.tail, -1) {
		switch line[1] {
		case "roundrobin", "leastconn", "first", "random":
		default:
			return false
		}
	}
	return true
}
