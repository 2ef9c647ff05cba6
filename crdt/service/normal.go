package service

import (
	"strings"
)

// normalise gives equal meanings equal forms: defaults become empty, spellings become
// one, elements lose surrounding blanks. It keeps what it cannot make sense of, for
// Validate to refuse, and a second run changes nothing.
func (s *Service) normalise() {
	if s.ACLName == s.Name {
		s.ACLName = ""
	}
	for _, list := range []*[]Header{&s.AddReqHeader, &s.SetReqHeader, &s.AddResHeader, &s.SetResHeader} {
		*list = normalHeaders(*list)
	}
	s.DelReqHeader, s.DelResHeader = elements(s.DelReqHeader), elements(s.DelResHeader)
	s.BackendExtra = strings.TrimRight(strings.ReplaceAll(s.BackendExtra, "\r\n", "\n"), " \n")
	s.CompressionAlgo = words(s.CompressionAlgo)
	s.CompressionType = words(s.CompressionType)
	s.ConnectionMode = normalConnectionMode(s.ConnectionMode)
	switch {
	case strings.EqualFold(s.DiscoveryType, "DNS"):
		s.DiscoveryType = "DNS"
	case strings.EqualFold(s.DiscoveryType, "Overlay"):
		s.DiscoveryType = "" // addressing the service by its one name is the default
	}
	if len(s.Users) == 0 && s.UsersSecret == "" {
		s.Users, s.UsersPassEncrypted = nil, false
	}
	if s.Clear.Cert != "" {
		// Labels cannot hold line breaks, so PEM comes with them written as \n.
		s.Clear.Cert = strings.TrimSpace(strings.ReplaceAll(s.Clear.Cert, `\n`, "\n")) + "\n"
	}
	s.normaliseDestinations()
}

func (s *Service) normaliseDestinations() {
	s.ServiceDomainAlgo = normalDomainAlgo(s.ServiceDomainAlgo)
	number := len(s.Destinations) > 1
	domains := false
	for i := range s.Destinations {
		number = number && s.Destinations[i].Index == 0
	}
	for i := range s.Destinations {
		d := &s.Destinations[i]
		if number { // a JSON body may leave the indexes to us
			d.Index = i + 1
		}
		d.normalise(s.Name, s.domainMethod() == "reg")
		domains = domains || len(d.ServiceDomain) > 0
	}
	if !domains && s.ServiceDomainAlgo != "" && domainAlgoRule(s.ServiceDomainAlgo) == (fault{}) {
		s.ServiceDomainAlgo = "" // it has nothing to compare
	}
}

// normalise works on one destination of the service called name; keepCase says that
// domains are regular expressions, where \d and \D differ.
func (d *Destination) normalise(name string, keepCase bool) {
	d.ReqMode = normalMode(d.ReqMode)
	d.ServicePath, d.ServicePathExclude = elements(d.ServicePath), elements(d.ServicePathExclude)
	d.AllowedMethods, d.DeniedMethods = elements(d.AllowedMethods), elements(d.DeniedMethods)
	d.UserAgent = elements(d.UserAgent)
	d.ServiceDomain = lowered(elements(d.ServiceDomain), keepCase)
	d.RedirectFromDomain = lowered(elements(d.RedirectFromDomain), false)
	d.PathType = normalPathType(d.PathType)
	switch {
	case d.ReqMode == HTTP && len(d.ServicePath) == 0 && len(d.ServiceDomain) > 0:
		d.ServicePath = []string{"/"}
	case d.ReqMode == SNI && len(d.ServicePath) > 0 && d.PathType == "":
		d.PathType = "req.ssl_sni -i" // there is no path in a TLS greeting
	}
	if host, ok := strings.CutPrefix(d.OutboundHostname, "["); ok {
		d.OutboundHostname = strings.TrimSuffix(host, "]")
	}
	if d.OutboundHostname == name {
		d.OutboundHostname = ""
	}
	d.normaliseLists()
}

func normalMode(m Mode) Mode {
	if m == "" {
		return HTTP
	}
	return Mode(strings.ToLower(string(m)))
}

func (d *Destination) normaliseLists() {
	if len(d.ReqPathSearchReplace) == 0 {
		d.ReqPathSearchReplace = nil
	}
	for i := range d.ReqPathSearchReplace {
		one := &d.ReqPathSearchReplace[i]
		one.Flags = normalFlags(one.Flags)
	}
	if len(d.ServiceHeader) == 0 {
		d.ServiceHeader = nil
	}
	for i := range d.ServiceHeader {
		m := &d.ServiceHeader[i]
		m.Name, m.Value = strings.Trim(m.Name, " "), strings.Trim(m.Value, " ")
	}
}

func normalHeaders(all []Header) []Header {
	if len(all) == 0 {
		return nil
	}
	for i := range all {
		h := &all[i]
		h.Name, h.Value = strings.Trim(h.Name, " "), strings.Trim(h.Value, " ")
		if !strings.ContainsAny(h.Condition, `'"\`) { // else blanks may be part of a word
			h.Condition = words(h.Condition)
		}
	}
	return all
}

// normalConnectionMode replaces modes that HAProxy has dropped by what is nearest.
func normalConnectionMode(mode string) string {
	switch mode {
	case "forceclose":
		return "httpclose"
	case "http-tunnel":
		return "http-keep-alive"
	}
	return mode
}

// words joins blank-separated words by one blank each. Only blanks separate: a line
// break has to stay where it is, to be refused.
func words(text string) string {
	return strings.Join(elements(strings.Split(text, " ")), " ")
}

// lowered keeps the case of regular expressions; what begins with * is none.
func lowered(all []string, keepCase bool) []string {
	for i := range all {
		if !keepCase || strings.HasPrefix(all[i], "*") {
			all[i] = strings.ToLower(all[i])
		}
	}
	return all
}
