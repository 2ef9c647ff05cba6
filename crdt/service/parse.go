package service

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sizes that hold everywhere.
const (
	// MaxIndex is the greatest index of a destination.
	MaxIndex = 1000
	// MaxDestinations is how many destinations a service may have.
	MaxDestinations = MaxIndex
	// MaxEncoded is the greatest size of a definition in bytes.
	MaxEncoded = 64 << 10
	// MaxText is the greatest size of one text in bytes (certificates excepted).
	MaxText = 8 << 10
	// MaxList is how many elements a list may have.
	MaxList = 200
)

// Defaults are the settings of the proxy that decide what a request means. They are
// applied before the definition is published, so that all replicas see the same.
type Defaults struct {
	// Separator splits lists; empty means a comma.
	Separator string
	// DomainAlgo stands for serviceDomainAlgo where that is absent (SERVICE_DOMAIN_ALGO).
	DomainAlgo string
}

// Request is what one reconfigure query or label set asks for.
type Request struct {
	Service Service
	// Remove: replicas=0 was given, the service is to be removed. Then Service has nothing but
	// its name, for which alone it need not be complete.
	Remove bool
	// Distribute: the caller waits for all replicas.
	Distribute bool
	// ProxyInstanceName is the proxy the service is meant for, "" for any.
	ProxyInstanceName string
}

// Parse reads one query of Docker Flow Proxy's API, or one set of labels without
// prefix. Unknown parameters are ignored. The service is normalised, not validated: the
// caller does that next. Errors: Errors for what cannot be read or is missing, and
// ErrIncomplete (together with Errors) for HTTP mode without path and domain. With an
// error the request holds what could be read, enough for an answer.
func Parse(q url.Values, d Defaults) (Request, error) {
	r := newReader(q, d)
	var req Request
	s := &req.Service
	for _, f := range serviceFields() {
		r.assign(f.service(s), f.Name, r.serviceText(f.Parameter))
	}
	s.Destinations = r.destinations()
	r.deprecated(s)
	r.secrets(s)
	req.Distribute = r.boolean("distribute", r.scalar("distribute"))
	req.ProxyInstanceName = s.ProxyInstanceName
	if r.removal() {
		req.Service, req.Remove = Service{Name: s.Name}, true
		if err := r.err(); err != nil {
			return req, err
		}
		return req, CheckName(s.Name)
	}
	s.normalise()
	return req, s.structure(&r.problems)
}

// removal reports whether no replica is wanted.
func (r *reader) removal() bool {
	n, err := strconv.Atoi(strings.TrimSpace(r.scalar("replicas")))
	return err == nil && n == 0
}

// reader looks values up and collects what cannot be read.
type reader struct {
	problems
	values url.Values
	// folded holds the values by lower-case name: service-level scalars are found in
	// any spelling, because Docker Flow Proxy decoded them that way.
	folded   map[string]string
	defaults Defaults
}

func newReader(q url.Values, d Defaults) *reader {
	if d.Separator == "" {
		d.Separator = ","
	}
	folded := make(map[string]string, len(q))
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names) // two spellings of one name: the same one wins everywhere
	for _, name := range names {
		if low := strings.ToLower(name); folded[low] == "" {
			folded[low] = q.Get(name)
		}
	}
	return &reader{values: q, folded: folded, defaults: d}
}

// scalar is the value of a service-level scalar, in its own spelling or any other.
func (r *reader) scalar(name string) string {
	if text := r.values.Get(name); text != "" {
		return text
	}
	return r.folded[strings.ToLower(name)]
}

// serviceText is the text of a service-level parameter.
func (r *reader) serviceText(p Parameter) string {
	if p.Type != List && p.Type != Headers {
		return r.scalar(p.Name)
	}
	if text := r.values.Get(p.Name); text != "" || p.Old == "" {
		return text
	}
	return r.values.Get(p.Old)
}

// assign reads text into target. Text that is empty counts as absent.
func (r *reader) assign(target any, param, text string) {
	if text == "" || r.oversized(param, text) {
		return
	}
	switch t := target.(type) {
	case *string:
		*t = text
	case *Mode:
		*t = Mode(text)
	case *bool:
		*t = r.boolean(param, text)
	case *int:
		*t = r.number(param, text)
	case **int:
		n := r.number(param, text)
		*t = &n
	case *[]string:
		*t = r.elements(param, text, r.split(param, text))
	case *[]Header:
		*t = headers(r.elements(param, text, whole(r.split(param, text), r.defaults.Separator)))
	case *[]Match:
		*t = r.matches(param, r.elements(param, text, r.split(param, text)))
	case *[]Rewrite:
		*t = r.rewrites(param, text)
	}
}

// oversized refuses texts that no list of legal elements adds up to, before any work is
// spent on them.
func (r *reader) oversized(param, text string) bool {
	if len(text) <= MaxEncoded {
		return false
	}
	r.add(param, text, fault{"is longer than 65536 bytes", "shorten it"})
	return true
}

func (r *reader) number(param, text string) int {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		r.add(param, text, fault{"is not a whole number", "use digits only"})
	}
	return n
}

// boolean refuses what Docker Flow Proxy takes for false: a mistyped denyHttp or
// verifyClientSsl would silently leave a service unprotected.
func (r *reader) boolean(param, text string) bool {
	if text = strings.TrimSpace(text); text == "" {
		return false
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		r.add(param, text, fault{"is neither true nor false", "use true or false"})
	}
	return b
}

// deprecated applies the parameters that others have replaced.
func (r *reader) deprecated(s *Service) {
	all := r.boolean("serviceDomainMatchAll", r.scalar("serviceDomainMatchAll"))
	switch {
	case s.ServiceDomainAlgo != "":
	case all:
		s.ServiceDomainAlgo = "hdr_dom(host)"
	default:
		s.ServiceDomainAlgo = r.defaults.DomainAlgo
	}
	search, replace := r.scalar("reqPathSearch"), r.scalar("reqPathReplace")
	if search == "" || replace == "" {
		return // Docker Flow Proxy used the pair only when both were given
	}
	first := Rewrite{Search: search, Replace: replace}
	for i := range s.Destinations {
		d := &s.Destinations[i]
		d.ReqPathSearchReplace = append([]Rewrite{first}, d.ReqPathSearchReplace...)
	}
}
