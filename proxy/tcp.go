package proxy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sluice/crdt/service"
)

// listen lays out the tcp and sni destinations: frontends, and the sections behind them.
func (s *shape) listen(list []target) {
	for i := range list {
		if list[i].listens() {
			s.listeners = append(s.listeners, list[i])
		}
	}
	ports, refusals := entryPorts(s.options, s.listeners)
	s.refusals = append(s.refusals, refusals...)
	for _, p := range ports {
		s.tcpPorts = append(s.tcpPorts, p.port)
		if p.group != "" {
			s.sections = append(s.sections, s.tcpGroup(&p))
			continue
		}
		s.tcpFrontend(&s.tcp, &p)
		for _, member := range p.members {
			s.sections = append(s.sections, s.tcpBackend(member))
		}
	}
}

// tcpGroup joins the members' servers in one balanced section; its options come from the
// first member.
func (s *shape) tcpGroup(p *tcpPort) section {
	first := p.members[0].dst
	t := &text{}
	s.tcpHead(t, p)
	if first.BalanceGroup != "" {
		t.line("balance", first.BalanceGroup)
	}
	tcpTimers(t, first)
	sec := section{
		kind: "listen", name: fmt.Sprintf("tcpListen_%s_%d", p.group, p.port), owner: p.members[0].svc.Name, head: t.String(),
		fixed: !dynamicBalance.MatchString(first.BalanceGroup),
	}
	for _, member := range p.members {
		sec.servers = append(sec.servers, member.overlaid(s.groupServers(member, first.CheckTCP))...)
	}
	return sec
}

// dynamicBalance matches the algorithms with which servers can come and go.
var dynamicBalance = regexp.MustCompile(`^(|roundrobin|leastconn|first|random.*)$`)

func (s *shape) groupServers(member *target, check bool) []server {
	name, port := member.svc.Name, member.dst.Port
	if member.dst.Index > 0 {
		name = fmt.Sprintf("%s.%d", name, member.dst.Index)
	}
	addrs := s.view.firstForeign(port, s.view.addresses(tasksOf(member.svc.Name)), member.known(), member.addresses(s.view))
	if len(addrs) == 0 {
		return []server{{name: name, host: member.svc.Host(member.dst), port: port, check: check}}
	}
	list := make([]server, len(addrs))
	for i, addr := range addrs {
		list[i] = server{name: fmt.Sprintf("%s_%d", name, i), host: addr.String(), port: port, addr: addr, check: check}
	}
	return list
}

func (s *shape) tcpHead(t *text, p *tcpPort) {
	t.line("mode tcp")
	t.line("bind", bindWord(s.options.BindAddr, p.port))
	for _, member := range p.members {
		if member.dst.TimeoutClient > 0 {
			t.line("timeout client", strconv.Itoa(member.dst.TimeoutClient)+"s")
			break
		}
	}
	if p.members[0].dst.Clitcpka {
		t.line("option clitcpka")
	}
	s.options.AccessLog.tcp(t)
}

func tcpTimers(t *text, d *service.Destination) {
	timeouts(t, d)
	if d.CheckTCP {
		t.line("option tcp-check")
	}
}

// tcpFrontend chooses by the name in the TLS greeting where a destination gives one; the
// last destination without a name takes the rest.
func (s *shape) tcpFrontend(t *text, p *tcpPort) {
	prefix := "tcpFE"
	if !slices.ContainsFunc(p.members, func(t *target) bool { return t.dst.ReqMode != service.SNI }) {
		prefix = "service"
	}
	t.section("frontend", fmt.Sprintf("%s_%d", prefix, p.port))
	s.tcpHead(t, p)
	var rules, fallback []string
	names := map[string]string{}
	for _, member := range p.members {
		list, all := greetingRules(member, names)
		rules = append(rules, list...)
		if all {
			if fallback != nil {
				s.note("service %s: port %d takes every connection already; the last service without a name of its own has it", member.svc.Name, p.port)
			}
			fallback = []string{"default_backend", member.name()}
		}
	}
	if len(rules)+len(names) > 0 {
		t.line("tcp-request inspect-delay 5s")
		t.line("tcp-request content set-var(sess.sni) req.ssl_sni,lower if { req.ssl_hello_type 1 }")
		t.line("tcp-request content accept if { req.ssl_hello_type 1 }")
	}
	if len(names) > 0 {
		file := fmt.Sprintf("maps/sni-%d.map", p.port)
		s.sni[file] = names
		t.line("use_backend %[var(sess.sni),map_str(" + file + ")] if { var(sess.sni),map_str(" + file + ") -m found }")
	}
	for _, rule := range rules {
		t.line(rule)
	}
	if fallback != nil {
		t.line(fallback...)
	}
}

// greetingRules are the use_backend lines of one tcp or sni destination; whole names go
// to names. all is true for a destination that takes every connection.
func greetingRules(t *target, names map[string]string) (rules []string, all bool) {
	use := func(criterion string, patterns []string) {
		for part := range slices.Chunk(patterns, linePatterns) {
			rules = append(rules, "use_backend "+t.name()+" if { "+criterion+" -- "+quoteAll(part)+" }")
		}
	}
	if t.dst.ReqMode == service.SNI && len(t.dst.ServicePath) > 0 {
		criterion := t.dst.PathType
		if criterion == "" || strings.HasPrefix(criterion, "path") {
			criterion = "req.ssl_sni -i -m str"
		}
		use(criterion, t.dst.ServicePath)
		return rules, false
	}
	if len(t.dst.ServiceDomain) == 0 {
		return nil, true
	}
	algo := t.svc.ServiceDomainAlgo
	if expressions(algo) && strings.Contains(algo, "hdr") {
		algo = "req.ssl_sni -m reg"
	}
	var odd, endings []string
	for _, host := range t.dst.ServiceDomain {
		ending, wild := strings.CutPrefix(host, "*")
		if wild || !expressions(algo) {
			host, ending = strings.ToLower(host), strings.ToLower(ending)
		}
		switch {
		case wild && ending == "":
			all = true // "*" is every host
		case wild:
			endings = append(endings, ending)
		case wholeName(algo):
			if _, taken := names[host]; !taken {
				names[host] = t.name()
			}
		default:
			odd = append(odd, host)
		}
	}
	if len(odd) > 0 {
		use(ignoringCase(algo), odd)
	}
	if len(endings) > 0 {
		use("var(sess.sni) -m end", endings)
	}
	return rules, all
}

// wholeName reports whether a domain criterion compares the whole name; criteria on the
// Host header cannot mean anything else for a connection that is not read as HTTP.
func wholeName(algo string) bool {
	switch strings.TrimSuffix(algo, " -i") {
	case "", "req.ssl_sni", "req_ssl_sni":
		return true
	}
	return strings.Contains(algo, "hdr")
}

func (s *shape) tcpBackend(member *target) section {
	t := &text{}
	t.line("mode tcp")
	tcpTimers(t, member.dst)
	p := &part{options: s.options, view: s.view, svc: member.svc}
	e := &entry{target: member, port: member.dst.Port}
	tail := extra(member.svc)
	return section{
		kind: "backend", name: member.name(), owner: member.svc.Name, head: t.String(), tail: tail,
		servers: member.overlaid(p.servers(e, member.dst.CheckTCP || p.resolves(member))),
		fixed:   p.looksUp(e) || tail != "",
	}
}
