package proxy_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"sluice/crdt/service"
)

// placeholders stand for the free texts of a definition: words that mean nothing to HAProxy.
// Equal values of one kind have equal placeholders, so that what is merged stays merged.
type placeholders struct {
	values  map[string]string // kind and value -> placeholder
	literal map[string]string // placeholder -> value
	// required are those that must be found in the files.
	required []string
	// lines are placeholders of raw text: its words stand in their place.
	lines map[string]bool
	// effective: what belongs to the service as a whole is rendered at all.
	effective bool
	replacer  *strings.Replacer
}

func newPlaceholders() *placeholders {
	return &placeholders{values: map[string]string{}, literal: map[string]string{}, lines: map[string]bool{}}
}

// of is the placeholder for a value.
func (p *placeholders) of(kind, value string) string {
	if value == "" {
		return ""
	}
	id := kind + "\x00" + value
	if p.values[id] == "" {
		name := fmt.Sprintf("xq%04dz", len(p.literal))
		p.values[id], p.literal[name] = name, value
	}
	return p.values[id]
}

// must is a placeholder that may not get lost.
func (p *placeholders) must(kind, value string) string {
	name := p.of(kind, value)
	if name != "" && p.effective {
		p.required = append(p.required, name)
	}
	return name
}

func (p *placeholders) raw(kind, text string) string {
	name := p.must(kind, text)
	p.lines[name] = true
	return name
}

// restore puts the values back; no placeholder is made after it. Names of users stand in maps as hexadecimal.
func (p *placeholders) restore(word string) string {
	if !strings.Contains(word, "xq") && !strings.Contains(word, hex.EncodeToString([]byte("xq"))) {
		return word
	}
	if p.replacer == nil {
		var pairs []string
		for name, value := range p.literal {
			pairs = append(pairs, name, value, hex.EncodeToString([]byte(name)), hex.EncodeToString([]byte(value)))
		}
		p.replacer = strings.NewReplacer(pairs...)
	}
	return p.replacer.Replace(word)
}

// benign is the definition with placeholders in the place of all free texts. What is left
// has been checked against a list or is a number, apart from hosts: see plainHosts.
func (p *placeholders) benign(s service.Service) service.Service {
	s = s.Clone()
	http := s.TemplateFePath == ""
	p.effective = http && slices.ContainsFunc(s.Destinations, func(d service.Destination) bool { return d.ReqMode == service.HTTP })
	s.Name, s.ACLName = p.name(s.Name), p.name(s.ACLName)
	for _, list := range [][]service.Header{s.AddReqHeader, s.SetReqHeader, s.AddResHeader, s.SetResHeader} {
		p.headers(list)
	}
	p.all("header", s.DelReqHeader)
	p.all("header", s.DelResHeader)
	s.BackendExtra = p.extra(s.BackendExtra)
	s.CompressionType = p.media(s.CompressionType)
	s.ProxyInstanceName = p.of("instance", s.ProxyInstanceName)
	for i := range s.Users {
		u := &s.Users[i]
		if !strings.EqualFold(u.Name, localUser) {
			u.Name = p.of("user", u.Name)
		}
		u.Crypt = p.of("crypt", u.Crypt)
	}
	for i := range s.Destinations {
		p.destination(&s, &s.Destinations[i], http)
	}
	return s
}

// name keeps addresses, since a host that is one is not looked up.
func (p *placeholders) name(text string) string {
	if _, err := netip.ParseAddr(text); err == nil {
		return text
	}
	return p.of("name", text)
}

func (p *placeholders) all(kind string, list []string) {
	for i := range list {
		list[i] = p.must(kind, list[i])
	}
}

func (p *placeholders) headers(list []service.Header) {
	for i := range list {
		h := &list[i]
		value, name := "", false
		for _, part := range h.Parts() {
			switch {
			case part.Fetch || part.Variable:
				value += part.String()
			case name: // what ends the name of a variable has to stay
				_, length := utf8.DecodeRuneInString(part.Text)
				value += service.Part{Text: part.Text[:length]}.String() + p.must("value", part.Text[length:])
			default:
				value += p.must("value", part.Text)
			}
			name = part.Variable
		}
		h.Name, h.Value = p.must("header", h.Name), value
		if word, rest, ok := strings.Cut(h.Condition, " "); ok {
			h.Condition = word + " " + p.raw("condition", rest)
		}
	}
}

func (p *placeholders) extra(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if words, err := splitLine(line); len(words) > 0 || err != nil {
			lines = append(lines, p.raw("extra", line))
		}
	}
	return strings.Join(lines, "\n")
}

func (p *placeholders) media(list string) string {
	words := strings.Fields(list)
	for i, word := range words {
		words[i] = p.of("media", word)
	}
	return strings.Join(words, " ")
}

func (p *placeholders) destination(s *service.Service, d *service.Destination, http bool) {
	d.OutboundHostname = p.name(d.OutboundHostname)
	d.ServiceGroup = p.name(d.ServiceGroup)
	d.UserDef = p.of("userDef", d.UserDef)
	must := p.must
	if !http || d.ReqMode != service.HTTP {
		must = p.of
	}
	lists := map[string][]string{"agent": d.UserAgent, "method": d.AllowedMethods, "denied": d.DeniedMethods}
	for kind, list := range lists {
		for i := range list {
			list[i] = must(kind, list[i])
		}
	}
	for _, list := range [][]string{d.ServicePath, d.ServicePathExclude} {
		for i := range list {
			list[i] = path(list[i], must)
		}
	}
	if strings.Contains(s.ServiceDomainAlgo, "reg") {
		for i, domain := range d.ServiceDomain {
			if !strings.HasPrefix(domain, "*") {
				d.ServiceDomain[i] = p.of("domain", domain)
			}
		}
	}
	for i := range d.ReqPathSearchReplace {
		r := &d.ReqPathSearchReplace[i]
		r.Search, r.Replace = must("search", r.Search), must("replace", r.Replace)
	}
	for i := range d.ServiceHeader {
		h := &d.ServiceHeader[i]
		h.Name, h.Value = must("header", h.Name), must("match", h.Value)
	}
}

const wellKnown = "/.well-known"

var plainLength = regexp.MustCompile(`^[0-9:]+$`)

// path keeps what decides about a path's place in the order, and lengths.
func path(text string, placeholder func(kind, value string) string) string {
	switch {
	case text == "/" || plainLength.MatchString(text):
		return text
	case len(text) >= len(wellKnown) && strings.EqualFold(text[:len(wellKnown)], wellKnown):
		return text[:len(wellKnown)] + placeholder("path", text[len(wellKnown):])
	case text[0] == '/':
		return "/" + placeholder("path", text[1:])
	}
	return placeholder("path", text)
}

var plainHost = regexp.MustCompile(`^\*?[a-z0-9_.:-]+$`)

// plainHosts reports a host that placeholders would have to stand for.
func plainHosts(s service.Service) error {
	for _, d := range s.Destinations {
		for _, host := range slices.Concat(d.RedirectFromDomain, d.ServiceDomain) {
			if strings.Contains(s.ServiceDomainAlgo, "reg") && !strings.HasPrefix(host, "*") {
				continue
			}
			if !plainHost.MatchString(host) {
				return fmt.Errorf("host %q is not plain", host)
			}
		}
	}
	return nil
}
