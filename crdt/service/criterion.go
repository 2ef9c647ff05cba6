package service

import (
	"slices"
	"strings"
)

// matchMethods are the values of -m.
func matchMethods() []string { return []string{"str", "beg", "dir", "dom", "end", "sub", "reg"} }

// criterion is a comparison as HAProxy writes it: a fetch, how it is compared, flags.
type criterion struct {
	fetch      string // path, url, base, hdr(host), req.ssl_sni, ssl_fc_sni
	method     string // str, beg, dir, dom, end, len, sub, reg
	ignoreCase bool
}

// parseCriterion reads "path_beg -i", "hdr_dom(host)", "req_ssl_sni -i -m beg" and the
// like. It is false for everything that is not on the allow-list.
func parseCriterion(text string) (criterion, bool) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return criterion{}, false
	}
	c, ok := parseFetch(words[0])
	for words = words[1:]; ok && len(words) > 0; {
		switch {
		case words[0] == "-i":
			c.ignoreCase, words = true, words[1:]
		case words[0] == "-m" && len(words) > 1 && slices.Contains(matchMethods(), words[1]):
			ok = c.method == "str" || c.method == words[1]
			c.method, words = words[1], words[2:]
		default:
			ok = false
		}
	}
	return c, ok
}

// parseFetch splits "path_beg" and "hdr_beg(host)" into fetch and method.
func parseFetch(word string) (criterion, bool) {
	word = strings.ToLower(word)
	switch word {
	case "req.ssl_sni", "req_ssl_sni":
		return criterion{fetch: "req.ssl_sni", method: "str"}, true
	case "ssl_fc_sni":
		return criterion{fetch: word, method: "str"}, true
	case "ssl_fc_sni_end", "ssl_fc_sni_reg":
		return criterion{fetch: "ssl_fc_sni", method: word[len("ssl_fc_sni_"):]}, true
	}
	word = strings.TrimPrefix(word, "req.")
	base, isHost := strings.CutSuffix(word, "(host)")
	base, method, found := strings.Cut(base, "_")
	if !found {
		method = "str"
	}
	known := slices.Contains(matchMethods(), method) && (!found || method != "str")
	switch {
	case isHost && base == "hdr":
		return criterion{fetch: "hdr(host)", method: method}, known
	case !isHost && (base == "path" || base == "url" || base == "base"):
		return criterion{fetch: base, method: method}, known || found && method == "len" && base != "base"
	}
	return criterion{}, false
}

// isSNI tells criteria of the TLS greeting from those of an HTTP request.
func (c criterion) isSNI() bool { return strings.HasSuffix(c.fetch, "_sni") }

// String is the one spelling that the canonical form uses.
func (c criterion) String() string {
	text := c.fetch
	switch {
	case c.method == "str":
	case c.fetch == "hdr(host)":
		text = "hdr_" + c.method + "(host)"
	case c.isSNI():
		text += " -m " + c.method
	default:
		text += "_" + c.method
	}
	if c.ignoreCase {
		text += " -i"
	}
	return text
}

// normalPathType spells a path type in one way; path_beg is the default and empty.
func normalPathType(text string) string {
	c, ok := parseCriterion(text)
	if !ok || c.fetch == "hdr(host)" {
		return strings.Trim(text, " ")
	}
	if text = c.String(); text == "path_beg" {
		return ""
	}
	return text
}

// normalDomainAlgo spells a domain criterion in one way. Hosts are always compared
// ignoring case, and the exact comparison of the Host header is the default.
func normalDomainAlgo(text string) string {
	c, ok := parseCriterion(text)
	if !ok || !c.isSNI() && c.fetch != "hdr(host)" {
		return strings.Trim(text, " ")
	}
	c.ignoreCase = false
	if text = c.String(); text == "hdr(host)" {
		return ""
	}
	return text
}

func domainAlgoRule(text string) fault {
	c, ok := parseCriterion(text)
	if !ok || !c.isSNI() && c.fetch != "hdr(host)" {
		return fault{"is not a way to compare domains",
			"use hdr(host), hdr_beg(host), hdr_dom(host), hdr_end(host), hdr_sub(host), hdr_reg(host) or req.ssl_sni"}
	}
	return fault{}
}

// CheckDomainAlgo returns Errors naming serviceDomainAlgo unless text can be one, or is empty.
func CheckDomainAlgo(text string) error {
	var p problems
	if text != "" {
		p.text("serviceDomainAlgo", text, domainAlgoRule)
	}
	return p.err()
}

// pathMethod is how d's paths are compared.
func (d *Destination) pathMethod() criterion {
	c, ok := parseCriterion(d.PathType)
	if !ok {
		return criterion{fetch: "path", method: "beg"}
	}
	return c
}

// domainMethod is how the service's domains are compared.
func (s *Service) domainMethod() string {
	c, ok := parseCriterion(s.ServiceDomainAlgo)
	if !ok {
		return "str"
	}
	return c.method
}
