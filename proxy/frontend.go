package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	found    = "{ var(txn.be) -m found }"
	notFound = "!{ var(txn.be) -m found }"
)

// frontend renders the http frontend with its routing.
func (m *Model) frontend(t *text) {
	o := m.options
	t.section("frontend services")
	t.line("mode http")
	for _, b := range o.Binds {
		tls := ""
		if b.TLS {
			tls = m.tlsWords()
		}
		t.line("bind", bindWord(b.Addr, b.Port), tls, b.Options)
	}
	o.AccessLog.http(t)
	t.line("option forwardfor")
	// A reload must not close a connection that a request is already under way on. For the
	// same reason there is no close-spread-time, which closes idle connections nevertheless.
	t.line("option idle-close-on-response")
	for _, item := range o.CaptureRequestHeader {
		name, length, _ := strings.Cut(item, ":")
		t.line("capture request header", name, "len", length)
	}
	for _, raw := range o.ExtraFrontend {
		t.line(raw)
	}
	for _, raw := range m.templates {
		t.WriteString(raw)
	}
	m.redirects(t)
	m.route(t)
	m.statisticsRule(t)
	t.line("use_backend %[var(txn.be)] if", found)
	if m.defaultBackend != "" {
		t.line("default_backend", m.defaultBackend)
	}
	m.statistics(t)
}

func (m *Model) tlsWords() string {
	o := m.options
	alpn := "http/1.1"
	if o.EnableH2 {
		alpn = "h2,http/1.1"
	}
	list := crtListFile
	if o.CrtList != "" {
		list = o.CrtList
	}
	words := "ssl crt-list " + quote(list) + " alpn " + alpn
	if o.CAFile != "" {
		words += " ca-file " + quote(o.CAFile) + " verify optional"
	}
	return words
}

// redirects sends whole hosts elsewhere before anything is routed.
func (m *Model) redirects(t *text) {
	t.line("http-request set-var(txn.host) req.hdr(host),host_only,lower")
	if len(m.moved) == 0 {
		return
	}
	t.line("http-request set-var(txn.moved) var(txn.host),map_str(" + movedFile + ")")
	t.line("http-request redirect code 301 prefix https://%[var(txn.moved)] if { var(txn.moved) -m found } { ssl_fc }")
	t.line("http-request redirect code 301 prefix http://%[var(txn.moved)] if { var(txn.moved) -m found }")
}

// route leaves the backend's name in txn.be, unset when no rule matches. Lookups stand
// in the total order of rules; what no rule uses is not written.
func (m *Model) route(t *text) {
	if len(m.routing.ports) > 0 {
		t.line("http-request set-var(txn.entry) dst_port,map_str(" + entryFile + ",0)")
	}
	t.line("http-request set-var(txn.path) path")
	wild := false
	for c := range classes {
		specials := m.specials[c]
		if len(specials) > 0 {
			t.line("http-request set-var(txn.rank) int(0)")
			t.line("http-request set-var(txn.rank) int("+noRank+") if", notFound)
		}
		for kind := range hostKinds {
			for _, exact := range []int{1, 0} {
				tab := m.routing.tables[c][kind][exact]
				if tab == nil || len(tab.lines) == 0 {
					continue
				}
				if kind == wildHost && !wild {
					m.findWild(t)
					wild = true
				}
				m.lookup(t, tab)
			}
		}
		m.rankSpecials(t, specials)
	}
}

func (m *Model) lookup(t *text, tab *table) {
	key := map[hostKind]string{
		exactHost: "var(txn.host),concat(,txn.path)",
		wildHost:  "var(txn.wild),concat(,txn.path)",
		anyHost:   "var(txn.path)",
	}[tab.kind]
	if len(m.routing.ports) > 0 {
		key = map[hostKind]string{
			exactHost: "var(txn.entry),concat(|,txn.host),concat(,txn.path)",
			wildHost:  "var(txn.entry),concat(|,txn.wild),concat(,txn.path)",
			anyHost:   "var(txn.entry),concat(|,txn.path)",
		}[tab.kind]
	}
	match := "map_beg"
	if tab.exact {
		match = "map_str"
	}
	conds := []string{notFound}
	if tab.kind == wildHost {
		conds = append(conds, "{ var(txn.wild) -m found }")
	}
	if tab.class == acme {
		conds = append(conds, "{ path_beg -i "+wellKnown+" }")
	}
	t.line("http-request set-var(txn.be) "+quote(key+","+match+"("+tab.file()+")"), "if", strings.Join(conds, " "))
}

// findWild leaves the narrowest wildcard that the host matches in txn.wild.
func (m *Model) findWild(t *text) {
	const missing = "!{ var(txn.wild) -m found }"
	for _, step := range m.wildLookups {
		match, deeper := "map_end", ""
		if step.dotted {
			match, deeper = "map_str", fmt.Sprintf("{ var(txn.host),field(-%d,.) -m found }", step.labels+1)
		}
		t.line(fmt.Sprintf("http-request set-var(txn.wild) var(txn.host),field(-1,.,%d),%s(%s)", step.labels, match, step.file()),
			"if", notFound, missing, deeper)
	}
	if m.routing.wild["*"] {
		t.line("http-request set-var(txn.wild) str(*)", "if", notFound, missing)
	}
}

// noRank is behind every target.
const noRank = "1000000000"

// rankSpecials lets the rules that no map can express beat the map's winner where they
// precede it in the total order: txn.rank is the winner's order, 0 if an earlier class
// has decided.
func (m *Model) rankSpecials(t *text, specials []special) {
	if len(specials) == 0 {
		return
	}
	t.line("http-request set-var(txn.rank) var(txn.be),map_str_int("+rankFile+") if", found, "{ var(txn.rank) -m int gt 0 }")
	t.line("http-request unset-var(txn.special)")
	for _, s := range specials {
		m.special(t, &s)
	}
	t.line("http-request set-var(txn.be) var(txn.special) if { var(txn.special) -m found }")
}

func (m *Model) special(t *text, s *special) {
	conds := []string{"!{ var(txn.special) -m found }", fmt.Sprintf("{ var(txn.rank) -m int gt %d }", s.order)}
	if s.srcPort != 0 {
		conds = append(conds, "{ dst_port "+strconv.Itoa(s.srcPort)+" }")
	}
	for i, group := range s.groups {
		conds = append(conds, m.group(t, fmt.Sprintf("r%d.%d.%d", s.order, s.class, i), group))
	}
	if len(s.not) > 0 {
		conds = append(conds, "!"+m.group(t, fmt.Sprintf("r%d.%d.not", s.order, s.class), s.not))
	}
	t.line("http-request set-var(txn.special) str("+s.backend+") if", strings.Join(conds, " "))
}

// group renders conditions of which one must hold: in place if there is but one.
func (m *Model) group(t *text, name string, list []condition) string {
	if len(list) == 1 {
		return "{ " + list[0].criterion + " -- " + quoteAll(list[0].patterns) + " }"
	}
	for _, c := range list {
		t.line("acl", name, c.criterion, "--", quoteAll(c.patterns))
	}
	return name
}

// sortSpecials orders each class by rank.
func sortSpecials(list []special) [classes][]special {
	var byClass [classes][]special
	for _, s := range list {
		byClass[s.class] = append(byClass[s.class], s)
	}
	for _, l := range byClass {
		slices.SortStableFunc(l, func(a, b special) int { return cmp.Compare(a.order, b.order) })
	}
	return byClass
}
