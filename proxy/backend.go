package proxy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// backend renders the section that a request of one entry ends in. The rules stand in
// the order that Docker Flow Proxy gives them.
func (m *Model) backend(t *text, e *entry) {
	s, d := e.svc, e.dst
	t.section("backend", e.backend)
	t.line("mode http")
	if !e.tls {
		m.redirectsToTLS(t, e)
	}
	t.line("http-request set-header X-Forwarded-Proto https if { ssl_fc }")
	if option, ok := connectionOption(s.ConnectionMode); ok && option != "" {
		t.line("option", option)
	}
	headers(t, s)
	timeouts(t, d)
	if s.CompressionAlgo != "" {
		t.line("compression algo", quote(s.CompressionAlgo))
		if s.CompressionType != "" {
			t.line("compression type", quoteAll(strings.Fields(s.CompressionType)))
		}
	}
	rewrites(t, d.ReqPathSearchReplace)
	m.guards(t, e)
	m.authenticate(t, e)
	m.httpServers(t, e)
	m.extra(t, s)
}

func (m *Model) redirectsToTLS(t *text, e *entry) {
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
	if e.dst.HTTPSOnly || m.options.HTTPSOnly {
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

func (m *Model) guards(t *text, e *entry) {
	d := e.dst
	if d.VerifyClientSSL {
		t.line("http-request deny unless { ssl_c_used 1 } { ssl_c_verify 0 }")
	}
	if len(d.AllowedMethods) > 0 {
		t.line("http-request deny unless { method --", quoteAll(d.AllowedMethods), "}")
	}
	if len(d.DeniedMethods) > 0 {
		t.line("http-request deny if { method --", quoteAll(d.DeniedMethods), "}")
	}
	if d.DenyHTTP && !e.tls {
		t.line("http-request deny unless { ssl_fc }")
	}
}

func (m *Model) extra(t *text, s *service.Service) {
	for line := range strings.Lines(s.BackendExtra) {
		if line = strings.TrimSpace(line); line != "" {
			t.line(line)
		}
	}
}

// httpServers writes the servers of one http backend.
func (m *Model) httpServers(t *text, e *entry) {
	s := e.svc
	switch {
	case s.SessionType == "sticky-server":
		t.line("balance roundrobin")
		t.line("cookie", s.Name, "insert indirect nocache")
		m.taskServers(t, e, 0, true)
	case s.DiscoveryType == "DNS":
		m.taskServers(t, e, 1, false)
	default:
		m.servers(t, e, m.serverOptions(e))
	}
}

func (m *Model) serverOptions(e *entry) string {
	var words []string
	if e.svc.CheckResolvers || m.options.CheckResolvers {
		words = append(words, "check resolvers docker")
	}
	if e.dst.SSLVerifyNone {
		words = append(words, "ssl verify none")
	}
	return strings.Join(words, " ")
}

// servers writes one server per address of the target's host; the readable name stays
// even without an address.
func (m *Model) servers(t *text, e *entry, options string) {
	host := e.svc.Host(e.dst)
	addrs := m.view.addresses(host)
	if len(addrs) == 0 {
		t.line("server", e.svc.Name, hostPort(host, e.port), options, "init-addr none")
		return
	}
	for i, addr := range addrs {
		name := e.svc.Name
		if i > 0 {
			name = fmt.Sprintf("%s_%d", name, i+1)
		}
		t.line("server", name, hostPort(host, e.port), options, initAddr(host, addr))
	}
}

// taskServers writes one checked server per task, numbered from first. Without tasks the
// host itself stands in.
func (m *Model) taskServers(t *text, e *entry, first int, cookie bool) {
	host := e.svc.Host(e.dst)
	addrs := m.tasks(e)
	if len(addrs) == 0 {
		addrs = m.view.addresses(host)
	}
	tls := ""
	if e.dst.SSLVerifyNone {
		tls = "ssl verify none"
	}
	for i, addr := range addrs {
		name := fmt.Sprintf("%s_%d", e.svc.Name, i+first)
		stick := ""
		if cookie {
			stick = "cookie " + name
		}
		t.line("server", name, hostPort(addr.String(), e.port), "check", tls, stick)
	}
	if len(addrs) == 0 {
		t.line("server", e.svc.Name, hostPort(host, e.port), tls, "init-addr none")
	}
}

func (m *Model) tasks(e *entry) []netip.Addr {
	if e.svc.DiscoveryType == "DNS" && e.dst.OutboundHostname != "" {
		return m.view.addresses(e.dst.OutboundHostname)
	}
	return m.view.addresses(tasksOf(e.svc.Name))
}

func tasksOf(name string) string { return "tasks." + name }

func hostPort(host string, port int) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// initAddr gives a named server its address, so that HAProxy never resolves by itself.
func initAddr(host string, addr netip.Addr) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return "init-addr " + addr.String() + ",none"
}
