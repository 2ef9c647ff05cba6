package proxy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// class is the first key of the total order of rules.
type class int

const (
	acme class = iota // paths under /.well-known
	ordinary
	root // the path "/"
	classes
)

const wellKnown = "/.well-known"

func classOf(path string) class {
	switch {
	case len(path) >= len(wellKnown) && strings.EqualFold(path[:len(wellKnown)], wellKnown):
		return acme
	case path == "/":
		return root
	}
	return ordinary
}

// hostKind is the second key of the total order.
type hostKind int

const (
	exactHost hostKind = iota
	wildHost
	anyHost
	hostKinds
)

func kindOf(host string) hostKind {
	switch {
	case host == "":
		return anyHost
	case host[0] == '*':
		return wildHost
	}
	return exactHost
}

// route is one prefix or exact-path rule: what the maps hold.
type route struct {
	class   class
	srcPort int
	host    string // "" for any, may start with "*"
	path    string
	exact   bool
	place   place
	backend string
	tls     bool // the way in for TLS
}

// compare orders the rules of one class, host and path. Of the two ways into one destination, on
// one entry port, the plain one precedes, whatever they are called.
func (r *route) compare(o *route) int {
	return cmp.Or(r.place.compare(o.place), boolOrder(r.tls, o.tls), cmp.Compare(r.backend, o.backend))
}

func (r *route) before(o *route) bool { return r.compare(o) < 0 }

// condition is one ACL line: the criterion with its flags, then literal patterns.
type condition struct {
	criterion string
	patterns  []string
}

// special is a rule that no map can express. Its groups must all hold; a group holds if
// one of its conditions does. The negated group must not hold.
type special struct {
	class   class
	srcPort int
	place   place
	backend string
	groups  [][]condition
	not     []condition
}

var (
	// A host compared as a whole is what the maps do.
	wholeHost = regexp.MustCompile(`^(req\.)?hdr\(host\)( -i)?$`)
	// criterionText admits fetch names with plain arguments and flags, nothing that quotes.
	criterionText = regexp.MustCompile(`^[a-z][A-Za-z0-9_.]*(\([A-Za-z0-9_.,-]*\))?( -i| -m [a-z]+)*$`)
	headerName    = regexp.MustCompile(`^[A-Za-z0-9!#$%&*+.^_|~-]+$`)
)

// mapped reports whether maps alone express the target's rules.
func (t *target) mapped() bool {
	d := t.dst
	return (d.PathType == "" || d.PathType == "path_beg" || d.PathType == "path") &&
		len(d.ServicePathExclude) == 0 && len(d.ServiceHeader) == 0 && len(d.UserAgent) == 0 &&
		(len(d.ServiceDomain) == 0 || wholeDomain(t.svc.ServiceDomainAlgo) || onlyWild(d.ServiceDomain))
}

func wholeDomain(algo string) bool { return algo == "" || wholeHost.MatchString(algo) }

func onlyWild(domains []string) bool {
	return !slices.ContainsFunc(domains, func(d string) bool { return !strings.HasPrefix(d, "*") })
}

// paths are the target's paths; a domain without a path is "/".
func (t *target) paths() []string {
	if len(t.dst.ServicePath) == 0 && len(t.dst.ServiceDomain) > 0 {
		return []string{"/"}
	}
	return t.dst.ServicePath
}

// routes are the map rules of one entry.
func (e *entry) routes() []route {
	hosts := e.dst.ServiceDomain
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	var list []route
	for _, path := range e.paths() {
		if !strings.HasPrefix(path, "/") {
			continue // no request path starts like that
		}
		for _, host := range hosts {
			list = append(list, route{
				class: classOf(path), srcPort: e.srcPort, host: strings.ToLower(host), path: path,
				exact: e.dst.PathType == "path", place: e.place, backend: e.backend, tls: e.tls,
			})
		}
	}
	return list
}

// specials are the rules of one entry that need ACLs, one for each class of its paths.
func (e *entry) specials() []special {
	byClass := map[class][]string{}
	for _, path := range e.paths() {
		byClass[classOf(path)] = append(byClass[classOf(path)], path)
	}
	var list []special
	for c := range classes {
		if len(byClass[c]) == 0 {
			continue
		}
		rule := special{class: c, srcPort: e.srcPort, place: e.place, backend: e.backend}
		rule.groups = append(rule.groups, alternatives(e.pathCriterion(), byClass[c]))
		if hosts := e.hostConditions(); len(hosts) > 0 {
			rule.groups = append(rule.groups, hosts)
		}
		for _, h := range e.dst.ServiceHeader {
			rule.groups = append(rule.groups, []condition{{headerFetch(h.Name) + " -m str", []string{h.Value}}})
		}
		if len(e.dst.UserAgent) > 0 {
			rule.groups = append(rule.groups, alternatives("hdr_sub(User-Agent) -i", e.dst.UserAgent))
		}
		if len(e.dst.ServicePathExclude) > 0 {
			rule.not = alternatives(e.pathCriterion(), e.dst.ServicePathExclude)
		}
		list = append(list, rule)
	}
	return list
}

// HAProxy reads at most 64 words of a line: longer lists of patterns are cut into several
// conditions, each with a line of its own.
const (
	inlinePatterns = 5  // as many as stand in the line of the rule itself
	linePatterns   = 40 // as many as stand in one line
)

// alternatives are the conditions of which one must hold for any of the patterns to match.
func alternatives(criterion string, patterns []string) []condition {
	if len(patterns) <= inlinePatterns {
		return []condition{{criterion, patterns}}
	}
	var list []condition
	for part := range slices.Chunk(patterns, min(linePatterns, (len(patterns)+1)/2)) {
		list = append(list, condition{criterion, part})
	}
	return list
}

// headerFetch is the first word of a criterion; outside quotes, # would begin a comment.
func headerFetch(name string) string {
	if strings.Contains(name, "#") {
		return singleQuoted("req.fhdr(" + name + ")")
	}
	return "req.fhdr(" + name + ")"
}

func (e *entry) pathCriterion() string {
	if e.dst.PathType == "" {
		return "path_beg"
	}
	return e.dst.PathType
}

func (e *entry) hostConditions() []condition {
	var whole, endings []string
	for _, host := range e.dst.ServiceDomain {
		if ending, wild := strings.CutPrefix(host, "*"); wild {
			endings = append(endings, strings.ToLower(ending))
		} else {
			if !expressions(e.svc.ServiceDomainAlgo) {
				host = strings.ToLower(host)
			}
			whole = append(whole, host)
		}
	}
	var list []condition
	if len(whole) > 0 {
		criterion := "var(txn.host) -m str"
		if algo := e.svc.ServiceDomainAlgo; !wholeDomain(algo) {
			criterion = ignoringCase(algo)
		}
		list = append(list, alternatives(criterion, whole)...)
	}
	if slices.Contains(endings, "") {
		return nil // "*" is every host
	}
	if len(endings) > 0 {
		list = append(list, alternatives("var(txn.host) -m end", endings)...)
	}
	return list
}

// expressions reports whether a domain criterion compares with regular expressions, whose
// letters must keep their case.
func expressions(algo string) bool {
	return strings.Contains(algo, "_reg") || strings.Contains(algo, "-m reg")
}

func ignoringCase(criterion string) string {
	if strings.Contains(criterion, " -i") {
		return criterion
	}
	name, flags, _ := strings.Cut(criterion, " ")
	return strings.TrimSuffix(name+" -i "+flags, " ")
}
