package service

import "fmt"

// structure checks that the parts that a service needs are there. It returns p's
// problems with its own, or nil. A destination without path and domain makes the error
// ErrIncomplete, unless there are other problems: those a caller has to mend first.
func (s *Service) structure(p *problems) error {
	if s.Name == "" {
		p.add("serviceName", "", fault{"is missing", "give the service a name"})
	}
	if n := len(s.Destinations); n == 0 || n > MaxDestinations {
		p.add("destinations", fmt.Sprint(n), fault{"is not a possible number of destinations", "give 1 to 1000"})
	}
	s.indexes(p)
	var incomplete problems
	for i := range s.Destinations {
		d := &s.Destinations[i]
		suffix := suffixOf(d.Index)
		if d.ReqMode == HTTP && len(d.ServicePath) == 0 && len(d.ServiceDomain) == 0 {
			incomplete.add("servicePath"+suffix, "", fault{"is missing and so is serviceDomain" + suffix, "give one of them"})
			continue
		}
		d.ports(suffix, p)
	}
	switch {
	case len(p.list) == 0 && len(incomplete.list) == 0:
		return nil
	case len(p.list) == 0:
		return fmt.Errorf("%w: %w", ErrIncomplete, incomplete.err())
	}
	p.list = append(p.list, incomplete.list...)
	return p.err()
}

// ports checks that d has a target, and an entry where the mode needs its own.
func (d *Destination) ports(suffix string, p *problems) {
	if d.ReqMode == TCP || d.ReqMode == SNI {
		if d.Port == 0 {
			p.add("port"+suffix, "", fault{"is missing", "tcp and sni mode need the port of the service"})
		}
		if d.SrcPort == 0 {
			p.add("srcPort"+suffix, "", fault{"is missing", "tcp and sni mode need an entry port of the proxy"})
		}
		return
	}
	if d.Port == 0 && d.HTTPSPort == 0 {
		p.add("port"+suffix, "", fault{"is missing", "give the port of the service, or httpsPort"})
	}
}

// indexes checks that a lone destination may have index 0 and all others have their own.
func (s *Service) indexes(p *problems) {
	last := 0
	for i := range s.Destinations {
		index := s.Destinations[i].Index
		if index <= last && !(index == 0 && len(s.Destinations) == 1) {
			p.add("index", fmt.Sprint(index), fault{"is not greater than the one before", "number the destinations 1, 2, 3 …"})
			return
		}
		last = index
	}
}
