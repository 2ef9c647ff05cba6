package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// backend is the section that a request of one entry ends in. The rules stand in the order
// that Docker Flow Proxy gives them.
func (p *part) backend(e *entry) section {
	s, d := e.svc, e.dst
	t := &text{}
	t.line("mode http")
	if !e.tls {
		p.redirectsToTLS(t, e)
	}
	t.line("http-request set-header X-Forwarded-Proto https if { ssl_fc }")
	if option, ok := connectionOption(s.ConnectionMode); ok && option != "" {
		t.line("option", option)
	}
	headers(t, s)
	timeouts(t, d)
	if s.CompressionAlgo != "" {
		t.line("compression algo", quoteAll(strings.Fields(s.CompressionAlgo)))
		for types := range slices.Chunk(strings.Fields(s.CompressionType), linePatterns) {
			t.line("compression type", quoteAll(types))
		}
	}
	rewrites(t, d.ReqPathSearchReplace)
	guards(t, e)
	p.authenticate(t, e)
	if s.SessionType == stickySession {
		t.line("balance roundrobin")
		t.line("cookie", s.Name, "insert indirect nocache")
	}
	tail := extra(s)
	return section{
		kind: "backend", name: e.backend, owner: s.Name, head: t.String(), tail: tail,
		servers: e.overlaid(p.httpServers(e)), fixed: p.looksUp(e) || tail != "",
	}
}

// stickySession keeps a client at its server by a cookie.
const stickySession = "sticky-server"

func (p *part) redirectsToTLS(t *text, e *entry) {
	code := ""
	if e.dst.HTTPSRedirectCode != 0 {
		code = "code " + strconv.Itoa(e.dst.HTTPSRedirectCode)
	}
	if e.svc.RedirectWhenHTTPProto {
		t.line("http-request redirect scheme https", code, "if { req.hdr(X-Forwarded-Proto) -i http }")
	}
	if e.svc.RedirectUnlessHTTPSProto {
		t.line("http-request redirect scheme https", code, "unless { req.hdr(X-Forwarded-Proto) -i https }")
	}
	if e.dst.HTTPSOnly || p.options.HTTPSOnly {
		t.line("http-request redirect scheme https", code, "unless { ssl_fc }")
	}
}

func headers(t *text, s *service.Service) {
	for _, op := range []struct {
		action string
		list   []service.Header
	}{
		{"http-request add-header", s.AddReqHeader}, {"http-request set-header", s.SetReqHeader},
		{"http-response add-header", s.AddResHeader}, {"http-response set-header", s.SetResHeader},
	} {
		for _, h := range op.list {
			t.line(op.action, quote(h.Name), format(h), h.Condition)
		}
	}
	for _, name := range s.DelReqHeader {
		t.line("http-request del-header", quote(name))
	}
	for _, name := range s.DelResHeader {
		t.line("http-response del-header", quote(name))
	}
}

func timeouts(t *text, d *service.Destination) {
	if d.TimeoutServer > 0 {
		t.line("timeout server", strconv.Itoa(d.TimeoutServer)+"s")
	}
	if d.TimeoutTunnel > 0 {
		t.line("timeout tunnel", strconv.Itoa(d.TimeoutTunnel)+"s")
	}
}

// rewrites changes the path after routing. A result without a leading slash would make an
// invalid request, so it gets one.
func rewrites(t *text, list []service.Rewrite) {
	if len(list) == 0 {
		return
	}
	expr := "path"
	for _, r := range list {
		args := argument(r.Search) + "," + argument(r.Replace)
		if r.Flags != "" {
			args += "," + r.Flags
		}
		expr += ",regsub(" + args + ")"
	}
	t.line("http-request set-var(txn.path) " + quote(expr))
	t.line("http-request set-path /%[var(txn.path)] unless { var(txn.path) -m beg / }")
	t.line("http-request set-path %[var(txn.path)] if { var(txn.path) -m beg / }")
}

func guards(t *text, e *entry) {
	d := e.dst
	if d.VerifyClientSSL {
		t.line("http-request deny unless { ssl_c_used 1 } { ssl_c_verify 0 }")
	}
	if n := len(d.AllowedMethods); n > 0 && n <= linePatterns {
		t.line("http-request deny unless { method --", quoteAll(d.AllowedMethods), "}")
	} else if n > 0 {
		for methods := range slices.Chunk(d.AllowedMethods, linePatterns) {
			t.line("acl methods.allowed method --", quoteAll(methods))
		}
		t.line("http-request deny unless methods.allowed")
	}
	for methods := range slices.Chunk(d.DeniedMethods, linePatterns) {
		t.line("http-request deny if { method --", quoteAll(methods), "}")
	}
	if d.DenyHTTP && !e.tls {
		t.line("http-request deny unless { ssl_fc }")
	}
}

// extra are the raw lines of a definition, which the operator has to allow.
func extra(s *service.Service) string {
	t := &text{}
	for line := range strings.Lines(s.BackendExtra) {
		if line = strings.TrimSpace(line); line != "" {
			t.line(line)
		}
	}
	return t.String()
}

// httpServers are the servers of one http backend.
func (p *part) httpServers(e *entry) []server {
	switch s := e.svc; {
	case s.SessionType == stickySession:
		return p.taskServers(e, 0, true)
	case s.DiscoveryType == "DNS":
		return p.taskServers(e, 1, false)
	default:
		return p.servers(e, p.resolves(e.target))
	}
}

// resolves reports whether HAProxy shall look up the target's host by itself.
func (p *part) resolves(t *target) bool {
	return (t.svc.CheckResolvers || p.options.CheckResolvers) && !nameless(t.svc, t.dst)
}

// looksUp reports whether HAProxy itself may look up the entry's host. Where it leads is not
// judged then, so that is no way to a port of this replica's own.
func (p *part) looksUp(e *entry) bool { return p.resolves(e.target) && !p.view.ownPort(e.port) }

// servers is one server per address of the target's host; the readable name stays even
// without an address.
func (p *part) servers(e *entry, check bool) []server {
	host := e.svc.Host(e.dst)
	addrs := p.view.firstForeign(e.port, e.addresses(p.view), e.known())
	if len(addrs) == 0 {
		addrs = []netip.Addr{{}}
	}
	list := make([]server, len(addrs))
	for i, addr := range addrs {
		list[i] = server{
			name: e.svc.Name, host: host, port: e.port, addr: addr,
			check: check, tls: e.dst.SSLVerifyNone, resolvers: p.looksUp(e),
		}
		if i > 0 {
			list[i].name = fmt.Sprintf("%s_%d", e.svc.Name, i+1)
		}
	}
	return list
}

// taskServers is one checked server per task, numbered from first. Without tasks the host
// itself stands in.
func (p *part) taskServers(e *entry, first int, cookie bool) []server {
	host := e.svc.Host(e.dst)
	addrs := p.view.firstForeign(e.port, p.tasks(e), e.known(), e.addresses(p.view))
	if len(addrs) == 0 {
		return []server{{name: e.svc.Name, host: host, port: e.port, tls: e.dst.SSLVerifyNone}}
	}
	list := make([]server, len(addrs))
	for i, addr := range addrs {
		name := fmt.Sprintf("%s_%d", e.svc.Name, i+first)
		list[i] = server{name: name, host: addr.String(), port: e.port, addr: addr, check: true, tls: e.dst.SSLVerifyNone}
		if cookie {
			list[i].cookie = name
		}
	}
	return list
}

func (p *part) tasks(e *entry) []netip.Addr {
	if e.svc.DiscoveryType == "DNS" && e.dst.OutboundHostname != "" {
		return p.view.addresses(e.dst.OutboundHostname)
	}
	return p.view.addresses(tasksOf(e.svc.Name))
}

func tasksOf(name string) string { return "tasks." + name }

func hostPort(host string, port int) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
