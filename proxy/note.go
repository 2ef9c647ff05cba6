package proxy

import (
	"net/netip"
	"slices"
)

// remark notes what of an accepted target has no effect here, and what to do about it.
func (p *part) remark(t *target) {
	if t.templated() {
		return
	}
	p.noteOwn(t)
	p.noteUnresolved(t)
	if t.http() {
		p.noteEntries(t)
		if t.dst.VerifyClientSSL && p.options.CAFile == "" {
			p.note("service %s: verifyClientSsl denies every request: there is no CA to verify by; give one with CA_FILE", t.svc.Name)
		}
	}
}

// possible are all addresses that may be the target's.
func (p *part) possible(t *target) []netip.Addr {
	return slices.Concat(t.addresses(p.view), p.view.addresses(tasksOf(t.svc.Name)), t.known())
}

// noteUnresolved tells of a host that nobody has looked up with success, unless HAProxy does.
func (p *part) noteUnresolved(t *target) {
	switch {
	case p.view.Addresses == nil || p.resolves(t) || len(p.possible(t)) > 0:
	case nameless(t.svc, t.dst):
		p.note("service %s: no container of it is known to run, so that nothing answers its requests (503)", t.svc.Name)
	default:
		p.note("service %s: host %s does not resolve here, so that nothing answers its requests (503): is the name right, and is the proxy in the service's network?",
			t.svc.Name, t.svc.Host(t.dst))
	}
}

// noteOwn tells of the addresses that are left out of a target's servers.
func (p *part) noteOwn(t *target) {
	for _, port := range []int{t.dst.Port, t.dst.HTTPSPort} {
		if !p.view.ownPort(port) {
			continue
		}
		for _, addr := range p.possible(t) {
			if use := p.view.own(addr, port); use != "" {
				p.note("service %s: port %d of %s (%s) gets no request: it is the proxy's own (%s); give another host or port",
					t.svc.Name, port, t.svc.Host(t.dst), addr, use)
			}
		}
	}
}

// noteEntries tells of entry ports that the http frontend does not have.
func (p *part) noteEntries(t *target) {
	for _, e := range t.entries() {
		if e.srcPort != 0 && !slices.ContainsFunc(p.options.Binds, func(b Bind) bool { return b.Port == e.srcPort }) {
			p.note("service %s: no request reaches its port %d: that is for entry port %d (srcPort, httpsPort), where the proxy does not listen (%s); add the port to BIND_PORTS",
				t.svc.Name, e.port, e.srcPort, p.options.entryPorts())
		}
	}
}
