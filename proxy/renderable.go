package proxy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sluice/crdt/service"
)

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	hostPattern    = regexp.MustCompile(`^[A-Za-z0-9_.:\[\]-]{1,253}$`)
	domainPattern  = regexp.MustCompile(`^\*?[A-Za-z0-9_.:\[\]-]{0,253}$`)
	flagsPattern   = regexp.MustCompile(`^[gi]{0,2}$`)
	balancePattern = regexp.MustCompile(`^[A-Za-z0-9_.,() -]{0,128}$`)
	// sectionStart matches the words that end the section they stand in, and preprocessor lines.
	sectionStart = regexp.MustCompile(`^(\.|(global|defaults|frontend|backend|listen|userlist|peers|mailers|resolvers|program|http-errors|` +
		`ring|log-forward|cache|fcgi-app|crt-store|traces|log-profile|acme|healthcheck)$)`)
	conditionStart = regexp.MustCompile(`^(if|unless) `)
)

// renderable is the last look at everything that stands in the configuration as it is.
// The door has checked it; what comes from an old or foreign log may not have passed that
// door.
func renderable(s *service.Service) *Refusal {
	for _, check := range []func(*service.Service) *Refusal{namesFit, headersFit, usersFit} {
		if r := check(s); r != nil {
			return r
		}
	}
	for i := range s.Destinations {
		if r := destinationFits(s, &s.Destinations[i]); r != nil {
			return r
		}
	}
	if len(s.Destinations) == 0 {
		return refusal(s, "port", "there is no destination")
	}
	return nil
}

func refusal(s *service.Service, param, format string, args ...any) *Refusal {
	return &Refusal{Service: s.Name, Param: param, Reason: fmt.Sprintf(format, args...)}
}

func namesFit(s *service.Service) *Refusal {
	optional := func(p *regexp.Regexp, v string) bool {
		return v == "" || p.MatchString(v) && v != "." && v != ".."
	}
	switch {
	case !namePattern.MatchString(s.Name):
		return refusal(s, "serviceName", "use letters, digits and _.- only")
	case !optional(namePattern, s.ACLName):
		return refusal(s, "aclName", "use letters, digits and _.- only")
	case !optional(namePattern, s.UsersSecret):
		return refusal(s, "usersSecret", "use letters, digits and _.- only")
	case !optional(namePattern, s.TemplateFePath) || !optional(namePattern, s.TemplateBePath):
		return refusal(s, "templateFePath", "name a file of the templates directory, without directories")
	case s.ServiceDomainAlgo != "" && !criterionText.MatchString(s.ServiceDomainAlgo):
		return refusal(s, "serviceDomainAlgo", "not a criterion")
	case unprintable(s.CompressionAlgo + s.CompressionType):
		return refusal(s, "compressionAlgo", "holds a control character")
	}
	for line := range strings.Lines(s.BackendExtra) {
		line = strings.TrimSpace(line)
		word := line
		if end := strings.IndexAny(line, " \t"); end >= 0 {
			word = line[:end]
		}
		if unprintable(line) || sectionStart.MatchString(word) || strings.ContainsAny(word, `"'\`) {
			return refusal(s, "backendExtra", "a line holds a control character or starts a section (%.40q)", word)
		}
	}
	return nil
}

func headersFit(s *service.Service) *Refusal {
	for param, list := range map[string][]service.Header{
		"addReqHeader": s.AddReqHeader, "setReqHeader": s.SetReqHeader, "addResHeader": s.AddResHeader, "setResHeader": s.SetResHeader,
	} {
		for _, h := range list {
			switch {
			case h.Name == "" || unprintable(h.Name) || strings.Contains(h.Name, " ") || unprintable(h.Value):
				return refusal(s, param, "header %.60q is not one line", h.Name)
			case h.Condition != "" && (!conditionStart.MatchString(h.Condition) || unprintable(h.Condition)):
				return refusal(s, param, "the condition of header %.60q is not one", h.Name)
			}
			for _, part := range h.Parts() {
				if part.Fetch && strings.ContainsAny(part.Text, "[]'\"\\ ") {
					return refusal(s, param, "header %.60q holds an unusable %%[…]", h.Name)
				}
			}
		}
	}
	for _, name := range append(slices.Clone(s.DelReqHeader), s.DelResHeader...) {
		if name == "" || unprintable(name) {
			return refusal(s, "delReqHeader", "%.60q is not a header name", name)
		}
	}
	return nil
}

func usersFit(s *service.Service) *Refusal {
	for _, u := range s.Users {
		if u.Name == "" || unprintable(u.Name+u.Crypt) || strings.ContainsAny(u.Salt+u.Digest, " \r\n#") {
			return refusal(s, "users", "user %.60q cannot be written", u.Name)
		}
	}
	return nil
}

func destinationFits(s *service.Service, d *service.Destination) *Refusal {
	switch {
	case !portFits(d.Port) || !portFits(d.HTTPSPort) || d.Port+d.HTTPSPort == 0:
		return refusal(s, "port", "ports are 1 to 65535")
	case !portFits(d.SrcPort) || !portFits(d.SrcHTTPSPort):
		return refusal(s, "srcPort", "ports are 1 to 65535")
	case d.ReqMode != service.HTTP && d.ReqMode != "" && (d.SrcPort == 0 || d.Port == 0):
		return refusal(s, "srcPort", "reqMode=%s needs srcPort and port", d.ReqMode)
	case !hostPattern.MatchString(s.Host(d)):
		return refusal(s, "outboundHostname", "%.60q is neither a host name nor an address", s.Host(d))
	case d.PathType != "" && !criterionText.MatchString(d.PathType):
		return refusal(s, "pathType", "%.60q is not a criterion", d.PathType)
	case d.ServiceGroup != "" && !namePattern.MatchString(d.ServiceGroup):
		return refusal(s, "serviceGroup", "use letters, digits and _.- only")
	case !balancePattern.MatchString(d.BalanceGroup):
		return refusal(s, "balanceGroup", "%.60q is not a balance algorithm", d.BalanceGroup)
	}
	for _, host := range d.ServiceDomain {
		if !domainPattern.MatchString(host) && !(expressions(s.ServiceDomainAlgo) && patternFits(host)) || host == "" {
			return refusal(s, "serviceDomain", "%.60q is not a host name", host)
		}
	}
	for _, host := range d.RedirectFromDomain {
		if host == "" || !domainPattern.MatchString(host) {
			return refusal(s, "redirectFromDomain", "%.60q is not a host name", host)
		}
	}
	return wordsFit(s, d)
}

func wordsFit(s *service.Service, d *service.Destination) *Refusal {
	t := target{svc: s, dst: d}
	if t.mapped() && slices.ContainsFunc(d.ServicePath, func(path string) bool { return strings.ContainsAny(path, " \t") }) {
		return refusal(s, "servicePath", "a blank would split the line of a map")
	}
	for param, list := range map[string][]string{
		"servicePath": d.ServicePath, "servicePathExclude": d.ServicePathExclude, "userAgent": d.UserAgent,
		"allowedMethods": d.AllowedMethods, "deniedMethods": d.DeniedMethods,
	} {
		for _, word := range list {
			if !patternFits(word) {
				return refusal(s, param, "%.60q is empty, is } or holds a control character", word)
			}
		}
	}
	for _, h := range d.ServiceHeader {
		if !headerName.MatchString(h.Name) || !patternFits(h.Value) {
			return refusal(s, "serviceHeader", "%.60q is not a header", h.Name)
		}
	}
	for _, r := range d.ReqPathSearchReplace {
		if r.Search == "" || unprintable(r.Search+r.Replace) || !flagsPattern.MatchString(r.Flags) {
			return refusal(s, "reqPathSearchReplace", "%.60q cannot be written", r.Search)
		}
	}
	return nil
}

// patternFits reports whether word can be a pattern of a criterion. Quotes do not help a
// lone brace: HAProxy looks for it in the words that it has unquoted already.
func patternFits(word string) bool { return word != "" && word != "}" && !unprintable(word) }

func portFits(port int) bool { return port >= 0 && port <= 65535 }
