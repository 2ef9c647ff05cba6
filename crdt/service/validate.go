package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Limits are what the proxy at the door admits.
type Limits struct {
	// AllowRaw admits backendExtra and free conditions of headers.
	AllowRaw bool
	// TemplatesDir: there is a templates directory, so templates may be named.
	TemplatesDir bool
	// OwnPorts are ports of this replica that are no service's business.
	OwnPorts []OwnPort
}

// OwnPort is a port that the replica itself listens on.
type OwnPort struct {
	Port int
	// Addr is the address that it listens on; invalid: all of the machine's.
	Addr netip.Addr
	// Use says what for, in a word or two: "API".
	Use string
}

// Validate returns Errors with every problem of s, or nil. If the only thing wrong is
// that an HTTP destination has neither path nor domain, the error is ErrIncomplete too.
func (s *Service) Validate(l Limits) error {
	v := &validator{limits: l}
	for _, f := range serviceFields() {
		v.check(f, f.Name, f.service(s))
	}
	v.headerList("addReqHeader", s.AddReqHeader, request)
	v.headerList("setReqHeader", s.SetReqHeader, request)
	v.headerList("addResHeader", s.AddResHeader, response)
	v.headerList("setResHeader", s.SetResHeader, response)
	v.extra(s.BackendExtra)
	v.templates(s)
	v.users(s)
	v.cert(s)
	v.unprotected(s)
	s.Source.judge(&v.problems)
	fields := destinationFields()
	for i := range s.Destinations {
		if len(v.list) >= maxProblems {
			break
		}
		v.destination(s, &s.Destinations[i], fields)
	}
	v.size(s)
	return s.structure(&v.problems)
}

type validator struct {
	problems
	limits Limits
	// plain counts the bytes and elements of plain texts and lists.
	plain int
}

// check judges one parameter by its entry in the table.
func (v *validator) check(f field, param string, target any) {
	switch t := target.(type) {
	case *string:
		v.plain += len(*t)
		if *t != "" && f.Name != "backendExtra" {
			v.text(param, *t, f.rule)
		}
	case *Mode:
		v.text(param, string(*t), f.rule)
	case *int:
		v.number(param, *t, f)
	case **int:
		if *t != nil && (**t < 1 || **t > f.high) {
			v.add(param, fmt.Sprint(**t), fault{"is out of range", fmt.Sprintf("use 1 to %d, or remove the service", f.high)})
		}
	case *[]string:
		v.length(param, len(*t))
		v.plain += len(*t)
		for _, text := range *t {
			v.plain += len(text)
			v.text(param, text, f.rule)
		}
	case *[]Match:
		v.matchList(param, *t)
	case *[]Rewrite:
		v.rewriteList(param, *t)
	}
}

// text judges what every text must obey, then what r says.
func (p *problems) text(param, text string, r rule) {
	f := printable(text)
	if f == (fault{}) && r != nil {
		f = r(text)
	}
	p.add(param, text, f)
}

func (p *problems) length(param string, n int) {
	if n > MaxList {
		p.add(param, "", fault{fmt.Sprintf("has %d elements", n), "use at most 200"})
	}
}

func (v *validator) number(param string, n int, f field) {
	if n != 0 && (n < f.low || n > f.high) {
		v.add(param, fmt.Sprint(n), fault{"is out of range", fmt.Sprintf("use %d to %d", f.low, f.high)})
	}
}

// destination judges d's fields and what they mean together.
func (v *validator) destination(s *Service, d *Destination, fields []field) {
	suffix := suffixOf(d.Index)
	if d.Index < 0 || d.Index > MaxIndex {
		v.add("index", fmt.Sprint(d.Index), fault{"is out of range", "use 0 to 1000"})
		return
	}
	for _, f := range fields {
		v.check(f, f.Name+suffix, f.dest(d))
	}
	if d.HTTPSRedirectCode != 0 && !slices.Contains([]int{301, 302, 303, 307, 308}, d.HTTPSRedirectCode) {
		v.add("httpsRedirectCode"+suffix, fmt.Sprint(d.HTTPSRedirectCode), fault{"is no redirect", "use 301, 302, 303, 307 or 308"})
	}
	v.route(s, d, suffix)
	v.redirect(d, suffix)
	v.protects(s, d, suffix)
	v.ownPorts(s, d, suffix)
}

// route judges paths and domains by how they are compared.
func (v *validator) route(s *Service, d *Destination, suffix string) {
	if d.PathType != "" {
		c, ok := parseCriterion(d.PathType)
		switch {
		case !ok || c.fetch == "hdr(host)":
			v.add("pathType"+suffix, d.PathType, fault{"is not a way to compare paths", "use path, path_beg, path_dir, path_dom, path_end, path_len, path_reg or path_sub, or url_… or base_…, with or without -i"})
		case d.ReqMode == HTTP && c.isSNI():
			v.add("pathType"+suffix, d.PathType, fault{"needs reqMode sni", "set reqMode=sni, or use path_beg"})
		case d.ReqMode == SNI && !c.isSNI():
			v.add("pathType"+suffix, d.PathType, fault{"needs reqMode http", `use "req.ssl_sni -i" with -m beg, dom, end, reg, str or sub`})
		}
	}
	method := d.pathMethod()
	for _, path := range d.ServicePath {
		v.text("servicePath"+suffix, path, pathRule(method))
	}
	for _, path := range d.ServicePathExclude {
		v.text("servicePathExclude"+suffix, path, pathRule(method))
	}
	for _, domain := range d.ServiceDomain {
		v.text("serviceDomain"+suffix, domain, domainRule(s.domainMethod()))
	}
}

// redirect judges redirectFromDomain: it needs a place to redirect to.
func (v *validator) redirect(d *Destination, suffix string) {
	if len(d.RedirectFromDomain) == 0 {
		return
	}
	param := "redirectFromDomain" + suffix
	if len(d.ServiceDomain) == 0 || strings.HasPrefix(d.ServiceDomain[0], "*") || hostRule(d.ServiceDomain[0]) != (fault{}) {
		v.add(param, "", fault{"has no host to redirect to", "give serviceDomain and put a whole host name first"})
		return
	}
	if slices.Contains(d.RedirectFromDomain, d.ServiceDomain[0]) {
		v.add(param, d.ServiceDomain[0], fault{"redirects to itself", "leave it out"})
	}
}

// ownPorts keeps services off the replica's own API, broker and sockets.
func (v *validator) ownPorts(s *Service, d *Destination, suffix string) {
	local := isLocal(s.Host(d))
	for _, own := range v.limits.OwnPorts {
		f := fault{"is the proxy's own port (" + own.Use + ")", "use another one"}
		if own.Port == d.SrcPort && d.ReqMode != HTTP {
			v.taken("srcPort"+suffix, fmt.Sprint(d.SrcPort), f)
		}
		if local && own.Port == d.Port {
			v.taken("port"+suffix, fmt.Sprint(d.Port), f)
		}
		if local && own.Port == d.HTTPSPort {
			v.taken("httpsPort"+suffix, fmt.Sprint(d.HTTPSPort), f)
		}
	}
}

func isLocal(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761
		return true
	}
	addr, err := netip.ParseAddr(host)
	addr = addr.Unmap()
	return err == nil && (addr.IsLoopback() || addr.IsUnspecified())
}

// small reports whether a service with that many bytes and elements of plain texts cannot be
// too long, so that it need not be written out to know: at most six bytes stand for one.
func (s *Service) small(plain int) bool {
	const names = 2 << 10 // bytes of all names of a service or destination
	structured := len(s.AddReqHeader) + len(s.SetReqHeader) + len(s.AddResHeader) + len(s.SetResHeader) + len(s.Users) + len(s.Clear.Passwords) + len(s.Clear.Cert)
	for i := range s.Destinations {
		structured += len(s.Destinations[i].ServiceHeader) + len(s.Destinations[i].ReqPathSearchReplace)
	}
	return structured == 0 && s.ServiceCert == nil && 6*plain+names*(1+len(s.Destinations)) < MaxEncoded
}

// size refuses what no message of the log could carry.
func (v *validator) size(s *Service) {
	const perUser, perCert = 128, 2 // bytes of a digest, growth by sealing
	if s.small(v.plain) {
		return
	}
	encoded, err := encode(s)
	if err != nil {
		v.add("service", "", fault{"cannot be written as JSON", "use plain text"})
		return
	}
	if n := len(encoded) + perUser*len(s.Clear.Passwords) + perCert*len(s.Clear.Cert); n > MaxEncoded {
		v.add("service", "", fault{fmt.Sprintf("takes %d bytes as a whole", n), "stay below 65536 bytes"})
	}
}
