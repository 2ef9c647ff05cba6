package api

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// maxShadowed bounds how many shadowed rules an answer lists.
const maxShadowed = 100

var (
	tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$") // RFC 9110, section 5.6.2
	valuePattern = regexp.MustCompile(`^[^\x00-\x08\x0a-\x1f\x7f]*$`)
)

// why answers which rule a request meets and where that rule comes from.
func (s *Server) why(w http.ResponseWriter, r *http.Request, _ caller) error {
	if err := refuseAt(r); err != nil {
		return err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badParam("query", err.Error(), "percent-encode the values (& is %26, # is %23)")
	}
	probe, err := parseProbe(q)
	if err != nil {
		return err
	}
	routing, err := s.cfg.Explainer.Explain(r.Context(), probe)
	if err != nil {
		return err
	}
	out := Explanation{Routing: routing}
	if more := len(out.Shadowed) - maxShadowed; more > 0 {
		out.Shadowed, out.MoreShadowed = out.Shadowed[:maxShadowed], more
	}
	if out.Shadowed == nil {
		out.Shadowed = []Rule{}
	}
	cause, note := s.cause(r.Context(), &routing)
	if note != "" {
		out.Notes = append(out.Notes[:len(out.Notes):len(out.Notes)], note)
	}
	out.Event, out.Quarantine = cause, s.quarantined(routing.Rule.Service)
	return writeJSON(w, http.StatusOK, out)
}

// parseProbe reads url, method and header as a client would send them.
func parseProbe(q url.Values) (Probe, error) {
	p := Probe{Method: q.Get("method"), Header: http.Header{}}
	if p.Method == "" {
		p.Method = http.MethodGet
	}
	if !tokenPattern.MatchString(p.Method) {
		return p, badParam("method", "is not a method", "use for example POST")
	}
	if err := p.parseURL(q.Get("url")); err != nil {
		return p, err
	}
	for _, line := range q["header"] {
		if err := p.addHeader(line); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *Probe) parseURL(text string) error {
	const remedy = "use a whole one, for example http://acme.com/demo"
	if text == "" {
		return badParam("url", "is missing", remedy)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return badParam("url", "is not a URL", remedy+", and percent-encode what does not belong into one")
	case u.Scheme != "http" && u.Scheme != "https":
		return badParam("url", "begins with neither http:// nor https://", remedy)
	case u.Hostname() == "":
		return badParam("url", "has no host", remedy)
	case u.User != nil:
		return badParam("url", "holds a user or a password", "leave them out, they decide nothing")
	case strings.ContainsFunc(u.Host, func(c rune) bool { return c <= ' ' || c > '~' }):
		return badParam("url", "has a host with characters that no client sends", "write international names in their xn-- form")
	}
	p.TLS, p.Host, p.Query = u.Scheme == "https", u.Host, u.RawQuery
	if p.Path = u.EscapedPath(); p.Path == "" {
		p.Path = "/"
	}
	if u.Port() == "" {
		p.Host = strings.TrimSuffix(p.Host, ":")
		return nil
	}
	if p.Port, err = strconv.Atoi(u.Port()); err != nil || p.Port < 1 || p.Port > 65535 {
		return badParam("url", "has a port that is not from 1 to 65535", "correct it or leave it out")
	}
	if p.Port == 80 && !p.TLS || p.Port == 443 && p.TLS { // clients leave their scheme's own port out
		p.Host = strings.TrimSuffix(p.Host, ":"+u.Port())
	}
	return nil
}

func (p *Probe) addHeader(line string) error {
	name, value, found := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	switch {
	case !found || !tokenPattern.MatchString(name):
		return badParam("header", "is not a header", "write Name: value")
	case !valuePattern.MatchString(value):
		return badParam("header", "has a value with a control character", "remove it")
	case strings.EqualFold(name, "Host"):
		p.Host = value
	default:
		p.Header.Add(name, value)
	}
	return nil
}

// URL is the request as people write it, without its query.
func (p Probe) URL() string {
	scheme := "http"
	if p.TLS {
		scheme = "https"
	}
	return scheme + "://" + p.Host + p.Path
}
