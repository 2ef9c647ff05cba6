package haproxy_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// rule is one prefix or exact-path rule as the reference matcher sees it.
type rule struct {
	host, path, name string
	exact            bool
	// agent: the rule also asks for a user agent, so that no map can hold it.
	agent bool
}

func (r rule) matches(host, path string) bool {
	if r.exact && path != r.path || !strings.HasPrefix(path, r.path) {
		return false
	}
	switch {
	case r.host == "":
		return true
	case strings.HasPrefix(r.host, "*."):
		return strings.HasSuffix(host, r.host[1:]) && len(host) > len(r.host)-1
	case r.host[0] == '*':
		return strings.HasSuffix(host, r.host[1:])
	}
	return r.host == host
}

// class and key are the total order of rules, written down naively.
func (r rule) class() int {
	switch {
	case strings.HasPrefix(r.path, "/.well-known"):
		return 0
	case r.path == "/":
		return 2
	}
	return 1
}

func (r rule) key() string {
	kind := 0
	switch {
	case r.host == "":
		kind = 2
	case r.host[0] == '*':
		kind = 1
	}
	return fmt.Sprintf("%d%d%03d%s", r.class(), kind, 999-len(r.path), r.name)
}

// rank is the order among rules that are not both prefix or exact-path rules.
func (r rule) rank() string { return fmt.Sprintf("%d%s", r.class(), r.name) }

// winner tries every rule.
func winner(rules []rule, host, path string, agent bool) string {
	var best, special rule
	for _, one := range rules {
		switch {
		case !one.matches(host, path):
		case one.agent && agent && (special.name == "" || one.rank() < special.rank()):
			special = one
		case !one.agent && (best.name == "" || one.key() < best.key()):
			best = one
		}
	}
	if special.name != "" && (best.name == "" || special.rank() < best.rank()) {
		return special.name
	}
	return best.name
}

// TestOrderAgainstReference routes through a random set of rules and compares with a
// matcher that tries every rule.
func TestOrderAgainstReference(t *testing.T) {
	r := newRig(t)
	random := rand.New(rand.NewPCG(7, 11))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	hosts := []string{"", "", "a.com", "b.a.com", "x.b.a.com", "*.a.com", "*a.com", "*.b.a.com", "*b.a.com", "*.com", "*m"}
	paths := []string{"/", "/a", "/ab", "/a/", "/a/b", "/b", "/.", "/.well-known", "/.well-known/a", "/.w"}
	var rules []rule
	for i := range 40 {
		one := rule{host: pick(hosts...), path: pick(paths...), name: fmt.Sprintf("s%02d", i), exact: random.IntN(4) == 0, agent: random.IntN(5) == 0}
		rules = append(rules, one)
		query := "serviceName=" + one.name + "&outboundHostname=127.0.0.1&port=" + echo(t, one.name) + "&servicePath=" + one.path
		if one.host != "" {
			query += "&serviceDomain=" + one.host
		}
		if one.exact {
			query += "&pathType=path"
		}
		if one.agent {
			query += "&userAgent=zz"
		}
		r.publish(query)
	}
	r.live(r.source.Desired().Seq)
	for range 400 {
		host := pick("a.com", "b.a.com", "x.b.a.com", "y.a.com", "za.com", "zb.a.com", "q.zb.a.com", "o.com", "o.org", "com")
		path := pick(paths...) + pick("", "", "b", "/c")
		agent := random.IntN(2) == 0
		header := http.Header{"User-Agent": {"curl"}}
		if agent {
			header = http.Header{"User-Agent": {"ZZ top"}}
		}
		r.goes(call{host: host, path: path, header: header}, winner(rules, host, path, agent))
	}
}
