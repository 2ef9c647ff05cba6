package proxy

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	found    = "{ var(txn.be) -m found }"
	notFound = "!{ var(txn.be) -m found }"
)

// frontend renders the http frontend with its routing; made are the lookups to be made.
func (s *shape) frontend(t *text, made map[lookup]bool) {
	o := s.options
	t.section("frontend services")
	t.line("mode http")
	for _, b := range o.Binds {
		tls := ""
		if b.TLS {
			tls = s.tlsWords()
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
	for _, raw := range s.templates {
		t.WriteString(raw)
	}
	s.redirects(t)
	s.route(t, made)
	s.statisticsRule(t)
	t.line("use_backend %[var(txn.be)] if", found)
	if s.defaultBackend != "" {
		t.line("default_backend", s.defaultBackend)
	}
	s.statistics(t)
}

func (s *shape) tlsWords() string {
	o := s.options
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
func (s *shape) redirects(t *text) {
	t.line("http-request set-var(txn.host) req.hdr(host),host_only,lower")
	if len(s.moved) == 0 {
		return
	}
	t.line("http-request set-var(txn.moved) var(txn.host),map_str(" + movedFile + ")")
	t.line("http-request redirect code 301 prefix https://%[var(txn.moved)] if { var(txn.moved) -m found } { ssl_fc }")
	t.line("http-request redirect code 301 prefix http://%[var(txn.moved)] if { var(txn.moved) -m found }")
}

// route leaves the backend's name in txn.be, unset when no rule matches. Lookups stand
// in the total order of rules; what no rule uses is not written.
func (s *shape) route(t *text, made map[lookup]bool) {
	if len(s.ports) > 0 {
		t.line("http-request set-var(txn.entry) dst_port,map_str(" + entryFile + ",0)")
	}
	t.line("http-request set-var(txn.path) path")
	wild, before := false, 0
	for c := range classes {
		specials := s.specials[c]
		if len(specials) > 0 {
			t.line("http-request set-var(txn.rank) int(0)")
			t.line("http-request set-var(txn.rank) int("+noRank+") if", notFound)
		}
		for _, l := range lookups() {
			if l.class != c || !made[l] {
				continue
			}
			if l.kind == wildHost && !wild {
				s.findWild(t)
				wild = true
			}
			s.look(t, l)
		}
		s.rankSpecials(t, specials, before)
		before += len(specials)
	}
}

func (s *shape) look(t *text, l lookup) {
	key := map[hostKind]string{
		exactHost: "var(txn.host),concat(,txn.path)",
		wildHost:  "var(txn.wild),concat(,txn.path)",
		anyHost:   "var(txn.path)",
	}[l.kind]
	if len(s.ports) > 0 {
		key = map[hostKind]string{
			exactHost: "var(txn.entry),concat(|,txn.host),concat(,txn.path)",
			wildHost:  "var(txn.entry),concat(|,txn.wild),concat(,txn.path)",
			anyHost:   "var(txn.entry),concat(|,txn.path)",
		}[l.kind]
	}
	match := "map_beg"
	if l.exact {
		match = "map_str"
	}
	conds := []string{notFound}
	if l.kind == wildHost {
		conds = append(conds, "{ var(txn.wild) -m found }")
	}
	if l.class == acme {
		conds = append(conds, "{ path_beg -i "+wellKnown+" }")
	}
	t.line("http-request set-var(txn.be) "+quote(key+","+match+"("+l.file()+")"), "if", strings.Join(conds, " "))
}

// findWild leaves the narrowest wildcard that the host matches in txn.wild.
func (s *shape) findWild(t *text) {
	const missing = "!{ var(txn.wild) -m found }"
	for _, step := range s.wildLookups {
		match, deeper := "map_end", ""
		if step.dotted {
			match, deeper = "map_str", fmt.Sprintf("{ var(txn.host),field(-%d,.) -m found }", step.labels+1)
		}
		t.line(fmt.Sprintf("http-request set-var(txn.wild) var(txn.host),field(-1,.,%d),%s(%s)", step.labels, match, step.file()),
			"if", notFound, missing, deeper)
	}
	if s.anyWild {
		t.line("http-request set-var(txn.wild) str(*)", "if", notFound, missing)
	}
}

// noRank is behind every rule.
const noRank = "1000000000"

// rankSpecials lets the rules that no map can express beat the map's winner where they
// precede it in the total order: txn.rank is how many of them do, 0 if an earlier class has
// decided. before is how many rules were written for earlier classes.
func (s *shape) rankSpecials(t *text, specials []special, before int) {
	if len(specials) == 0 {
		return
	}
	t.line("http-request set-var(txn.rank) var(txn.be),map_str_int("+rankFile+",0) if", found, "{ var(txn.rank) -m int gt 0 }")
	t.line("http-request unset-var(txn.special)")
	for i := range specials {
		s.special(t, &specials[i], before+i+1)
	}
	t.line("http-request set-var(txn.be) var(txn.special) if { var(txn.special) -m found }")
}

// special writes one rule; number tells it apart from all others.
func (s *shape) special(t *text, rule *special, number int) {
	conds := []string{"!{ var(txn.special) -m found }", fmt.Sprintf("{ var(txn.rank) -m int ge %d }", s.rankOf(rule.place))}
	if rule.srcPort != 0 {
		conds = append(conds, "{ dst_port "+strconv.Itoa(rule.srcPort)+" }")
	}
	crowded := len(rule.groups) > shortRule
	for i, group := range rule.groups {
		conds = append(conds, s.group(t, fmt.Sprintf("r%d.%d", number, i), group, crowded))
	}
	if len(rule.not) > 0 {
		conds = append(conds, "!"+s.group(t, fmt.Sprintf("r%d.not", number), rule.not, crowded))
	}
	t.line("http-request set-var(txn.special) str("+rule.backend+") if", strings.Join(conds, " "))
}

// shortRule is how many conditions fit into the line of a rule, which has 64 words at most;
// with more, each gets a name.
const shortRule = 3

// group renders conditions of which one must hold: in place if there is but one.
func (s *shape) group(t *text, name string, list []condition, named bool) string {
	if len(list) == 1 && !named {
		return "{ " + list[0].criterion + " -- " + quoteAll(list[0].patterns) + " }"
	}
	for _, c := range list {
		t.line("acl", name, c.criterion, "--", quoteAll(c.patterns))
	}
	return name
}
