package proxy

import (
	"slices"

	"sluice/crdt/service"
)

// tcpPort is everything that listens on one port outside the http frontend: either one
// group, or destinations told apart by the TLS greeting.
type tcpPort struct {
	port    int
	group   string
	members []*target
}

// listens reports whether the target has an entry port outside the http frontend.
func (t *target) listens() bool { return t.dst.ReqMode != service.HTTP && t.dst.ReqMode != "" }

// entryPorts sorts targets that listen by entry port. A port that cannot be shared is
// refused for the later service.
func entryPorts(o *Options, listeners []target) (ports []tcpPort, refusals []*Refusal) {
	byPort := map[int]*tcpPort{}
	taken := map[int]bool{o.OwnStatsPort(): true}
	for _, b := range o.Binds {
		taken[b.Port] = true
	}
	for i := range listeners {
		t := &listeners[i]
		port := t.dst.SrcPort
		if taken[port] {
			refusals = append(refusals, refusal(t.svc, "srcPort", "port %d belongs to the proxy itself", port))
			continue
		}
		p := byPort[port]
		if p == nil {
			p = &tcpPort{port: port, group: t.dst.ServiceGroup}
			byPort[port] = p
		}
		if p.group != t.dst.ServiceGroup {
			refusals = append(refusals, clash(t, p.members[0]))
			continue
		}
		p.members = append(p.members, t)
	}
	for _, p := range byPort {
		ports = append(ports, *p)
	}
	slices.SortFunc(ports, func(a, b tcpPort) int { return a.port - b.port })
	return ports, refusals
}

// clash refuses a target for the one that has its port.
func clash(t, holder *target) *Refusal {
	r := refusal(t.svc, "srcPort", "port %d is already used by service %s with another serviceGroup", t.dst.SrcPort, holder.svc.Name)
	r.Holder = holder.svc.Name
	return r
}

// listener is a target that has an entry port, with the version of its service.
type listener struct {
	target
	version string
}

// announce tells the door which entry ports have been given.
func (c *Controller) announce() {
	sh := c.model.shape()
	if sh == c.announced {
		return
	}
	c.announced = sh
	list := make([]listener, len(sh.listeners))
	for i, t := range sh.listeners {
		list[i] = listener{t, c.current[t.svc.Name].version}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = list
}

// settled are the listeners of the other services, but for those that are about to change.
func (c *Controller) settled(name string) []target {
	c.mu.Lock()
	listeners := c.listeners
	c.mu.Unlock()
	if len(listeners) == 0 {
		return nil
	}
	items := c.cfg.Source.Desired().Items
	var list []target
	for _, l := range listeners {
		if it, wanted := findItem(items, l.svc.Name); wanted && it.Version == l.version && it.Name != name {
			list = append(list, l.target)
		}
	}
	return list
}

// vacant refuses a service that asks for an entry port which cannot be its own.
func (c *Controller) vacant(s *service.Service) error {
	mine := slices.DeleteFunc(targetsOf(s, s.Section()), func(t target) bool { return !t.listens() })
	if len(mine) == 0 {
		return nil
	}
	_, refusals := entryPorts(c.options, append(c.settled(s.Name), mine...))
	var problems service.Errors
	for _, r := range refusals {
		problems = append(problems, service.FieldError{
			Param: r.Param, Problem: "cannot be had: " + r.Reason, Remedy: "use another port, or the same serviceGroup for both", Taken: r.Holder != s.Name,
		})
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}
